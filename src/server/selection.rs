//! Which elements of a list that is made as it is read are in it: those that a filter matches, of which some may be skipped
//! and so many taken.

use super::filter::{Filter, Filtered};
use super::query::Query;

/// What is still to come.
pub(super) struct Selection {
    filter: Filter,
    skip: usize,
    left: usize,
}

impl Selection {
    /// What a query selects: all that match, unless it sets a limit.
    pub(super) fn new(query: &Query) -> Self {
        let limit = query.limit.unwrap_or(usize::MAX);
        Self { filter: query.filter(), skip: (query.page - 1).saturating_mul(limit), left: limit }
    }

    /// Whether the next element is in the list.
    pub(super) fn takes(&mut self, element: &impl Filtered) -> bool {
        if self.left == 0 || !self.filter.matches(element) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.left -= 1;
        true
    }
}
