//! The limits that a cloud publishes, such as 5,000 requests an hour, kept by all accounts that share a token or user.
//!
//! Each account of a group takes a token of the group's buckets for each request. A bucket holds 5 % of its limit and
//! refills with 85 % of it, so that any window of the limit sees at most 90 % of the requests that the cloud allows.
//! Accounts also say how many requests their cycles need; from the sum follows how much longer than wanted their
//! intervals must be. Knows no cloud and sends nothing. Runs on tokio's clock.
//!
//! Its buckets differ from the one of a single account (`budget`): theirs are many, of one fixed rate each and exact over a
//! window, since the cloud counts; the account's has a rate that falls with a 429 and comes back, and lets requests go in
//! bursts to save timers. What they have in common is one line.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use url::Url;

use super::reset::NamedLimit;
use crate::cloud::CloudError;
use crate::hash::keyed_hash;

/// The part of a limit that may be spent at once.
const BURST: f64 = 0.05;
/// The part of a limit that may be spent evenly over its window, besides the burst.
const STEADY: f64 = 0.85;
/// A limit of fewer requests counts as one of this many: below it, 5 % are less than one request.
const LEAST: u32 = 20;

/// A limit on requests: at most so many in any window of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in a window.
    pub requests: u32,
    /// The length of the window.
    pub window: Duration,
}

impl RateLimit {
    /// So many requests an hour.
    pub const fn per_hour(requests: u32) -> Self {
        Self { requests, window: Duration::from_secs(3600) }
    }

    /// So many requests a minute.
    pub const fn per_minute(requests: u32) -> Self {
        Self { requests, window: Duration::from_secs(60) }
    }

    /// So many requests a second.
    pub const fn per_second(requests: u32) -> Self {
        Self { requests, window: Duration::from_secs(1) }
    }

    /// Requests a second that may be sent for ever.
    fn steady(self) -> f64 {
        f64::from(self.requests.max(LEAST)) * STEADY / self.window.as_secs_f64()
    }

    fn burst(self) -> f64 {
        f64::from(self.requests.max(LEAST)) * BURST
    }
}

/// Whose requests a cloud counts together: equal for accounts with one endpoint and one token or user. It consists of hashes
/// with a key of this process, so it shows nothing of either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateGroup {
    accounts: u64,
    origin: u64,
}

impl RateGroup {
    /// The group of this endpoint and these credentials. They must include a secret: accounts of a group slow each other
    /// down, so nobody may join one by knowing a name.
    pub fn new(endpoint: &Url, credentials: &str) -> Self {
        Self { accounts: keyed_hash((endpoint.as_str(), credentials)), origin: keyed_hash(endpoint.origin()) }
    }
}

/// The limits that a cloud publishes, and who shares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedLimits {
    /// Who shares them.
    pub group: RateGroup,
    /// The limits; all of them hold. Empty if only the headers of the answers report them.
    pub limits: Vec<RateLimit>,
    /// The window of the limit that the answers' headers name, where they name one: it takes the place of the published
    /// limit of that window.
    pub header_window: Option<Duration>,
}

/// The groups of the process.
#[derive(Default)]
pub(super) struct SharedRates(StdMutex<HashMap<RateGroup, Weak<SharedRate>>>);

impl SharedRates {
    /// What one more account of the group may spend together with the others.
    pub(super) fn share(&self, published: &PublishedLimits) -> RateShare {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = groups.get(&published.group).and_then(Weak::upgrade).unwrap_or_else(|| {
            groups.retain(|_, group| group.strong_count() > 0);
            let rate = Arc::new(SharedRate::new(published));
            groups.insert(published.group, Arc::downgrade(&rate));
            rate
        });
        RateShare(Arc::new(Share { number: rate.next_number(), rate }))
    }
}

/// What the accounts of a group may send together.
struct SharedRate {
    group: RateGroup,
    header_window: Option<Duration>,
    /// Held while waiting for a token, so that requests are admitted in order.
    queue: Mutex<()>,
    state: StdMutex<State>,
}

struct State {
    buckets: Vec<Bucket>,
    /// Until when the cloud wants no request.
    silent_until: Option<Instant>,
    /// Requests a second that each account of the group needs at the interval it wants.
    demands: HashMap<u64, f64>,
    shares: u64,
}

struct Bucket {
    limit: RateLimit,
    tokens: f64,
    filled_at: Instant,
}

/// One account's share of its group's rate. Clones are the same share; the last one that is dropped takes the account's
/// demand with it.
#[derive(Clone)]
pub struct RateShare(Arc<Share>);

struct Share {
    rate: Arc<SharedRate>,
    number: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.rate.state().demands.remove(&self.number);
    }
}

impl RateShare {
    /// Says that the account needs so many requests a cycle, at the interval that it wants. Returns what all accounts of the
    /// group need together, as a share of what they may spend: above 1 their intervals must be that much longer. `None`
    /// where no limit is known.
    pub fn demand(&self, requests: f64, interval: Duration) -> Option<f64> {
        let mut state = self.0.rate.state();
        state.demands.insert(self.0.number, requests / interval.as_secs_f64().max(1e-3));
        let demand: f64 = state.demands.values().sum();
        state.buckets.iter().map(|bucket| demand / bucket.limit.steady()).max_by(f64::total_cmp)
    }

    /// Waits until one more request may be sent. Fails at once while the cloud asks for silence for longer than
    /// `max_silence`.
    pub(super) async fn admit(&self, max_silence: Duration) -> Result<(), CloudError> {
        let rate = &self.0.rate;
        let _turn = rate.queue.lock().await;
        loop {
            let wait = {
                let (now, mut state) = (Instant::now(), rate.state());
                match state.silence(now) {
                    Some(silence) if silence > max_silence => {
                        return Err(CloudError::RateLimited { retry_after: Some(silence) });
                    }
                    Some(silence) => silence,
                    None => match state.take(now) {
                        Ok(()) => return Ok(()),
                        Err(wait) => wait,
                    },
                }
            };
            sleep(wait).await;
        }
    }

    /// Whether this URL is at the origin of the group's endpoint. What another server answers, such as one for logins, says
    /// nothing of the group's limits.
    pub(super) fn limits(&self, url: &Url) -> bool {
        self.0.rate.group.origin == keyed_hash(url.origin())
    }

    /// The cloud answered 429: no account of the group sends anything for `pause`.
    pub(super) fn silence(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.0.rate.state();
        state.silent_until = state.silent_until.max(Some(until));
    }

    /// Whether the cloud wants no request now.
    pub(super) fn is_silent(&self) -> bool {
        self.0.rate.state().silence(Instant::now()).is_some()
    }

    /// Takes the limit that an answer's headers name, of which so many requests are left.
    pub(super) fn learn(&self, NamedLimit { requests, remaining }: NamedLimit) {
        let Some(window) = self.0.rate.header_window else { return };
        let limit = RateLimit { requests, window };
        let mut state = self.0.rate.state();
        match state.buckets.iter_mut().find(|bucket| bucket.limit.window == window) {
            Some(bucket) if bucket.limit == limit => {}
            Some(bucket) => {
                bucket.tokens = bucket.tokens.min(limit.burst());
                bucket.limit = limit;
            }
            // There is a burst if enough is left for it and for all that is spent evenly, whoever spent the rest.
            None => {
                let evenly = limit.steady() * window.as_secs_f64();
                let tokens = (f64::from(remaining) - evenly).clamp(0.0, limit.burst());
                state.buckets.push(Bucket { limit, tokens, filled_at: Instant::now() });
            }
        }
    }
}

impl SharedRate {
    fn new(PublishedLimits { group, limits, header_window }: &PublishedLimits) -> Self {
        let now = Instant::now();
        let bucket = |&limit: &RateLimit| Bucket { limit, tokens: limit.burst(), filled_at: now };
        let state = State {
            buckets: limits.iter().map(bucket).collect(),
            silent_until: None,
            demands: HashMap::new(),
            shares: 0,
        };
        let queue = Mutex::new(());
        Self { group: *group, header_window: *header_window, queue, state: StdMutex::new(state) }
    }

    fn next_number(&self) -> u64 {
        let mut state = self.state();
        state.shares += 1;
        state.shares
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn silence(&self, now: Instant) -> Option<Duration> {
        let left = self.silent_until?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Takes a token of each bucket, or returns how long to wait until each has one.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let wait = self.buckets.iter_mut().map(|bucket| bucket.fill(now)).max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        self.buckets.iter_mut().for_each(|bucket| bucket.tokens = (bucket.tokens - 1.0).max(0.0));
        Ok(())
    }
}

impl Bucket {
    /// Adds what has come since the last time; returns how long it takes until there is a token.
    fn fill(&mut self, now: Instant) -> Duration {
        let gained = now.saturating_duration_since(self.filled_at).as_secs_f64() * self.limit.steady();
        self.tokens = (self.tokens + gained).min(self.limit.burst());
        self.filled_at = now;
        // Sums of fractions fall short of a whole by their last bits.
        let missing = 1.0 - 1e-6 - self.tokens;
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(missing / self.limit.steady()) + Duration::from_millis(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures::future::join_all;
    use proptest::prelude::*;
    use tokio::time::{advance, timeout};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const PATIENCE: Duration = Duration::from_secs(10);

    fn published(limits: &[RateLimit], header_window: Option<Duration>) -> PublishedLimits {
        let endpoint = "https://api.example.com/".parse().unwrap();
        PublishedLimits { group: RateGroup::new(&endpoint, "token"), limits: limits.to_vec(), header_window }
    }

    /// A cloud that counts the requests of the last window exactly.
    struct SlidingWindow {
        limit: RateLimit,
        sent: VecDeque<Instant>,
        most: usize,
    }

    impl SlidingWindow {
        fn new(limit: RateLimit) -> Self {
            Self { limit, sent: VecDeque::new(), most: 0 }
        }

        fn request(&mut self) {
            let now = Instant::now();
            self.sent.push_back(now);
            while self.sent.front().is_some_and(|&first| now.duration_since(first) >= self.limit.window) {
                self.sent.pop_front();
            }
            self.most = self.most.max(self.sent.len());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_of_one_token_never_pass_its_limits_however_much_they_ask() {
        let limits = [RateLimit::per_hour(5_000), RateLimit::per_minute(250)];
        let rates = SharedRates::default();
        let cloud = StdMutex::new(limits.map(SlidingWindow::new));
        let account = async |pause: u64| {
            let share = rates.share(&published(&limits, None));
            loop {
                // Cycles of a hundred requests, sent at once.
                join_all((0..100).map(async |_| {
                    share.admit(PATIENCE).await.unwrap();
                    cloud.lock().unwrap().iter_mut().for_each(SlidingWindow::request);
                }))
                .await;
                sleep(Duration::from_secs(pause)).await;
            }
        };
        let accounts = join_all([1, 30, 600].map(account));
        let _ = timeout(3 * HOUR, accounts).await;
        for window in cloud.into_inner().unwrap() {
            let limit = window.limit.requests as usize;
            let percent = window.most * 100 / limit;
            assert!(percent <= 90, "{percent} % of {limit} in {:?}", window.limit.window);
            assert!(window.limit.window != HOUR || percent >= 85, "{percent} % of {limit} were used");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_limit_and_the_pauses_no_window_sees_more_than_it(
            requests in 20_u32..400, window in 1_u64..600, pauses in proptest::collection::vec(0_u64..90, 1..200),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let limit = RateLimit { requests, window: Duration::from_secs(window) };
            let most = runtime.block_on(async {
                let share = SharedRates::default().share(&published(&[limit], None));
                let mut cloud = SlidingWindow::new(limit);
                for pause in pauses {
                    advance(Duration::from_secs(pause)).await;
                    for _ in 0..20 {
                        share.admit(PATIENCE).await.unwrap();
                        cloud.request();
                    }
                }
                cloud.most
            });
            prop_assert!(most <= (requests * 9 / 10 + 1) as usize, "{most} of {requests}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_silences_all_accounts_of_the_token_and_no_other() {
        let rates = SharedRates::default();
        let limits = [RateLimit::per_minute(1_000)];
        let [one, other] = [(), ()].map(|()| rates.share(&published(&limits, None)));
        let endpoint = "https://api.example.com/".parse().unwrap();
        let group = RateGroup::new(&endpoint, "another token");
        let stranger = rates.share(&PublishedLimits { group, ..published(&limits, None) });

        one.silence(Duration::from_secs(5));
        one.silence(Duration::from_secs(1));
        let start = Instant::now();
        stranger.admit(PATIENCE).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        other.admit(PATIENCE).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 5);

        one.silence(Duration::from_secs(60));
        assert!(matches!(other.admit(PATIENCE).await, Err(CloudError::RateLimited { retry_after: Some(_) })));
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_in_the_headers_takes_the_place_of_the_published_one() {
        let rates = SharedRates::default();
        let share = rates.share(&published(&[RateLimit::per_hour(1_000)], Some(HOUR)));
        assert!(share.demand(85.0, Duration::from_secs(360)).unwrap() < 1.001);
        share.learn(NamedLimit { requests: 10_000, remaining: 0 });
        assert!(share.demand(85.0, Duration::from_secs(360)).unwrap() < 0.101);

        let group = RateGroup::new(&"https://api.example.com/".parse().unwrap(), "another token");
        let unknown = PublishedLimits { group, ..published(&[], Some(HOUR)) };
        let share = rates.share(&unknown);
        assert_eq!(share.demand(1e9, HOUR), None, "no limit is known yet");
        share.admit(PATIENCE).await.unwrap();
        share.learn(NamedLimit { requests: 2_000, remaining: 0 });
        assert!(share.demand(1_700.0, HOUR).unwrap() > 0.999);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_is_learned_has_a_burst_only_if_nearly_all_of_it_is_left() {
        for (remaining, burst) in [(2_000, 100), (1_800, 100), (1_750, 50), (1_700, 0), (0, 0)] {
            let share = SharedRates::default().share(&published(&[], Some(HOUR)));
            share.learn(NamedLimit { requests: 2_000, remaining });
            let start = Instant::now();
            for _ in 0..burst {
                share.admit(PATIENCE).await.unwrap();
            }
            assert_eq!(start.elapsed(), Duration::ZERO, "{remaining}");
            share.admit(PATIENCE).await.unwrap();
            assert!(start.elapsed() > Duration::from_secs(1), "{remaining}: one more than {burst}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_demand_of_an_account_goes_with_its_last_share() {
        let rates = SharedRates::default();
        let limits = [RateLimit::per_hour(1_000)];
        let one = rates.share(&published(&limits, None));
        let other = rates.share(&published(&limits, None));
        let clone = other.clone();
        other.demand(850.0, HOUR);
        assert!(one.demand(850.0, HOUR).unwrap() > 1.99);
        drop(other);
        assert!(one.demand(850.0, HOUR).unwrap() > 1.99, "a clone is left");
        drop(clone);
        assert!(one.demand(850.0, HOUR).unwrap() < 1.01);
    }

    #[test]
    fn a_group_is_one_endpoint_and_one_token_and_shows_neither() {
        let [one, other] =
            ["https://a.example.com/", "https://b.example.com/"].map(|url| url.parse().unwrap());
        let group = RateGroup::new(&one, "secret-token");
        assert_eq!(group, RateGroup::new(&one, "secret-token"));
        assert_ne!(group, RateGroup::new(&one, "another"));
        assert_ne!(group, RateGroup::new(&other, "secret-token"));
        assert!(!format!("{group:?}").contains("secret"));
    }
}
