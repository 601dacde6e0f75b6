//! When an account's cycles start: a grid of its own, so that accounts do not query all at the same moment.
//!
//! Arithmetic on the monotonic clock; jumps of the wall clock do not matter. And which overruns are logged.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::time::Instant;

use crate::account::AccountId;

/// The grid of one account: `origin + k * interval`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    origin: Instant,
    interval: Duration,
}

impl Schedule {
    /// The grid of the account with this UID, for a task that starts at `now`.
    pub(super) fn new(uid: &str, interval: Duration, now: Instant) -> Self {
        Self { origin: now + phase(uid, interval), interval }
    }

    /// The grid of an account whose last cycle, that of another task, started at `last`: a grid of its own would leave a cycle out.
    pub(super) fn going_on(last: Instant, interval: Duration) -> Self {
        Self { origin: last + interval, interval }
    }

    /// When the cycle after one that started at `started` and ended at `now` is due, and how many
    /// cycles between the two are left out because that one overran.
    ///
    /// The first cycle of a task starts at once, off the grid; the next is then the first moment of the
    /// grid that is at least half an interval away, so that no cloud is queried twice in a row.
    pub(super) fn next(&self, started: Instant, now: Instant) -> (Instant, u64) {
        let expected = self.at_or_after(started + self.interval / 2);
        let due = self.at_or_after(now.max(expected));
        let skipped = due.duration_since(expected).as_nanos() / self.interval.as_nanos().max(1);
        (due, u64::try_from(skipped).unwrap_or(u64::MAX))
    }

    /// The first moment of the grid at or after `moment`.
    fn at_or_after(&self, moment: Instant) -> Instant {
        let Some(since) = moment.checked_duration_since(self.origin) else { return self.origin };
        let interval = self.interval.as_nanos().max(1);
        let steps = u32::try_from(since.as_nanos().div_ceil(interval)).unwrap_or(u32::MAX);
        self.origin + self.interval * steps
    }
}

/// How often an account is warned of that overruns in each cycle.
const WARNED_EVERY: Duration = Duration::from_secs(60 * 60);

/// Which of an account's overruns are logged: the first, and then one an hour, since a thousand slow accounts of one tenant would
/// fill the log for ever.
#[derive(Debug, Default)]
pub(super) struct Overruns {
    warned: Option<Instant>,
}

impl Overruns {
    /// Logs that so many cycles of the account were skipped, if that is news.
    pub(super) fn warn(&mut self, account: &AccountId, skipped: u64) {
        if self.is_news(Instant::now()) {
            tracing::warn!(
                %account, skipped,
                "the collection took longer than its interval; raise spec.collection.interval"
            );
        }
    }

    /// Whether an overrun at `now` is logged.
    fn is_news(&mut self, now: Instant) -> bool {
        let is_news = self.warned.is_none_or(|warned| now.duration_since(warned) >= WARNED_EVERY);
        if is_news {
            self.warned = Some(now);
        }
        is_news
    }
}

/// Where in the interval an account's grid lies: spread evenly by a hash of its UID.
fn phase(uid: &str, interval: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    let share = f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    interval.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_account_that_always_overruns_is_warned_of_at_first_and_then_once_an_hour() {
        let (mut overruns, start) = (Overruns::default(), Instant::now());
        let warned = (0..1_000).filter(|number| overruns.is_news(start + Duration::from_secs(10) * *number));
        assert_eq!(warned.collect::<Vec<_>>(), [0, 360, 720]);
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule(now: Instant) -> Schedule {
        Schedule { origin: now + 7 * SECOND, interval: 30 * SECOND }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cycle_in_time_is_followed_at_the_next_moment_of_the_grid() {
        let start = Instant::now();
        assert_eq!(schedule(start).next(start + 37 * SECOND, start + 40 * SECOND), (start + 67 * SECOND, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_overrun_leaves_out_the_cycles_it_covers_and_counts_them() {
        let start = Instant::now();
        assert_eq!(schedule(start).next(start + 37 * SECOND, start + 70 * SECOND), (start + 97 * SECOND, 1));
        assert_eq!(
            schedule(start).next(start + 37 * SECOND, start + 130 * SECOND),
            (start + 157 * SECOND, 3)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_are_spread_over_the_interval() {
        let interval = 30 * SECOND;
        let mut tenths = [0_u32; 10];
        for account in 0..1000 {
            let share = phase(&format!("uid-{account}"), interval).as_secs_f64() / interval.as_secs_f64();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and 1
            let tenth = ((share * 10.0) as usize).min(9);
            tenths[tenth] += 1;
        }
        assert!(tenths.iter().all(|&count| (50..200).contains(&count)), "{tenths:?}");
    }

    proptest! {
        #[test]
        fn the_next_cycle_is_never_in_the_past_nor_sooner_than_half_an_interval(
            uid in "[a-f0-9-]{1,36}", interval in 1_u64..4000, begin in 0_u64..100_000, took in 0_u64..100_000,
        ) {
            let origin = Instant::now();
            let interval = Duration::from_secs(interval);
            let started = origin + Duration::from_secs(begin);
            let ended = started + Duration::from_secs(took);
            let (due, _) = Schedule::new(&uid, interval, origin).next(started, ended);
            prop_assert!(due >= ended && due >= started + interval / 2);
            prop_assert!(due.duration_since(ended) <= interval * 2);
        }
    }
}
