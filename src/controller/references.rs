//! Which accounts read which Secret, and which version they saw. Knows names and versions only.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::account::AccountId;

/// Which accounts read which Secret, and which version they saw.
#[derive(Default)]
pub(super) struct References(Mutex<Index>);

/// The same pairs by either side, so neither a reconcile nor an event searches all of them.
#[derive(Default)]
struct Index {
    by_account: HashMap<AccountId, Vec<(String, Option<String>)>>,
    by_secret: HashMap<(String, String), HashSet<AccountId>>,
}

impl References {
    /// Records that an account reads these Secrets of its namespace, each with the version that it saw.
    pub(super) fn record(&self, id: &AccountId, secrets: Vec<(String, Option<String>)>) {
        let mut index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        index.remove(id);
        for (name, _) in &secrets {
            let key = (id.namespace.to_string(), name.clone());
            index.by_secret.entry(key).or_default().insert(id.clone());
        }
        index.by_account.insert(id.clone(), secrets);
    }

    /// Removes an account.
    pub(super) fn remove(&self, id: &AccountId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// The accounts that have seen another version of this Secret than this one.
    pub(super) fn outdated(&self, namespace: &str, name: &str, version: Option<&str>) -> Vec<AccountId> {
        let index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(readers) = index.by_secret.get(&(namespace.to_owned(), name.to_owned())) else {
            return Vec::new();
        };
        let outdated = |id: &&AccountId| {
            let seen = index.by_account.get(*id).into_iter().flatten().find(|(secret, _)| secret == name);
            seen.is_some_and(|(_, seen)| seen.as_deref() != version)
        };
        readers.iter().filter(outdated).cloned().collect()
    }
}

impl Index {
    fn remove(&mut self, id: &AccountId) {
        for (name, _) in self.by_account.remove(id).into_iter().flatten() {
            let key = (id.namespace.to_string(), name);
            if let Some(readers) = self.by_secret.get_mut(&key) {
                readers.remove(id);
                if readers.is_empty() {
                    self.by_secret.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_readers_of_another_version_are_outdated() {
        let references = References::default();
        let (acme, beta) = (AccountId::new("team-a", "acme"), AccountId::new("team-a", "beta"));
        references.record(&acme, vec![("shared".into(), Some("1".into()))]);
        references.record(&beta, vec![("shared".into(), Some("2".into()))]);
        assert_eq!(references.outdated("team-a", "shared", Some("2")), std::slice::from_ref(&acme));
        assert!(references.outdated("team-b", "shared", Some("3")).is_empty());

        references.record(&acme, vec![("other".into(), None)]);
        references.remove(&beta);
        assert!(references.outdated("team-a", "shared", Some("3")).is_empty());
        assert_eq!(references.outdated("team-a", "other", Some("1")), [acme]);
    }
}
