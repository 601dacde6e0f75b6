//! An account's cloud, and when the cloud was asked: cycles by the list of services that each begins with, and all requests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use caas_operator::simulator::Running;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

/// How often the cloud's counts are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What came to the cloud between two looks.
#[derive(Clone, Copy)]
struct Asked {
    at: Instant,
    /// How many cycles began.
    cycles: u64,
    /// How many requests came, of any kind.
    requests: u64,
}

/// The cloud of one account. It ends when dropped.
pub(super) struct Account {
    asked: Arc<Mutex<Vec<Asked>>>,
    _recorder: AbortOnDropHandle<()>,
}

impl Account {
    /// Of this cloud, which nothing else asks.
    pub(super) fn new(cloud: Running) -> Self {
        let asked = Arc::default();
        let recorder = tokio::spawn(record(cloud, Arc::clone(&asked)));
        Self { asked, _recorder: AbortOnDropHandle::new(recorder) }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When each cycle began.
    fn cycles(&self) -> Vec<Instant> {
        let times = |asked: Asked| std::iter::repeat_n(asked.at, usize::try_from(asked.cycles).unwrap());
        self.asked().into_iter().flat_map(times).collect()
    }

    /// The longest time without the start of a cycle, of those that were under way at `from` or later.
    pub(super) fn longest_gap(&self, from: Instant) -> Duration {
        let cycles = self.cycles();
        let ends = cycles.iter().skip(1).copied().chain([Instant::now()]);
        let gaps = cycles.iter().zip(ends).filter(|(_, end)| *end >= from);
        gaps.map(|(start, end)| end - *start).max().unwrap_or_default()
    }

    /// The most cycles that began within this time, from `from` on.
    pub(super) fn most_cycles(&self, within: Duration, from: Instant) -> u64 {
        self.most(within, from, |asked| asked.cycles)
    }

    /// The most requests that came within this time, from `from` on.
    pub(super) fn most_requests(&self, within: Duration, from: Instant) -> u64 {
        self.most(within, from, |asked| asked.requests)
    }

    fn most(&self, within: Duration, from: Instant, count: impl Fn(&Asked) -> u64) -> u64 {
        let all = self.asked();
        let of = |first: &Asked| {
            let window = all.iter().filter(|asked| (first.at..first.at + within).contains(&asked.at));
            window.map(&count).sum::<u64>()
        };
        all.iter().filter(|asked| asked.at >= from).map(of).max().unwrap_or(0)
    }

    /// How many requests came in each interval after the other, from `from` on; the last one may be under way.
    pub(super) fn requests_by_interval(&self, interval: Duration, from: Instant) -> Vec<u64> {
        let mut by_interval = Vec::new();
        let (all, mut begin) = (self.asked(), from);
        while begin < Instant::now() {
            let within = all.iter().filter(|asked| (begin..begin + interval).contains(&asked.at));
            by_interval.push(within.map(|asked| asked.requests).sum());
            begin += interval;
        }
        by_interval
    }

    /// How many requests each cycle made, with what came until the next one.
    pub(super) fn requests_by_cycle(&self) -> Vec<u64> {
        let mut by_cycle = Vec::new();
        for asked in self.asked() {
            if asked.cycles > 0 {
                by_cycle.push(0);
            }
            // What came before the first cycle is its login.
            if let Some(last) = by_cycle.last_mut() {
                *last += asked.requests;
            }
        }
        by_cycle
    }
}

/// Never ends.
async fn record(cloud: Running, asked: Arc<Mutex<Vec<Asked>>>) {
    let mut known = (0, 0);
    loop {
        let counts = cloud.counts();
        let now = (counts["services_page"], counts.total);
        if now != known {
            let new = Asked { at: Instant::now(), cycles: now.0 - known.0, requests: now.1 - known.1 };
            asked.lock().unwrap_or_else(PoisonError::into_inner).push(new);
            known = now;
        }
        sleep(LOOK).await;
    }
}
