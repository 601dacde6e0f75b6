//! What the cloud refuses to tokens that are good, and how long the word of a page for a token counts. Asks nothing itself.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use tokio::time::Instant;
use url::Url;

/// So many refused paths are remembered; beyond that they are found out anew, at a page for all that are under way.
const MOST_PATHS: usize = 1 << 16;

/// What is known of tokens to which something was refused.
#[derive(Default)]
pub(super) struct Refusals {
    /// What a page said of the token of this login.
    judged: Option<(u64, Verdict)>,
    /// Hashes of the paths that were refused to a good token.
    paths: HashSet<u64>,
    hasher: RandomState,
}

/// What a page said of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was good when the page was asked for, and so before.
    GoodAt(Instant),
    /// The cloud does not take it.
    Gone,
}

impl Refusals {
    /// What a page said of the token of this login.
    pub(super) fn verdict(&self, generation: u64) -> Option<Verdict> {
        self.judged.filter(|(judged, _)| *judged == generation).map(|(_, verdict)| verdict)
    }

    /// A page said this of the token of this login.
    pub(super) fn judge(&mut self, generation: u64, verdict: Verdict) {
        self.judged = Some((generation, verdict));
    }

    /// Whether this was refused to a good token.
    pub(super) fn knows(&self, url: &Url) -> bool {
        self.paths.contains(&self.hash(url))
    }

    /// This was refused to a good token.
    pub(super) fn note(&mut self, url: &Url) {
        if self.paths.len() >= MOST_PATHS {
            self.paths.clear();
        }
        self.paths.insert(self.hash(url));
    }

    /// Of the path alone: the query tells the time.
    fn hash(&self, url: &Url) -> u64 {
        self.hasher.hash_one(url.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_path_is_known_at_any_time_and_the_memory_for_paths_is_bounded() {
        let mut refusals = Refusals::default();
        let url =
            |id: usize, query: &str| format!("https://a.example/v1/{id}/metrics{query}").parse().unwrap();
        refusals.note(&url(0, "?start_time=1"));
        assert!(refusals.knows(&url(0, "?start_time=2")) && !refusals.knows(&url(1, "")));
        for id in 0..=MOST_PATHS {
            refusals.note(&url(id, ""));
        }
        assert!(refusals.paths.len() <= MOST_PATHS && refusals.knows(&url(MOST_PATHS, "")));
    }
}
