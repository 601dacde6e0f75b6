//! The limit on requests of a user in an hour, where the installation has one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::header::{HeaderName, RETRY_AFTER};
use http::{StatusCode, header};

use super::problem;
use crate::simulator::numbers::floor;
use crate::simulator::response::ApiResponse;

/// Seconds after which a user starts anew.
const WINDOW: i64 = 3600;

/// The requests of each user in its hour.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    users: Mutex<HashMap<usize, Hour>>,
}

#[derive(Debug, Clone, Copy)]
struct Hour {
    ends: i64,
    used: u64,
}

/// What a user has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    limit: u64,
    used: u64,
    /// Seconds since the epoch.
    reset: i64,
}

impl Limiter {
    /// Counts a request of a user.
    pub(super) fn count(&self, user: usize, limit: u64, now: f64) -> Left {
        let now = floor(now);
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = users.entry(user).or_insert(Hour { ends: now + WINDOW, used: 0 });
        if now >= hour.ends {
            *hour = Hour { ends: now + WINDOW, used: 0 };
        }
        hour.used += 1;
        Left { limit, used: hour.used, reset: hour.ends }
    }
}

impl Left {
    /// Whether the request is one too many.
    pub(super) fn is_exceeded(self) -> bool {
        self.used > self.limit
    }

    /// The response to a request that is one too many: JSON, which the server declares to be text.
    pub(super) fn refusal(self, now: f64) -> ApiResponse {
        let error = problem::errors(10013, "CF-RateLimitExceeded", "Rate Limit Exceeded");
        let wait = (self.reset - floor(now)).max(1).to_string();
        let response =
            ApiResponse::body(StatusCode::TOO_MANY_REQUESTS, "text/plain; charset=utf-8", error.to_string());
        response.header(RETRY_AFTER, &wait)
    }

    /// Adds the headers that every response has where there is a limit. What remains is rounded down to a tenth of the
    /// limit.
    pub(super) fn add_to(self, response: ApiResponse) -> ApiResponse {
        let step = (self.limit / 10).max(1);
        let remaining = self.limit.saturating_sub(self.used) / step * step;
        response
            .header(HeaderName::from_static("x-ratelimit-limit"), &self.limit.to_string())
            .header(HeaderName::from_static("x-ratelimit-remaining"), &remaining.to_string())
            .header(HeaderName::from_static("x-ratelimit-reset"), &self.reset.to_string())
            .header(header::VARY, "Authorization")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_starts_anew_after_an_hour() {
        let limiter = Limiter::default();
        let exceeded = |user, now| limiter.count(user, 2, now).is_exceeded();
        assert_eq!([exceeded(0, 0.0), exceeded(0, 1.0), exceeded(0, 2.0)], [false, false, true]);
        assert!(!exceeded(1, 2.0), "another user");
        assert!(exceeded(0, 3599.0) && !exceeded(0, 3600.0));
    }
}
