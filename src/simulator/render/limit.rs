//! The limit of a user, shared by all paths, and the headers that tell of it.

use http::header::{HeaderName, RETRY_AFTER};

use super::options::{Render, ResetTime};
use super::problem::Problem;
use crate::simulator::rate_limit::RateLimit;
use crate::simulator::response::ApiResponse;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// The seconds of a window.
const WINDOW: f64 = 60.0;

/// What one user has sent.
#[derive(Debug)]
pub(super) struct UserLimit(RateLimit);

/// What the headers of an answer say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LimitState {
    headers: Vec<(HeaderName, String)>,
    /// Whether the request is refused.
    pub(super) refused: bool,
}

impl UserLimit {
    /// A user that has sent nothing.
    pub(super) fn new(options: &Render) -> Self {
        Self(RateLimit::new(options.rate_limit, WINDOW))
    }

    /// Takes a request, or refuses it. A refused one counts for nothing.
    pub(super) fn take(&mut self, options: &Render, now: f64) -> LimitState {
        if options.rate_limit == 0 {
            return LimitState { headers: Vec::new(), refused: false };
        }
        let remaining = self.0.remaining(now);
        let refused = remaining == 0;
        if !refused {
            self.0.take(now);
        }
        let resets_at = self.0.resets_at(now);
        let wait = (resets_at - now).ceil().max(1.0);
        let reset = match options.reset {
            ResetTime::Seconds => wait,
            ResetTime::Epoch => resets_at.ceil(),
        };
        let mut headers = vec![
            (LIMIT, options.rate_limit.to_string()),
            (REMAINING, remaining.saturating_sub(1).to_string()),
            (RESET, format!("{reset:.0}")),
        ];
        if refused && options.retry_after {
            headers.push((RETRY_AFTER, format!("{wait:.0}")));
        }
        LimitState { headers, refused }
    }
}

impl LimitState {
    /// The answer with these headers.
    pub(super) fn on(self, response: ApiResponse) -> ApiResponse {
        self.headers.into_iter().fold(response, |response, (name, value)| response.header(name, &value))
    }

    /// The answer to a request that is refused.
    pub(super) fn refusal(self) -> ApiResponse {
        self.on(Problem::TooManyRequests.response())
    }
}
