//! The limit of a token an hour, and the headers that tell of it.

use http::header::{HeaderName, RETRY_AFTER};

use super::options::{Northflank, Reset};
use super::problem::Problem;
use crate::simulator::numbers::floor;
use crate::simulator::rate_limit::RateLimit;
use crate::simulator::response::ApiResponse;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

const HOUR: f64 = 3600.0;

/// What one token has sent.
#[derive(Debug)]
pub(super) struct TokenLimit {
    hourly: usize,
    hour: RateLimit,
}

/// What the headers of an answer say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LimitState {
    limit: usize,
    remaining: usize,
    /// Seconds until the oldest request expires.
    wait: f64,
    now: f64,
    /// Whether the request is refused.
    pub(super) refused: bool,
}

impl TokenLimit {
    /// A token that has sent nothing, with this limit; 0 for none.
    pub(super) fn new(hourly: usize) -> Self {
        Self { hourly, hour: RateLimit::new(hourly, HOUR) }
    }

    /// Takes a request, or refuses it. A refused one counts for nothing.
    pub(super) fn take(&mut self, now: f64) -> LimitState {
        let left = self.hour.remaining(now);
        let refused = left == 0;
        if !refused {
            self.hour.take(now);
        }
        let wait = (self.hour.resets_at(now) - now).max(0.0);
        LimitState {
            limit: self.hourly,
            remaining: left.saturating_sub(1).min(self.hourly),
            wait,
            now,
            refused,
        }
    }
}

impl LimitState {
    /// The answer with these headers; as it is where there is no limit.
    pub(super) fn on(self, response: ApiResponse, options: &Northflank) -> ApiResponse {
        if self.limit == 0 {
            return response;
        }
        let wait = self.wait.ceil();
        let reset = match options.reset {
            Reset::Delta => wait,
            Reset::Epoch => (self.now + wait).ceil(),
        };
        let response = response
            .header(LIMIT, &self.limit.to_string())
            .header(REMAINING, &self.remaining.to_string())
            .header(RESET, &floor(reset).to_string());
        if self.refused && options.retry_after {
            return response.header(RETRY_AFTER, &floor(wait).to_string());
        }
        response
    }

    /// The answer to a request that is refused.
    pub(super) fn refusal(self, options: &Northflank) -> ApiResponse {
        self.on(Problem::TooManyRequests.response(), options)
    }
}
