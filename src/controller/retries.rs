//! When a reconcile that failed is tried again: later each time, and not before the API server allows it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use crate::account::AccountId;

/// The longest wait after a failure.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// Accounts whose last reconcile failed.
#[derive(Default)]
pub(super) struct Retries(Mutex<HashMap<AccountId, Retry>>);

struct Retry {
    backoff: ExponentialBackoff,
    /// Before this the API server does not want another attempt, whatever asks for it.
    not_before: Option<Instant>,
}

impl Retries {
    /// How long the API server does not want another attempt.
    pub(super) fn pause(&self, id: &AccountId) -> Option<Duration> {
        let not_before = self.retries().get(id)?.not_before?;
        not_before.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero())
    }

    /// Records a failure, and returns how long to wait.
    pub(super) fn failed(&self, id: &AccountId, retry_after: Option<Duration>) -> Duration {
        let mut retries = self.retries();
        let retry = retries.entry(id.clone()).or_insert_with(Retry::new);
        let asked = retry_after.map(|wait| wait.min(LONGEST_BACKOFF));
        retry.not_before = asked.map(|wait| Instant::now() + wait);
        retry.backoff.next().unwrap_or(LONGEST_BACKOFF).max(asked.unwrap_or_default())
    }

    pub(super) fn remove(&self, id: &AccountId) {
        self.retries().remove(id);
    }

    fn retries(&self) -> MutexGuard<'_, HashMap<AccountId, Retry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Retry {
    /// 1 s, 2 s, 4 s, …, each up to as much again, so no wait is longer than the longest.
    fn new() -> Self {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_secs(1))
            .with_max_delay(LONGEST_BACKOFF / 2)
            .without_max_times()
            .with_jitter()
            .build();
        Self { backoff, not_before: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_waits_longer_up_to_a_minute_and_no_two_accounts_alike() {
        let retries = Retries::default();
        let [acme, beta] = ["acme", "beta"].map(|name| AccountId::new("team-a", name));
        let waits: Vec<Duration> = (0..10).map(|_| retries.failed(&acme, None)).collect();
        for (wait, least) in waits.iter().zip([1, 2, 4, 8, 16, 30, 30]) {
            let least = Duration::from_secs(least);
            assert!((least..=2 * least).contains(wait), "{waits:?}");
        }
        assert!(waits.iter().all(|wait| *wait <= LONGEST_BACKOFF), "{waits:?}");
        assert_ne!(waits[0], retries.failed(&beta, None));
    }
}
