//! What the log says while something fails again and again: a line when it begins, one each few minutes, one when it heals.
//!
//! While the API server itself cannot be reached, all that use it fail at once: they share one [`Outage`], and what succeeds
//! first ends it. What fails for a reason of its own, such as a missing permission, has one of its own besides.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::causes::{causes, is_unreachable};

/// The shortest time between two lines about failures. A line a retry would be more than 100,000 a day.
const EVERY: Duration = Duration::from_secs(5 * 60);

/// Failures of one thing, until it works again.
#[derive(Debug)]
pub(super) struct Outage {
    /// What fails, as a sentence of the log.
    what: &'static str,
    failures: Mutex<Failures>,
}

/// Failures since it worked last.
#[derive(Debug, Default)]
struct Failures {
    since: Option<Instant>,
    count: u64,
    /// Whether the log has this outage.
    is_told: bool,
    /// The last line about a failure, also one of an earlier outage: what comes and goes is not told each time.
    told_at: Option<Instant>,
}

/// How an outage was at the time of a line.
#[derive(Debug, PartialEq, Eq)]
struct Extent {
    lasts: Duration,
    failures: u64,
}

impl Failures {
    /// One more. Returns what a line is to say, if there is to be one.
    fn failed(&mut self) -> Option<Extent> {
        let now = Instant::now();
        let lasts = now - *self.since.get_or_insert(now);
        self.count += 1;
        if self.told_at.is_some_and(|told| now - told < EVERY) {
            return None;
        }
        (self.told_at, self.is_told) = (Some(now), true);
        Some(Extent { lasts, failures: self.count })
    }

    /// It works. Returns what a line is to say, if an outage ends that the log has.
    fn healed(&mut self) -> Option<Extent> {
        let ended = std::mem::take(self);
        self.told_at = ended.told_at;
        let lasts = ended.since?.elapsed();
        ended.is_told.then_some(Extent { lasts, failures: ended.count })
    }
}

impl Outage {
    /// Of something that works so far.
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, failures: Mutex::default() }
    }

    /// Of the API server as a whole.
    pub(super) fn of_api_server() -> Arc<Self> {
        Arc::new(Self::new("the API server cannot be reached; accounts are still collected"))
    }

    /// It failed, with this error.
    pub(super) fn failed(&self, error: &str) {
        if let Some(Extent { lasts, failures }) = self.with(Failures::failed) {
            tracing::warn!(error, failures, ?lasts, "{}", self.what);
        }
    }

    /// It worked.
    pub(super) fn healed(&self) {
        if let Some(Extent { lasts, failures }) = self.with(Failures::healed) {
            tracing::info!(failures, ?lasts, "over: {}", self.what);
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Failures) -> T) -> T {
        change(&mut self.failures.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Failures of one use of the API server.
#[derive(Debug)]
pub(super) struct UseOutage {
    own: Outage,
    server: Arc<Outage>,
}

impl UseOutage {
    /// Of a use that works so far.
    pub(super) fn new(what: &'static str, server: &Arc<Outage>) -> Self {
        Self { own: Outage::new(what), server: Arc::clone(server) }
    }

    /// A call or watch failed with `error`, which is, or was made of, `cause`, if that is known.
    pub(super) fn failed(&self, error: &(dyn std::error::Error + 'static), cause: Option<&kube::Error>) {
        let told_by = if cause.is_some_and(is_unreachable) { &*self.server } else { &self.own };
        told_by.failed(&causes(error));
    }

    /// The API server answered as it should.
    pub(super) fn healed(&self) {
        self.server.healed();
        self.own.healed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails each second for so long. Returns how many lines that is.
    async fn fails_for(failures: &mut Failures, time: Duration) -> usize {
        let mut lines = 0;
        for _ in 0..time.as_secs() {
            lines += usize::from(failures.failed().is_some());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        lines
    }

    #[tokio::test(start_paused = true)]
    async fn an_hour_of_failures_is_a_line_each_five_minutes_and_one_at_its_end() {
        let mut failures = Failures::default();
        assert_eq!(failures.failed(), Some(Extent { lasts: Duration::ZERO, failures: 1 }));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(fails_for(&mut failures, Duration::from_secs(3599)).await, 11);
        let whole = Extent { lasts: Duration::from_secs(3600), failures: 3600 };
        assert_eq!(failures.healed(), Some(whole));
        assert_eq!(failures.healed(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_works_says_nothing() {
        assert_eq!(Failures::default().healed(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_and_goes_each_second_is_two_lines_in_five_minutes() {
        let (mut failures, mut lines) = (Failures::default(), 0);
        for _ in 0..3600 / 2 {
            lines += fails_for(&mut failures, Duration::from_secs(1)).await;
            lines += usize::from(failures.healed().is_some());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(lines, 2 * 12);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_that_begins_later_is_told_at_once() {
        let mut failures = Failures::default();
        assert!(failures.failed().is_some() && failures.healed().is_some());
        tokio::time::advance(EVERY).await;
        assert_eq!(failures.failed(), Some(Extent { lasts: Duration::ZERO, failures: 1 }));
    }

    #[tokio::test(start_paused = true)]
    async fn all_that_use_an_api_server_that_is_away_share_its_outage() {
        let server = Outage::of_api_server();
        let [accounts, secrets] = [(); 2].map(|()| UseOutage::new("a watch is interrupted", &server));
        let away = || kube::Error::Service("client error (Connect)".into());
        let counts =
            || [&server, &accounts.own, &secrets.own].map(|outage: &Outage| outage.with(|of| of.count));
        for used in [&accounts, &secrets] {
            used.failed(&away(), Some(&away()));
        }
        assert_eq!(counts(), [2, 0, 0]);
        // A missing permission is nobody else's.
        let status = kube::core::Status::failure("forbidden", "Forbidden").with_code(403);
        let forbidden = kube::Error::Api(status.boxed());
        secrets.failed(&forbidden, Some(&forbidden));
        accounts.healed();
        assert_eq!(counts(), [0, 0, 1]);
    }
}
