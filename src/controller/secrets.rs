//! When Secrets are read: by `get`, on a budget, and at once where there is a reason to.
//!
//! The rules are pure ([`due`], [`period`]); the [`Turnstile`] keeps the rate.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::account::AccountId;

/// The most reads of Secrets in a second, over all accounts.
const READS_A_SECOND: u32 = 10;

/// The shortest time between two reads for an account that is well.
const BEST_PERIOD: Duration = Duration::from_secs(60);

/// The time between two reads for an account that fails for its credentials.
const FAILING_PERIOD: Duration = Duration::from_secs(15);

/// How an account stands, as far as it decides about reading its Secrets again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// The last reading did not give usable credentials, or the cloud rejects them.
    pub(super) failing: bool,
    /// How many accounts share the budget.
    pub(super) accounts: usize,
}

/// The time between two readings of an account's Secrets.
pub(super) fn period(standing: Standing) -> Duration {
    let share =
        Duration::from_secs(1) * u32::try_from(standing.accounts).unwrap_or(u32::MAX) / READS_A_SECOND;
    if standing.failing { FAILING_PERIOD.max(share) } else { BEST_PERIOD.max(share) }
}

/// Whether a reading this old is to be made again.
pub(super) fn due(age: Duration, standing: Standing) -> bool {
    age >= period(standing)
}

/// Lets through [`READS_A_SECOND`], in the order of asking.
#[derive(Default)]
pub(super) struct Turnstile {
    next: Mutex<Option<Instant>>,
}

impl Turnstile {
    /// Waits for a turn.
    pub(super) async fn pass(&self) {
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let turn = next.map_or(now, |next| next.max(now));
            *next = Some(turn + Duration::from_secs(1) / READS_A_SECOND);
            turn
        };
        tokio::time::sleep_until(turn).await;
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

    #[test]
    fn an_account_that_is_well_is_read_each_minute_and_a_failing_one_each_15_seconds() {
        let standing = |failing| Standing { failing, accounts: 10 };
        assert!(!due(59 * SECOND, standing(false)) && due(60 * SECOND, standing(false)));
        assert!(!due(14 * SECOND, standing(true)) && due(15 * SECOND, standing(true)));
    }

    #[test]
    fn many_accounts_share_ten_reads_a_second() {
        assert_eq!(period(Standing { failing: false, accounts: 10_000 }), 1000 * SECOND);
        assert_eq!(period(Standing { failing: true, accounts: 10_000 }), 1000 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn the_turnstile_lets_ten_through_a_second() {
        let turnstile = Turnstile::default();
        let start = Instant::now();
        for _ in 0..31 {
            turnstile.pass().await;
        }
        assert!((3 * SECOND..3 * SECOND + SECOND / 10).contains(&start.elapsed()), "{:?}", start.elapsed());
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
