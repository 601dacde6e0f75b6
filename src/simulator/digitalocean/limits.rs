//! The limits of a token, an hour and a minute, and the headers that tell of them.

use http::header::{HeaderName, RETRY_AFTER};

use super::problem::Problem;
use crate::simulator::numbers::floor;
use crate::simulator::rate_limit::RateLimit;
use crate::simulator::response::ApiResponse;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// What one token has sent.
#[derive(Debug)]
pub(super) struct TokenLimits {
    hourly: usize,
    hour: RateLimit,
    minute: RateLimit,
}

/// What the headers of an answer say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LimitState {
    limit: usize,
    remaining: usize,
    /// When the oldest request of the hour expires: one request is free then, not all.
    reset: f64,
    /// After a burst: the seconds until the minute has room again.
    retry_after: Option<f64>,
    /// Whether the request is refused.
    pub(super) refused: bool,
}

impl TokenLimits {
    /// A token that has sent nothing, with these limits; 0 for none.
    pub(super) fn new(hourly: usize, burst: usize) -> Self {
        Self { hourly, hour: RateLimit::new(hourly, 3600.0), minute: RateLimit::new(burst, 60.0) }
    }

    /// Takes a request, or refuses it. A refused one counts for nothing.
    pub(super) fn take(&mut self, now: f64) -> LimitState {
        let (hour, minute) = (self.hour.remaining(now), self.minute.remaining(now));
        let refused = hour == 0 || minute == 0;
        if !refused {
            self.hour.take(now);
            self.minute.take(now);
        }
        let left = hour.min(minute).saturating_sub(1);
        LimitState {
            limit: self.hourly,
            remaining: left.min(self.hourly),
            reset: self.hour.resets_at(now),
            retry_after: (minute == 0).then(|| (self.minute.resets_at(now) - now).ceil().max(1.0)),
            refused,
        }
    }
}

impl LimitState {
    /// The answer with these headers.
    pub(super) fn on(self, response: ApiResponse) -> ApiResponse {
        let response = response
            .header(LIMIT, &self.limit.to_string())
            .header(REMAINING, &self.remaining.to_string())
            .header(RESET, &floor(self.reset.ceil()).to_string());
        match self.retry_after {
            Some(seconds) => response.header(RETRY_AFTER, &format!("{seconds:.0}")),
            None => response,
        }
    }

    /// The answer to a request that is refused.
    pub(super) fn refusal(self) -> ApiResponse {
        self.on(Problem::TooManyRequests.response())
    }
}
