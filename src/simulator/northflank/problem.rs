//! Requests that the API refuses, in its form of errors: an object with status, message and id.

use http::StatusCode;
use serde_json::{Value, json};

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
}

impl Problem {
    pub(super) fn response(self) -> ApiResponse {
        let (status, message) = match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "Invalid API token"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "Insufficient permissions"),
            Self::NotFound => (StatusCode::NOT_FOUND, "Not found"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
            Self::BadRequest(message) => (StatusCode::BAD_REQUEST, message),
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded"),
        };
        refusal(status, message)
    }
}

/// An error of this status, in the API's form.
pub(super) fn refusal(status: StatusCode, message: &str) -> ApiResponse {
    ApiResponse::json(status, &error(status, message))
}

/// The JSON of an error.
fn error(status: StatusCode, message: &str) -> Value {
    let id = status.canonical_reason().unwrap_or("Error").to_lowercase().replace(' ', "-");
    json!({ "error": { "status": status.as_u16(), "message": message, "id": id, "details": {} } })
}
