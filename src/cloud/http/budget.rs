//! How fast and how much at once one account may ask: a token bucket that a 429 slows down, and a number of slots.
//!
//! Runs on tokio's clock. Whoever gives up waiting (a dropped future) leaves nothing taken.

use std::sync::{Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};

use crate::cloud::CloudError;

/// So long after the end of a pause the rate would have come back from nothing; from a half it takes half as long.
const RECOVERY: Duration = Duration::from_secs(5 * 60);
/// The slowest that a cloud can make us, as a part of the account's own rate.
const SLOWEST: f64 = 1.0 / 64.0;
/// Tokens are saved up for this long, so that a burst stays a small part of a second's requests.
const BURST: Duration = Duration::from_millis(100);

/// An account's budget of requests.
pub(super) struct RequestBudget {
    slots: Semaphore,
    /// Held while waiting for a token: whoever came first goes first.
    turnstile: Mutex<()>,
    rate: StdMutex<Rate>,
}

impl RequestBudget {
    pub(super) fn new(requests_per_second: u32, most_at_once: usize) -> Self {
        Self {
            slots: Semaphore::new(most_at_once.clamp(1, Semaphore::MAX_PERMITS)),
            turnstile: Mutex::new(()),
            rate: StdMutex::new(Rate::new(f64::from(requests_per_second.max(1)), Instant::now())),
        }
    }

    /// Waits until one more request may be sent, and holds its slot until dropped.
    ///
    /// While the cloud wants silence for longer than `patience` the answer is `RateLimited`, at once.
    pub(super) async fn admit(&self, patience: Duration) -> Result<Option<SemaphorePermit<'_>>, CloudError> {
        // Fails only when closed, which nobody does.
        let slot = self.slots.acquire().await.ok();
        let _turn = self.turnstile.lock().await;
        loop {
            let now = Instant::now();
            let wait = {
                let mut rate = self.rate();
                if let Some(silence) = rate.silence(now).filter(|silence| *silence > patience) {
                    return Err(CloudError::RateLimited { retry_after: Some(silence) });
                }
                match rate.take(now) {
                    Ok(()) => return Ok(slot),
                    Err(wait) => wait,
                }
            };
            sleep(wait).await;
        }
    }

    /// The cloud answered 429 to a request sent at `sent`: silence for `pause`, then at half the rate.
    pub(super) fn throttle(&self, sent: Instant, pause: Duration) {
        self.rate().throttle(Instant::now(), sent, pause);
    }

    /// Whether nothing may be sent now.
    pub(super) fn is_silent(&self) -> bool {
        self.rate().silence(Instant::now()).is_some()
    }

    fn rate(&self) -> MutexGuard<'_, Rate> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bucket itself: plain arithmetic over instants.
struct Rate {
    /// Requests a second as configured.
    full: f64,
    /// The newest slowdown.
    slowed: Option<Slowdown>,
    tokens: f64,
    filled: Instant,
}

#[derive(Clone, Copy)]
struct Slowdown {
    /// When it was found.
    at: Instant,
    /// Until when nothing is sent.
    until: Instant,
    /// The rate after that.
    rate: f64,
}

impl Rate {
    fn new(full: f64, now: Instant) -> Self {
        Self { full, slowed: None, tokens: Self::most_tokens(full), filled: now }
    }

    fn most_tokens(rate: f64) -> f64 {
        (rate * BURST.as_secs_f64()).max(1.0)
    }

    /// Requests a second now: after a slowdown it rises steadily to full.
    fn current(&self, now: Instant) -> f64 {
        self.slowed.map_or(self.full, |slowed| {
            let recovered =
                now.saturating_duration_since(slowed.until).as_secs_f64() / RECOVERY.as_secs_f64();
            (slowed.rate + self.full * recovered).min(self.full)
        })
    }

    /// How long nothing may be sent from now on, if so.
    fn silence(&self, now: Instant) -> Option<Duration> {
        let left = self.slowed?.until.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Takes a token, or tells how long to wait before trying again.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        if let Some(silence) = self.silence(now) {
            return Err(silence);
        }
        let rate = self.current(now);
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * rate;
        self.tokens = (self.tokens + gained).min(Self::most_tokens(rate));
        self.filled = now;
        // Sums of fractions fall short of a whole by their last bits.
        if self.tokens >= 1.0 - 1e-6 {
            self.tokens = (self.tokens - 1.0).max(0.0);
            Ok(())
        } else {
            Err(Duration::from_secs_f64((1.0 - self.tokens) / rate))
        }
    }

    /// Requests that were under way when the slowdown was found tell nothing new: together they count once.
    fn throttle(&mut self, now: Instant, sent: Instant, pause: Duration) {
        // A cloud that asked for a longer silence before has not taken it back.
        let until = self.slowed.map_or(now + pause, |slowed| slowed.until.max(now + pause));
        match &mut self.slowed {
            Some(slowed) if sent <= slowed.at => slowed.until = until,
            _ => {
                let rate = (self.current(now) / 2.0).max(self.full * SLOWEST);
                self.slowed = Some(Slowdown { at: now, until, rate });
            }
        }
        self.tokens = 0.0;
        self.filled = until;
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio::time::{advance, timeout};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    async fn admit(budget: &RequestBudget) -> Result<(), CloudError> {
        budget.admit(PATIENCE).await.map(|_| ())
    }

    #[tokio::test(start_paused = true)]
    async fn requests_keep_to_the_rate_after_a_small_burst() {
        let budget = RequestBudget::new(50, 32);
        let start = Instant::now();
        join_all((0..105).map(|_| admit(&budget))).await;
        let took = start.elapsed();
        assert!((Duration::from_millis(1_950)..Duration::from_millis(2_200)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_silences_halves_and_the_rate_comes_back() {
        let budget = RequestBudget::new(50, 32);
        let sent = Instant::now();
        advance(Duration::from_millis(20)).await;
        budget.throttle(sent, Duration::from_secs(5));
        let is_slow = |budget: &RequestBudget| budget.rate().current(Instant::now()) < 50.0;
        assert!(budget.is_silent() && is_slow(&budget));

        let start = Instant::now();
        admit(&budget).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(5), "{:?}", start.elapsed());

        let start = Instant::now();
        join_all((0..50).map(|_| admit(&budget))).await;
        let took = start.elapsed();
        assert!((Duration::from_millis(1_800)..Duration::from_millis(2_100)).contains(&took), "{took:?}");

        advance(RECOVERY / 2).await;
        assert!(!is_slow(&budget), "half of the rate is back after half of the recovery");
    }

    #[tokio::test(start_paused = true)]
    async fn thirty_two_429s_of_requests_sent_together_halve_once() {
        let budget = RequestBudget::new(64, 32);
        let sent = Instant::now();
        advance(Duration::from_millis(20)).await;
        for _ in 0..32 {
            budget.throttle(sent, Duration::from_secs(1));
        }
        let now = Instant::now();
        assert!((budget.rate().current(now) - 32.0).abs() < 0.1);

        advance(Duration::from_secs(2)).await;
        budget.throttle(Instant::now(), Duration::from_secs(1));
        assert!(budget.rate().current(now) < 17.0, "a later one counts again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_that_asks_for_less_does_not_end_a_longer_silence() {
        let budget = RequestBudget::new(50, 32);
        budget.throttle(Instant::now(), Duration::from_secs(8));
        advance(Duration::from_secs(1)).await;
        budget.throttle(Instant::now(), Duration::from_secs(1));
        let start = Instant::now();
        admit(&budget).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn however_often_it_is_slowed_it_never_stops() {
        let budget = RequestBudget::new(64, 1);
        for _ in 0..100 {
            advance(Duration::from_millis(10)).await;
            budget.throttle(Instant::now(), Duration::from_millis(1));
        }
        assert!(budget.rate().current(Instant::now()) >= 1.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_silence_refuses_at_once_instead_of_queueing() {
        let budget = RequestBudget::new(50, 4);
        budget.throttle(Instant::now(), Duration::from_secs(60));
        let start = Instant::now();
        let refused = join_all((0..100).map(|_| admit(&budget))).await;
        assert!(
            refused.iter().all(|one| matches!(one, Err(CloudError::RateLimited { retry_after: Some(_) })))
        );
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_slots_at_once_and_a_dropped_wait_takes_none() {
        let budget = RequestBudget::new(1_000, 2);
        let first = budget.admit(PATIENCE).await.unwrap();
        let _second = budget.admit(PATIENCE).await.unwrap();
        assert!(timeout(Duration::from_secs(1), admit(&budget)).await.is_err(), "both slots are taken");

        drop(first);
        timeout(Duration::from_secs(1), admit(&budget)).await.expect("the slot is free").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_for_a_token_that_is_dropped_lets_the_next_one_in() {
        let budget = RequestBudget::new(1, 8);
        admit(&budget).await.unwrap();
        assert!(timeout(Duration::from_millis(100), admit(&budget)).await.is_err());
        let start = Instant::now();
        admit(&budget).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(1), "the dropped wait took no token");
    }
}
