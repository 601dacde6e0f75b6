//! The limits on the requests of one account.

use std::time::Duration;

/// How many requests one account may send, and how long each may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccountLimits {
    /// The longest that one request may take, counted from when it is first sent. Includes its retries and their waits, not
    /// the wait until the rate allows it.
    pub request_timeout: Duration,
    /// Requests in flight at once.
    pub max_concurrent: usize,
    /// Requests a second.
    pub requests_per_second: u32,
}
