//! A limit on requests as clouds publish it: so many within a window that slides, each request with a timer of its own.
//!
//! Pure: time comes in as seconds since the epoch.

use std::collections::VecDeque;

/// The requests of one client within a window.
#[derive(Debug)]
pub(super) struct RateLimit {
    /// Requests that the window may hold; 0 for no limit.
    limit: usize,
    /// The window's length in seconds.
    window: f64,
    /// When each request within the window was taken, oldest first.
    taken: VecDeque<f64>,
}

impl RateLimit {
    /// A limit of so many requests in a window of so many seconds. A limit of 0 is none.
    pub(super) fn new(limit: usize, window: f64) -> Self {
        Self { limit, window, taken: VecDeque::new() }
    }

    /// How many requests the window still has room for.
    pub(super) fn remaining(&mut self, now: f64) -> usize {
        while self.taken.front().is_some_and(|oldest| oldest + self.window <= now) {
            self.taken.pop_front();
        }
        if self.limit == 0 { usize::MAX } else { self.limit.saturating_sub(self.taken.len()) }
    }

    /// When the oldest request leaves the window, in seconds since the epoch.
    pub(super) fn resets_at(&self, now: f64) -> f64 {
        self.taken.front().map_or(now, |oldest| oldest + self.window)
    }

    /// Takes a request into the window.
    pub(super) fn take(&mut self, now: f64) {
        if self.limit > 0 {
            self.taken.push_back(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_free_again_a_window_after_it_was_taken() {
        let mut limit = RateLimit::new(3, 60.0);
        for at in [0.0, 10.0, 20.0] {
            assert!(limit.remaining(at) > 0);
            limit.take(at);
        }
        assert_eq!((limit.remaining(59.9), limit.resets_at(59.9)), (0, 60.0));
        assert_eq!((limit.remaining(60.0), limit.resets_at(60.0)), (1, 70.0));
        assert_eq!(limit.remaining(90.0), 3);
    }

    #[test]
    fn a_limit_of_nothing_is_none() {
        let mut limit = RateLimit::new(0, 60.0);
        limit.take(0.0);
        assert_eq!(limit.remaining(0.0), usize::MAX);
    }
}
