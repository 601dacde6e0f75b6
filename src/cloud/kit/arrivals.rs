//! When a cloud can have the next point of what it measures: a request before that would bring what is known already.
//!
//! A cloud makes a point each so many seconds, which is its resolution, and has it some time later. How late follows from the
//! answers: one without a newer point says that it takes longer, and one with a newer point says that it takes no longer.
//! Whatever the clocks say, there is a request once in a resolution, and no more than that where points do not come.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Cycles do not start to the second: a difference of so many seconds means nothing.
const SLACK: f64 = 1.0;

/// A moment by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// By the clock that nobody sets.
    pub at: Instant,
    /// In seconds since the epoch.
    pub wall: f64,
}

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at: Instant::now(), wall: wall.as_secs_f64() }
    }
}

/// What the answers to one request, which cycles repeat, have told of its points.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Arrivals {
    /// When it was last answered.
    asked: Option<Instant>,
    newest: Option<KnownPoint>,
    /// When an answer first lacked the next one.
    missed: Option<Instant>,
    /// How many seconds after its time a point is there, at least, by the client's clock.
    delay: f64,
}

/// The newest point that is known.
#[derive(Debug, Clone, Copy, PartialEq)]
struct KnownPoint {
    /// Its time by the cloud's clock, in seconds since the epoch.
    time: f64,
    /// When it was first seen, and how many seconds after its time that was.
    seen: Instant,
    age: f64,
}

impl KnownPoint {
    fn age(&self, at: Instant) -> f64 {
        self.age + seconds(self.seen, at)
    }
}

impl Arrivals {
    /// Whether a point can be there that no answer had yet, where there is one each `resolution` seconds.
    pub fn is_due(&self, now: Moment, resolution: f64) -> bool {
        let Some(asked) = self.asked else { return true };
        let has_stopped = self.missed.is_some_and(|missed| seconds(missed, now.at) >= resolution);
        let can_be_there =
            !has_stopped && self.newest.is_some_and(|newest| newest.age(now.at) >= resolution + self.delay);
        can_be_there || seconds(asked, now.at) >= resolution - SLACK
    }

    /// Takes in an answer whose newest point has this time, in seconds since the epoch, or that has none.
    pub fn answered(&mut self, now: Moment, resolution: f64, newest: Option<f64>) {
        self.asked = Some(now.at);
        let before = self.newest;
        self.newest = newest.map(|time| match before {
            Some(before) if before.time.total_cmp(&time).is_eq() => before,
            _ => KnownPoint { time, seen: now.at, age: now.wall - time },
        });
        let Some(newest) = self.newest else { return };
        let age = newest.age(now.at);
        // The point after the newest one is not there yet.
        let at_least = age - resolution + SLACK;
        if Some(newest) == before {
            self.missed = self.missed.or(Some(now.at));
            self.delay = self.delay.max(at_least);
            return;
        }
        self.missed = None;
        self.delay = match before {
            Some(before) if newest.time > before.time => self.delay.min(age - SLACK).max(at_least),
            Some(_) => self.delay,
            None => at_least,
        };
    }
}

fn seconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// A cloud that makes a point each `resolution` seconds and has it `delay` seconds later, and a client that may ask each
    /// `interval` seconds. `skew` is how far the client's clock is ahead.
    #[derive(Debug, Clone, Copy)]
    struct Series {
        resolution: f64,
        delay: f64,
        interval: f64,
        skew: f64,
    }

    impl Series {
        /// The time of the newest point that the cloud has at a time.
        fn newest(self, now: f64) -> f64 {
            ((now - self.delay) / self.resolution).floor() * self.resolution
        }

        /// Asks when it is due, at each of so many ticks. Returns for each tick its time, whether it asked, and the newest
        /// point that is known then.
        fn ticks(self, jitter: impl Fn(u32) -> f64) -> Vec<(f64, bool, f64)> {
            let (mut arrivals, mut known) = (Arrivals::default(), f64::MIN);
            let start = Instant::now();
            let tick = |number: u32| {
                let now = self.interval.mul_add(f64::from(number), 7.0) + jitter(number);
                let at = start + Duration::from_secs_f64(now);
                let moment = Moment { at, wall: now + self.skew };
                let asks = arrivals.is_due(moment, self.resolution);
                if asks {
                    known = self.newest(now);
                    arrivals.answered(moment, self.resolution, Some(known));
                }
                (now, asks, known)
            };
            (0..3_000).map(tick).collect()
        }
    }

    fn any_series() -> impl Strategy<Value = Series> {
        let numbers = (10_u32..=300, 0_u32..=600, 5_u32..=400, -3_600_i32..=3_600);
        numbers.prop_map(|(resolution, delay, interval, skew)| Series {
            resolution: f64::from(resolution),
            delay: f64::from(delay),
            interval: f64::from(interval),
            skew: f64::from(skew),
        })
    }

    /// Up to half a second early or late.
    fn jitter(number: u32) -> f64 {
        f64::from(number.wrapping_mul(7_919) % 1_001) / 1_000.0 - 0.5
    }

    proptest! {
        #[test]
        fn whatever_interval_and_resolution_are_there_is_about_one_request_a_point(series in any_series()) {
            let ticks = series.ticks(|_| 0.0);
            let asked = ticks.iter().filter(|(_, asks, _)| *asks).count() as f64;
            let span = ticks[ticks.len() - 1].0 - ticks[0].0;
            let points = (span / series.resolution).min(ticks.len() as f64);
            // How late points are is learned by asking too early, by a second more each time at least.
            let learning = series.resolution + 3.0;
            // A request comes up to SLACK early, which is most where points come each few seconds.
            prop_assert!(asked <= points * 1.2 + learning, "{asked} requests for {points} points");
        }

        #[test]
        fn a_point_is_there_a_tick_after_the_cloud_has_it_at_the_latest(series in any_series()) {
            for (now, _, known) in series.ticks(jitter) {
                let had = series.newest(now - series.interval - 4.0);
                prop_assert!(known >= had, "{known} is known at {now}, {had} was there a tick before");
            }
        }
    }

    #[test]
    fn an_interval_as_long_as_the_resolution_leaves_no_tick_out() {
        for delay in [0.0, 1.0, 30.0, 59.0, 60.0, 61.0, 400.0] {
            for skew in [-3_600.0, 0.0, 3_600.0] {
                let series = Series { resolution: 60.0, delay, interval: 60.0, skew };
                assert!(series.ticks(jitter).iter().all(|(_, asks, _)| *asks), "{series:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cloud_without_points_or_with_points_of_the_future_is_asked_once_a_resolution() {
        for newest in [None, Some(1e10)] {
            let mut arrivals = Arrivals::default();
            let mut asked = 0;
            for _ in 0..120 {
                let now = Moment::now();
                if arrivals.is_due(now, 60.0) {
                    asked += 1;
                    arrivals.answered(now, 60.0, newest);
                }
                tokio::time::advance(Duration::from_secs(10)).await;
            }
            let expected = if newest.is_some() { 20..=27 } else { 20..=20 };
            assert!(expected.contains(&asked), "{newest:?}: {asked} in twenty minutes");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_outage_points_are_as_soon_there_as_before() {
        let mut arrivals = Arrivals::default();
        let mut ask = |second: u32, newest: u32| {
            let now = Moment { at: Instant::now() + Duration::from_secs(second.into()), wall: second.into() };
            let is_due = arrivals.is_due(now, 60.0);
            if is_due {
                arrivals.answered(now, 60.0, Some(newest.into()));
            }
            is_due
        };
        assert!(ask(30, 0));
        // No new point for ten minutes: each tick may bring it at first, and then there is one request a minute.
        let asked = (3..30).filter(|tick| ask(30 * tick, 0)).count();
        assert!((9..=16).contains(&asked), "{asked} of 27");
        assert!(ask(900, 880));
        assert!(!ask(930, 880) && ask(960, 940), "it was there after 20 s, and is due as soon again");
    }
}
