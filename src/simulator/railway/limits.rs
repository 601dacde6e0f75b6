//! The limits of a token, an hour and a second, and the headers that tell of them.

use http::header::{HeaderName, RETRY_AFTER};

use super::options::{Railway, ResetFormat};
use super::problem::Problem;
use crate::simulator::numbers::floor;
use crate::simulator::rate_limit::RateLimit;
use crate::simulator::response::ApiResponse;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What one token has sent.
#[derive(Debug)]
pub(super) struct TokenLimits {
    hourly: usize,
    reset: ResetFormat,
    hour: RateLimit,
    second: RateLimit,
}

/// What the headers of an answer say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LimitState {
    limit: usize,
    remaining: usize,
    /// As it is written.
    reset: f64,
    /// The seconds until a request is free again, where this one is refused.
    retry_after: Option<f64>,
}

impl TokenLimits {
    /// A token that has sent nothing.
    pub(super) fn new(options: &Railway) -> Self {
        Self {
            hourly: options.hourly_limit,
            reset: options.reset,
            hour: RateLimit::new(options.hourly_limit, 3600.0),
            second: RateLimit::new(options.second_limit, 1.0),
        }
    }

    /// Takes a request, or refuses it. A refused one counts for nothing.
    pub(super) fn take(&mut self, now: f64) -> LimitState {
        let (hour, second) = (self.hour.remaining(now), self.second.remaining(now));
        let is_refused = hour == 0 || second == 0;
        if !is_refused {
            self.hour.take(now);
            self.second.take(now);
        }
        let free = if hour == 0 { self.hour.resets_at(now) } else { self.second.resets_at(now) };
        let resets_at = self.hour.resets_at(now);
        LimitState {
            limit: self.hourly,
            remaining: hour.saturating_sub(usize::from(!is_refused)).min(self.hourly),
            reset: match self.reset {
                ResetFormat::Epoch => resets_at,
                ResetFormat::Seconds => resets_at - now,
            },
            retry_after: is_refused.then(|| (free - now).ceil().max(1.0)),
        }
    }
}

impl LimitState {
    /// Whether the request is refused.
    pub(super) fn is_refusal(self) -> bool {
        self.retry_after.is_some()
    }

    /// The answer with these headers. `Retry-After` is on every 429, and on nothing else.
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
