//! Which applications are collected: those of some organizations or spaces, by their guids. Pure.

use std::collections::HashSet;

use url::Url;

/// A query has at most so many guids, or a proxy might refuse its length. What is beyond is sorted out here.
const MOST_GUIDS: usize = 100;

/// Which applications are collected, by the guids of their spaces or organizations. The default takes all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Scope {
    /// Those whose applications are collected; `None` for all.
    pub(super) organizations: Option<HashSet<String>>,
    /// The same of spaces, which win.
    pub(super) spaces: Option<HashSet<String>>,
    /// What the settings name and was not found beside others: an organization or a space.
    pub(super) missing: Option<&'static str>,
}

impl Scope {
    /// Whether an application in this space of this organization is collected.
    pub(super) fn covers(&self, organization: Option<&str>, space: Option<&str>) -> bool {
        let is_in = |set: &Option<HashSet<String>>, guid: Option<&str>| {
            set.as_ref().is_none_or(|set| guid.is_some_and(|guid| set.contains(guid)))
        };
        // Its spaces were looked up in its organizations.
        if self.spaces.is_some() {
            is_in(&self.spaces, space)
        } else {
            is_in(&self.organizations, organization)
        }
    }

    /// Has a list filtered by the API, where the query does not get too long.
    pub(super) fn limit(&self, list: &mut Url) {
        let (name, guids) = match (&self.spaces, &self.organizations) {
            (Some(spaces), _) => ("space_guids", spaces),
            (None, Some(organizations)) => ("organization_guids", organizations),
            (None, None) => return,
        };
        if guids.len() <= MOST_GUIDS {
            let mut guids: Vec<&str> = guids.iter().map(String::as_str).collect();
            guids.sort_unstable();
            list.query_pairs_mut().append_pair(name, &guids.join(","));
        }
    }
}
