//! How fast and how concurrently one account may send requests: a token bucket that a 429 slows down, and a number of slots.
//!
//! Runs on tokio's clock. A waiter that is dropped leaves nothing taken.

use std::sync::{Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};

use crate::cloud::CloudError;

/// How long the rate takes to recover from nothing after a silence; from a half it takes half as long.
const RECOVERY: Duration = Duration::from_secs(5 * 60);
/// The lowest rate that a cloud can impose, as a part of the account's own.
const LOWEST: f64 = 1.0 / 64.0;
/// The bucket holds the tokens of this long, so that a burst is a small part of a second's requests.
const BURST: Duration = Duration::from_millis(100);

/// One account's requests: at most so many at once, and so many a second.
pub(super) struct RequestBudget {
    slots: Semaphore,
    /// Held while waiting for a token, so that requests are admitted in order.
    queue: Mutex<()>,
    bucket: StdMutex<TokenBucket>,
}

impl RequestBudget {
    pub(super) fn new(requests_per_second: u32, max_concurrent: usize) -> Self {
        let rate = f64::from(requests_per_second.max(1));
        Self {
            slots: Semaphore::new(max_concurrent.clamp(1, Semaphore::MAX_PERMITS)),
            queue: Mutex::new(()),
            bucket: StdMutex::new(TokenBucket::new(rate, Instant::now())),
        }
    }

    /// Waits until one more request may be sent. The request holds its slot until the permit is dropped.
    ///
    /// Fails at once with `RateLimited` while the cloud asks for silence for longer than `max_silence`.
    pub(super) async fn admit(
        &self,
        max_silence: Duration,
    ) -> Result<Option<SemaphorePermit<'_>>, CloudError> {
        // `None` only for a closed semaphore, and this one is never closed.
        let slot = self.slots.acquire().await.ok();
        let _turn = self.queue.lock().await;
        loop {
            let now = Instant::now();
            let wait = {
                let mut bucket = self.bucket();
                if let Some(silence) = bucket.silence(now).filter(|silence| *silence > max_silence) {
                    return Err(CloudError::RateLimited { retry_after: Some(silence) });
                }
                match bucket.take(now) {
                    Ok(()) => return Ok(slot),
                    Err(wait) => wait,
                }
            };
            sleep(wait).await;
        }
    }

    /// The cloud answered 429 to a request sent at `sent`: silence for `pause`, then half the rate.
    pub(super) fn throttle(&self, sent: Instant, pause: Duration) {
        self.bucket().throttle(Instant::now(), sent, pause);
    }

    /// Another client of the same connection was told to be silent until then. It may be what this one knows already: the rate
    /// is halved once.
    pub(super) fn keep_silent(&self, until: Instant) {
        let now = Instant::now();
        let mut bucket = self.bucket();
        let known = bucket.slowdown.filter(|slowdown| slowdown.until > now).map(|slowdown| slowdown.at);
        bucket.throttle(now, known.unwrap_or(now), until.saturating_duration_since(now));
    }

    /// Whether nothing may be sent now.
    pub(super) fn is_silent(&self) -> bool {
        self.silent_until().is_some()
    }

    /// Until when nothing may be sent, if so.
    pub(super) fn silent_until(&self) -> Option<Instant> {
        let now = Instant::now();
        self.bucket().silence(now).map(|left| now + left)
    }

    fn bucket(&self) -> MutexGuard<'_, TokenBucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tokens that accumulate at a rate: plain arithmetic over instants.
struct TokenBucket {
    /// The configured rate, in requests a second.
    full_rate: f64,
    /// The newest slowdown.
    slowdown: Option<Slowdown>,
    tokens: f64,
    filled_at: Instant,
}

#[derive(Clone, Copy)]
struct Slowdown {
    /// When the 429 arrived.
    at: Instant,
    /// The end of the silence.
    until: Instant,
    /// The rate after that.
    rate: f64,
}

impl TokenBucket {
    fn new(full_rate: f64, now: Instant) -> Self {
        Self { full_rate, slowdown: None, tokens: Self::capacity(full_rate), filled_at: now }
    }

    fn capacity(rate: f64) -> f64 {
        (rate * BURST.as_secs_f64()).max(1.0)
    }

    /// The rate now: after a slowdown it rises steadily to the full one.
    fn rate(&self, now: Instant) -> f64 {
        self.slowdown.map_or(self.full_rate, |slowdown| {
            let elapsed = now.saturating_duration_since(slowdown.until);
            let recovered = elapsed.as_secs_f64() / RECOVERY.as_secs_f64();
            (slowdown.rate + self.full_rate * recovered).min(self.full_rate)
        })
    }

    /// How long nothing may be sent from now on, if at all.
    fn silence(&self, now: Instant) -> Option<Duration> {
        let left = self.slowdown?.until.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Takes a token, or returns how long to wait before the next try.
    ///
    /// An empty bucket fills almost to its capacity first: one timer then admits a burst instead of one request. The last
    /// token is left as slack, so that a timer that fires late loses none.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        if let Some(silence) = self.silence(now) {
            return Err(silence);
        }
        let rate = self.rate(now);
        let capacity = Self::capacity(rate);
        let gained = now.saturating_duration_since(self.filled_at).as_secs_f64() * rate;
        self.tokens = (self.tokens + gained).min(capacity);
        self.filled_at = now;
        // Sums of fractions fall short of a whole by their last bits.
        if self.tokens >= 1.0 - 1e-6 {
            self.tokens = (self.tokens - 1.0).max(0.0);
            Ok(())
        } else {
            let burst = (capacity - 1.0).max(1.0);
            Err(Duration::from_secs_f64((burst - self.tokens) / rate))
        }
    }

    /// Requests that were in flight when the slowdown began say nothing new: together they count once.
    fn throttle(&mut self, now: Instant, sent: Instant, pause: Duration) {
        // A shorter pause does not take back a longer one that the cloud asked for before.
        let until = self.slowdown.map_or(now + pause, |slowdown| slowdown.until.max(now + pause));
        match &mut self.slowdown {
            Some(slowdown) if sent <= slowdown.at => slowdown.until = until,
            _ => {
                let rate = (self.rate(now) / 2.0).max(self.full_rate * LOWEST);
                self.slowdown = Some(Slowdown { at: now, until, rate });
            }
        }
        self.tokens = 0.0;
        self.filled_at = until;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

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
    async fn requests_at_the_rate_go_out_in_bursts_and_lose_nothing_of_it() {
        let budget = RequestBudget::new(50, 32);
        let start = Instant::now();
        let admitted = join_all((0..1_005).map(async |_| {
            admit(&budget).await.unwrap();
            start.elapsed()
        }));
        let admitted = admitted.await;
        let wake_ups: HashSet<_> = admitted.iter().collect();
        assert!(wake_ups.len() <= 1_000 / 4 + 1, "{} wake-ups for 1,000 requests", wake_ups.len());
        let took = start.elapsed().as_millis();
        assert!((19_900..20_200).contains(&took), "{took} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_silences_halves_and_the_rate_comes_back() {
        let budget = RequestBudget::new(50, 32);
        let sent = Instant::now();
        advance(Duration::from_millis(20)).await;
        budget.throttle(sent, Duration::from_secs(5));
        let is_slow = |budget: &RequestBudget| budget.bucket().rate(Instant::now()) < 50.0;
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
        assert!((budget.bucket().rate(now) - 32.0).abs() < 0.1);

        advance(Duration::from_secs(2)).await;
        budget.throttle(Instant::now(), Duration::from_secs(1));
        assert!(budget.bucket().rate(now) < 17.0, "a later one counts again");
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
        assert!(budget.bucket().rate(Instant::now()) >= 1.0);
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
