//! Lists in pages: a bare array, each entry with a cursor that asks for what is behind it. Pure.

use serde_json::{Value, json};

use super::problem::Problem;
use crate::simulator::faults::ContentFaults;
use crate::simulator::request::Query;

/// Entries on a page, unless the request says another number, and the most that it may say.
const LIMIT: usize = 20;
const MOST: usize = 100;

/// Which entries of a list a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageRequest {
    first: usize,
    limit: usize,
}

impl PageRequest {
    /// Reads `limit` and `cursor`.
    pub(super) fn of(query: &Query) -> Result<Self, Problem> {
        let limit = query.get("limit").map_or(Some(LIMIT), |text| text.parse().ok());
        let limit = limit
            .filter(|limit| (1..=MOST).contains(limit))
            .ok_or(Problem::BadRequest("limit must be a number from 1 to 100"))?;
        let first = query.get("cursor").map_or(Some(0), place);
        let first = first.ok_or(Problem::BadRequest("invalid cursor"))?;
        Ok(Self { first, limit })
    }

    /// The page of a list of so many entries: their numbers, each with its cursor.
    ///
    /// Where pages never end, the list begins again at its end; where they form a cycle, the cursor of what is behind the end
    /// is that of the first page, too.
    fn numbers(self, length: usize, faults: ContentFaults) -> Vec<(usize, String)> {
        let repeats = (faults.endless_pages || faults.page_cycle) && length > 0;
        let places = self.first..self.first.saturating_add(self.limit);
        let entry = |place: usize| {
            let behind = if faults.page_cycle && place + 1 >= length { 0 } else { place + 1 };
            (if repeats { place % length } else { place }, cursor(behind))
        };
        places.take_while(|place| repeats || *place < length).map(entry).collect()
    }

    /// The page of a list as an answer: each entry as the object of this key, beside its cursor. `object` makes that of the
    /// nth entry of the page.
    pub(super) fn answer<T>(
        self,
        list: &[T],
        key: &str,
        faults: ContentFaults,
        object: impl Fn(usize, &T) -> Value,
    ) -> Value {
        let entries = self.numbers(list.len(), faults).into_iter().enumerate();
        entries
            .map(|(nth, (number, cursor))| json!({ "cursor": cursor, key: object(nth, &list[number]) }))
            .collect()
    }
}

/// A cursor says where to go on, in a form that clients do not understand.
fn cursor(place: usize) -> String {
    format!("{:012x}", place ^ 0x5eed)
}

fn place(cursor: &str) -> Option<usize> {
    usize::from_str_radix(cursor, 16).ok().filter(|_| cursor.len() == 12).map(|place| place ^ 0x5eed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str, length: usize, faults: ContentFaults) -> Vec<(usize, String)> {
        PageRequest::of(&Query::parse(query.as_bytes())).unwrap().numbers(length, faults)
    }

    #[test]
    fn pages_put_together_are_the_list_and_the_last_is_not_full() {
        let none = ContentFaults::default();
        let first = page("limit=3", 7, none);
        let second = page(&format!("limit=3&cursor={}", first[2].1), 7, none);
        let third = page(&format!("limit=3&cursor={}", second[2].1), 7, none);
        let numbers: Vec<usize> =
            [first, second, third].concat().into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!((page("", 50, none).len(), page("limit=100", 50, none).len()), (20, 50));
        assert!(page(&format!("cursor={}", cursor(7)), 7, none).is_empty());
    }

    #[test]
    fn faults_lead_back_or_on_for_ever() {
        let endless = ContentFaults { endless_pages: true, ..ContentFaults::default() };
        assert_eq!(page("limit=100", 7, endless).len(), 100);
        let circle = ContentFaults { page_cycle: true, ..ContentFaults::default() };
        let first = page("limit=100", 7, circle);
        assert_eq!((first.len(), &first[99].1), (100, &cursor(0)));
    }

    #[test]
    fn other_limits_and_cursors_are_refused() {
        for query in ["limit=0", "limit=101", "limit=all", "cursor=opaque", "cursor=0"] {
            let refused = PageRequest::of(&Query::parse(query.as_bytes()));
            assert!(matches!(refused, Err(Problem::BadRequest(_))), "{query}");
        }
    }
}
