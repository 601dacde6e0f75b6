//! How many requests a simulated cloud receives for each operation, so that tests can check what clients cost.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Index;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::operation::Operation;

/// How many of the newest requests are kept.
const LOGGED: usize = 10_000;

/// The key of requests for anything that is not part of the cloud's API.
const OTHER: &str = "other";

/// Requests since the start or the last reset. Requests below `/_sim/` are not counted.
///
/// `counts["login"]` is the number of requests that are counted as `login`; it panics for a key that the cloud does not
/// have, so that a misspelled key fails a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    #[serde(flatten)]
    requests: BTreeMap<&'static str, u64>,
    /// All requests.
    pub total: u64,
    /// Requests that have no response yet.
    pub in_flight: u64,
    /// The most that were in flight at once.
    pub max_in_flight: u64,
}

impl Index<&str> for Counts {
    type Output = u64;

    fn index(&self, key: &str) -> &u64 {
        &self.requests[key]
    }
}

/// The counters.
#[derive(Debug)]
pub(super) struct Counter {
    requests: BTreeMap<&'static str, AtomicU64>,
    in_flight: AtomicU64,
    max_in_flight: AtomicU64,
    log: Mutex<VecDeque<String>>,
}

/// A request in flight; it ends when this is dropped.
pub(super) struct InFlight<'a>(&'a Counter);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counter {
    /// A counter for each key of these operations, and one for other requests.
    pub(super) fn new(operations: &[Operation]) -> Self {
        let keys = operations.iter().map(|operation| operation.counted_as).chain([OTHER]);
        Self {
            requests: keys.map(|key| (key, AtomicU64::new(0))).collect(),
            in_flight: AtomicU64::new(0),
            max_in_flight: AtomicU64::new(0),
            log: Mutex::default(),
        }
    }

    /// Counts a request, which is in flight until the returned value is dropped.
    pub(super) fn begin(&self, operation: Option<&Operation>, line: String) -> InFlight<'_> {
        let key = operation.map_or(OTHER, |operation| operation.counted_as);
        if let Some(count) = self.requests.get(key).or_else(|| self.requests.get(OTHER)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.max_in_flight.fetch_max(now, Ordering::Relaxed);
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == LOGGED {
            log.pop_front();
        }
        log.push_back(line);
        InFlight(self)
    }

    /// The counts so far.
    pub(super) fn counts(&self) -> Counts {
        let requests: BTreeMap<_, _> =
            self.requests.iter().map(|(key, count)| (*key, count.load(Ordering::Relaxed))).collect();
        Counts {
            total: requests.values().sum(),
            requests,
            in_flight: self.in_flight.load(Ordering::Relaxed),
            max_in_flight: self.max_in_flight.load(Ordering::Relaxed),
        }
    }

    /// Method, path and query of the newest requests, oldest first.
    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Starts all counts at zero again, and empties the log.
    pub(super) fn reset(&self) {
        self.requests.values().for_each(|count| count.store(0, Ordering::Relaxed));
        self.max_in_flight.store(self.in_flight.load(Ordering::Relaxed), Ordering::Relaxed);
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
