//! How often a simulated cloud is asked for what, so that tests can count requests.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// The newest requests that are kept.
const LOGGED: usize = 10_000;

/// What a request is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Login,
    ServicesPage,
    Service,
    Instances,
    Metrics,
    Other,
}

/// Requests since the start or the last reset, by what they ask for. Requests below `/_sim/` are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// For a token.
    pub login: u64,
    /// For a page of services.
    pub services_page: u64,
    /// For one service.
    pub service: u64,
    /// For the instances of a service, or one of them.
    pub instances: u64,
    /// For the measurements of an instance.
    pub metrics: u64,
    /// For anything else.
    pub other: u64,
    /// All of these.
    pub total: u64,
    /// Under way now.
    pub in_flight: u64,
    /// The most that were under way at once.
    pub max_in_flight: u64,
}

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Counter {
    kinds: [AtomicU64; 6],
    in_flight: AtomicU64,
    max_in_flight: AtomicU64,
    log: Mutex<VecDeque<String>>,
}

/// A request under way; ends when dropped.
pub(super) struct UnderWay<'a>(&'a Counter);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counter {
    /// Counts a request, which is under way until the returned value is dropped.
    pub(super) fn begin(&self, kind: Counted, line: String) -> UnderWay<'_> {
        self.kinds[kind as usize].fetch_add(1, Ordering::Relaxed);
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.max_in_flight.fetch_max(now, Ordering::Relaxed);
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == LOGGED {
            log.pop_front();
        }
        log.push_back(line);
        UnderWay(self)
    }

    /// How many so far.
    pub(super) fn counts(&self) -> Counts {
        let of = |kind: Counted| self.kinds[kind as usize].load(Ordering::Relaxed);
        let counts = Counts {
            login: of(Counted::Login),
            services_page: of(Counted::ServicesPage),
            service: of(Counted::Service),
            instances: of(Counted::Instances),
            metrics: of(Counted::Metrics),
            other: of(Counted::Other),
            total: 0,
            in_flight: self.in_flight.load(Ordering::Relaxed),
            max_in_flight: self.max_in_flight.load(Ordering::Relaxed),
        };
        let Counts { login, services_page, service, instances, metrics, other, .. } = counts;
        Counts { total: login + services_page + service + instances + metrics + other, ..counts }
    }

    /// Method, path and query of the newest requests, oldest first.
    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Begins to count again.
    pub(super) fn reset(&self) {
        self.kinds.iter().for_each(|kind| kind.store(0, Ordering::Relaxed));
        self.max_in_flight.store(self.in_flight.load(Ordering::Relaxed), Ordering::Relaxed);
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
