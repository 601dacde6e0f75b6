//! How often an account is collected where its cloud limits the requests of a token or user: as wanted, or as rarely as
//! the limit demands.
//!
//! The requests that a cycle sends are counted, and their mean over some cycles is what the next one will need. What all
//! accounts of the token need together, compared with what they may spend, says how much longer their intervals must be:
//! all by the same factor.
//!
//! A first cycle asks for everything, also for what changes seldom, so it says little of those that follow: what it sent
//! counts until the next cycle ends, and no longer.

use std::time::Duration;

use crate::cloud::http::RateShare;

/// How much the newest cycle counts in the mean: some cycles send more requests than others.
const NEWEST: f64 = 0.25;
/// An interval that is longer than needed is kept until it is too long by this factor, so that it does not swing.
const TOO_LONG: f64 = 1.25;

/// The pace of one account.
pub(super) struct Pace {
    rate: Option<RateShare>,
    /// The mean of the requests that its cycles sent.
    requests: Option<f64>,
    /// What all accounts of the token or user need, as a share of what they may spend.
    ratio: Option<f64>,
    /// The interval that is kept, where it is longer than wanted.
    stretched: Option<Duration>,
    known: Known,
}

/// How much of the account is known: what a cycle sends depends on what earlier ones found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// No cycle has succeeded.
    Nothing,
    /// One has, and asked for everything.
    First,
    /// Another one has ended after it: what that sent, others will send too.
    Usual,
}

impl Pace {
    /// Of an account that has sent nothing yet.
    pub(super) fn new(rate: Option<RateShare>) -> Self {
        Self { rate, requests: None, ratio: None, stretched: None, known: Known::Nothing }
    }

    /// Takes in how many requests a cycle sent and whether it succeeded, for an account that wants this interval.
    pub(super) fn cycle_ended(&mut self, requests: u64, succeeded: bool, wanted: Duration) {
        let Some(rate) = &self.rate else { return };
        let newest = requests as f64;
        let is_usual = self.known == Known::Usual;
        let before = self.requests.filter(|_| is_usual);
        let mean = before.map_or(newest, |mean| mean + (newest - mean) * NEWEST);
        self.requests = Some(mean);
        self.ratio = rate.demand(mean, wanted);
        let present = self.stretched.filter(|_| is_usual);
        self.stretched = stretched(wanted, self.ratio.unwrap_or_default(), present);
        self.known = match self.known {
            Known::Nothing if !succeeded => Known::Nothing,
            Known::Nothing => Known::First,
            // One that failed says nothing of what others send.
            Known::First if !succeeded => Known::First,
            Known::First | Known::Usual => Known::Usual,
        };
    }

    /// The interval to keep.
    pub(super) fn interval(&self, wanted: Duration) -> Duration {
        self.stretched(wanted).unwrap_or(wanted)
    }

    /// The interval to keep, where it is longer than wanted.
    pub(super) fn stretched(&self, wanted: Duration) -> Option<Duration> {
        self.stretched.filter(|stretched| *stretched > wanted)
    }

    /// What the accounts of the token or user need together at the intervals that they want, as a share of what they may
    /// spend; `None` where no limit is known.
    pub(super) fn ratio(&self) -> Option<f64> {
        self.ratio
    }
}

/// The interval that is `factor` times as long as wanted, rounded up for people; the present one where that is long enough
/// and not much too long. `None` where the wanted one can be kept.
fn stretched(wanted: Duration, factor: f64, present: Option<Duration>) -> Option<Duration> {
    let needed = wanted.mul_f64(factor);
    let fits = |present: &Duration| needed <= *present && *present <= needed.mul_f64(TOO_LONG);
    present.filter(fits).or_else(|| (factor > 1.0).then(|| rounded_up(needed)))
}

/// Rounded up to 5 s, from a minute on to 15 s, and from ten minutes on to a minute.
fn rounded_up(interval: Duration) -> Duration {
    let step = match interval.as_secs() {
        0..60 => 5,
        60..600 => 15,
        _ => 60,
    };
    let seconds = interval.as_millis().div_ceil(1_000).div_ceil(step) * step;
    Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::http::{Http, Policy, PublishedLimits, RateGroup, RateLimit};

    const MINUTE: Duration = Duration::from_secs(60);

    /// Two accounts of one token that may send 1,000 requests an hour.
    fn two() -> [Pace; 2] {
        let http = Http::new(Policy::default());
        let group = RateGroup::new(&"https://api.example.com/".parse().unwrap(), "token");
        let limits = vec![RateLimit::per_hour(1_000)];
        let published = PublishedLimits { group, limits, header_window: None };
        [(), ()].map(|()| Pace::new(Some(http.rate(&published))))
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_that_the_limit_can_carry_keeps_its_interval() {
        let [mut one, _] = two();
        one.cycle_ended(14, true, MINUTE);
        assert_eq!((one.interval(MINUTE), one.stretched(MINUTE)), (MINUTE, None));
        assert!(one.ratio().is_some_and(|ratio| ratio < 1.0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_much_is_spread_evenly_over_all_accounts_of_the_token() {
        let [mut one, mut other] = two();
        one.cycle_ended(41, true, MINUTE);
        // 2,460 an hour where 850 may be spent: 2.9 times as long.
        assert_eq!(one.stretched(MINUTE), Some(Duration::from_secs(180)));
        other.cycle_ended(82, true, 2 * MINUTE);
        one.cycle_ended(41, true, MINUTE);
        assert_eq!(one.interval(MINUTE), Duration::from_secs(360));
        assert_eq!(other.interval(2 * MINUTE), Duration::from_secs(720));
    }

    #[tokio::test(start_paused = true)]
    async fn the_interval_comes_back_when_less_is_needed_and_does_not_swing_meanwhile() {
        let [mut one, _] = two();
        one.cycle_ended(41, true, MINUTE);
        one.cycle_ended(40, true, MINUTE);
        assert_eq!(one.interval(MINUTE), Duration::from_secs(180));
        for _ in 0..30 {
            one.cycle_ended(10, true, MINUTE);
        }
        assert_eq!(one.interval(MINUTE), MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_cycle_that_asks_for_everything_lengthens_the_interval_once() {
        let [mut one, _] = two();
        one.cycle_ended(3, false, MINUTE);
        one.cycle_ended(41, true, MINUTE);
        assert_eq!(one.interval(MINUTE), Duration::from_secs(180), "the next cycle may cost as much");
        one.cycle_ended(13, true, MINUTE);
        assert_eq!(one.interval(MINUTE), MINUTE, "13 requests a minute fit");
        one.cycle_ended(41, true, MINUTE);
        assert!(
            one.ratio().is_some_and(|ratio| (1.4..1.5).contains(&ratio)),
            "a mean of 20: {:?}",
            one.ratio()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_first_cycle_lengthened_is_not_kept_for_being_little_too_long() {
        let [mut one, _] = two();
        one.cycle_ended(41, true, MINUTE);
        one.cycle_ended(35, true, MINUTE);
        // 2.5 times as long, and not the 180 s that are less than 1.25 times too long.
        assert_eq!(one.interval(MINUTE), Duration::from_secs(150));
    }

    #[test]
    fn an_interval_is_rounded_up_to_a_number_for_people() {
        let rounded = |seconds| rounded_up(Duration::from_secs_f64(seconds)).as_secs();
        assert_eq!([31.0, 45.0, 61.0, 172.9, 1_740.1].map(rounded), [35, 45, 75, 180, 1_800]);
    }

    #[test]
    fn without_a_limit_nothing_is_stretched() {
        let mut pace = Pace::new(None);
        pace.cycle_ended(1_000_000, true, MINUTE);
        assert_eq!((pace.interval(MINUTE), pace.ratio()), (MINUTE, None));
    }
}
