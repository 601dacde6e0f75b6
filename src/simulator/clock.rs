//! The clock of a simulated cloud: the system's wall clock, or one that a test provides.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A wall clock in seconds since the epoch. Worlds begin in January 2015; it must not show an earlier time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> f64 + Send + Sync>);

impl Clock {
    /// A clock that reads the given function.
    pub fn new(now: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// A clock that always shows the same time.
    pub fn fixed(now: f64) -> Self {
        Self::new(move || now)
    }

    /// The system's clock.
    pub fn system() -> Self {
        Self::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()))
    }

    /// Seconds since the epoch.
    pub fn now(&self) -> f64 {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}
