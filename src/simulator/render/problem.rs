//! Requests that the API refuses, in its form of errors: an id and a message. A 429 has another form than all others.

use http::StatusCode;
use serde_json::json;

use crate::simulator::response::ApiResponse;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    Unauthorized,
    Forbidden,
    NotFound,
    Method,
    BadRequest(&'static str),
    TooManyRequests,
    TooManyPoints,
}

impl Problem {
    pub(super) fn response(self) -> ApiResponse {
        let (status, message) = match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "you do not have permission to do this"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not found"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method not allowed"),
            Self::BadRequest(message) => (StatusCode::BAD_REQUEST, message),
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, ""),
            Self::TooManyPoints => (StatusCode::INTERNAL_SERVER_ERROR, "internal server error"),
        };
        refusal(status, message)
    }
}

/// An error of this status, in the API's form.
pub(super) fn refusal(status: StatusCode, message: &str) -> ApiResponse {
    if status == StatusCode::TOO_MANY_REQUESTS {
        return ApiResponse::json(status, &json!({ "error": "rate limit exceeded" }));
    }
    ApiResponse::json(status, &json!({ "id": "err-simulated", "message": message }))
}
