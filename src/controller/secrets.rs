//! When Secrets are read: by `get`, on a budget, and at once where there is a reason to.
//!
//! The rules are pure ([`Load`]); [`Turns`](super::turns::Turns) keep the rate.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::account::AccountId;

/// The most reads of Secrets in a second, over all accounts.
pub(super) const READS_A_SECOND: u32 = 10;

/// How many of these may be for accounts that cannot wait, so that the others are never left out.
pub(super) const URGENT_A_SECOND: u32 = 8;

/// How many of these come of periods. The rest is for what nobody can foresee.
const PLANNED_A_SECOND: u32 = 9;

/// The shortest time between two readings for an account that is well.
const BEST_PERIOD: Duration = Duration::from_secs(60);

/// The shortest time between two readings for an account that fails for its credentials.
const FAILING_PERIOD: Duration = Duration::from_secs(15);

/// How an account stands, as far as it decides about reading its Secrets again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// The last reading did not give usable credentials, or the cloud rejects them.
    pub(super) failing: bool,
    /// How many Secrets are read for it.
    pub(super) secrets: u32,
}

/// How many Secrets are read again and again, over all accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Load {
    failing: u32,
    well: u32,
}

impl Load {
    /// An account stands otherwise than before.
    pub(super) fn change(&mut self, before: Standing, after: Standing) {
        let of_before = if before.failing { &mut self.failing } else { &mut self.well };
        *of_before = of_before.saturating_sub(before.secrets);
        let of_after = if after.failing { &mut self.failing } else { &mut self.well };
        *of_after = of_after.saturating_add(after.secrets);
    }

    /// The time between two readings of an account's Secrets: the failing come first, the others share what is left.
    pub(super) fn period(self, failing: bool) -> Duration {
        if failing {
            FAILING_PERIOD.max(Duration::from_secs(1) * self.failing / URGENT_A_SECOND)
        } else {
            let left = f64::from(PLANNED_A_SECOND) - self.urgent_a_second();
            BEST_PERIOD.max(Duration::from_secs_f64(f64::from(self.well) / left))
        }
    }

    /// How many reads a second the failing accounts need.
    pub(super) fn urgent_a_second(self) -> f64 {
        (f64::from(self.failing) / FAILING_PERIOD.as_secs_f64()).min(f64::from(URGENT_A_SECOND))
    }
}

/// Which accounts read which Secret, and which version they saw.
#[derive(Default)]
pub(super) struct References(Mutex<Sides>);

/// The same pairs from both sides, so that neither a reconcile nor an event looks through all of them.
#[derive(Default)]
struct Sides {
    by_account: HashMap<AccountId, Vec<(String, Option<String>)>>,
    by_secret: HashMap<(String, String), HashSet<AccountId>>,
}

impl References {
    /// Remembers that an account reads these Secrets of its namespace, each with the version that it saw.
    pub(super) fn remember(&self, id: &AccountId, secrets: Vec<(String, Option<String>)>) {
        let mut sides = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sides.forget(id);
        for (name, _) in &secrets {
            let key = (id.namespace.to_string(), name.clone());
            sides.by_secret.entry(key).or_default().insert(id.clone());
        }
        sides.by_account.insert(id.clone(), secrets);
    }

    /// Forgets an account.
    pub(super) fn forget(&self, id: &AccountId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).forget(id);
    }

    /// The accounts that have seen another version of this Secret than this one.
    pub(super) fn outdated(&self, namespace: &str, name: &str, version: Option<&str>) -> Vec<AccountId> {
        let sides = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(readers) = sides.by_secret.get(&(namespace.to_owned(), name.to_owned())) else {
            return Vec::new();
        };
        let outdated = |id: &&AccountId| {
            let seen = sides.by_account.get(*id).into_iter().flatten().find(|(secret, _)| secret == name);
            seen.is_some_and(|(_, seen)| seen.as_deref() != version)
        };
        readers.iter().filter(outdated).cloned().collect()
    }
}

impl Sides {
    fn forget(&mut self, id: &AccountId) {
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

    const SECOND: Duration = Duration::from_secs(1);

    /// The load of so many Secrets, each of an account of its own.
    fn load(failing: u32, well: u32) -> Load {
        Load { failing, well }
    }

    #[test]
    fn an_account_that_is_well_is_read_each_minute_and_a_failing_one_each_15_seconds() {
        for well in [1, 500] {
            assert_eq!(load(10, well).period(false), 60 * SECOND, "{well}");
            assert_eq!(load(10, well).period(true), 15 * SECOND, "{well}");
        }
    }

    #[test]
    fn those_that_are_well_share_what_the_failing_leave() {
        assert_eq!(load(0, 9_000).period(false), 1000 * SECOND);
        assert_eq!(load(60, 9_000).period(false), 1800 * SECOND, "60 failing ones take four reads a second");
        assert_eq!(load(9_000, 9_000).period(false), 9000 * SECOND, "they are never left out");
    }

    #[test]
    fn a_failing_account_waits_for_other_failing_ones_only() {
        assert_eq!(load(1, 10_000).period(true), 15 * SECOND);
        assert_eq!(load(120, 10_000).period(true), 15 * SECOND);
        assert_eq!(load(800, 10_000).period(true), 100 * SECOND);
    }

    #[test]
    fn a_second_secret_counts_as_a_read() {
        let mut load = Load::default();
        for _ in 0..900 {
            load.change(Standing::default(), Standing { failing: false, secrets: 2 });
        }
        assert_eq!(load.period(false), 200 * SECOND);
        load.change(Standing { failing: false, secrets: 2 }, Standing { failing: true, secrets: 2 });
        assert_eq!(load, Load { failing: 2, well: 1798 });
        load.change(Standing { failing: true, secrets: 2 }, Standing::default());
        assert_eq!(load, Load { failing: 0, well: 1798 }, "one that reads nothing lengthens nobody's period");
    }

    #[test]
    fn only_readers_of_another_version_are_outdated() {
        let references = References::default();
        let (acme, beta) = (AccountId::new("team-a", "acme"), AccountId::new("team-a", "beta"));
        references.remember(&acme, vec![("shared".into(), Some("1".into()))]);
        references.remember(&beta, vec![("shared".into(), Some("2".into()))]);
        assert_eq!(references.outdated("team-a", "shared", Some("2")), std::slice::from_ref(&acme));
        assert!(references.outdated("team-b", "shared", Some("3")).is_empty());

        references.remember(&acme, vec![("other".into(), None)]);
        references.forget(&beta);
        assert!(references.outdated("team-a", "shared", Some("3")).is_empty());
        assert_eq!(references.outdated("team-a", "other", Some("1")), [acme]);
    }
}
