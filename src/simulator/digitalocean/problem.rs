//! Requests that the API refuses, in its form of errors: a word as `id`, and a message.

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
}

impl Problem {
    pub(super) fn response(self) -> ApiResponse {
        let (status, message) = match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "Unable to authenticate you"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "You are not authorized to perform this operation"),
            Self::NotFound => (StatusCode::NOT_FOUND, "The resource you requested could not be found."),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed here."),
            Self::BadRequest(message) => (StatusCode::BAD_REQUEST, message),
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "API rate limit exceeded."),
        };
        refusal(status, message)
    }
}

/// An error of this status, in the API's form.
pub(super) fn refusal(status: StatusCode, message: &str) -> ApiResponse {
    let id = match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::TOO_MANY_REQUESTS => "too_many_requests",
        _ if status.is_server_error() => "server_error",
        _ => "bad_request",
    };
    ApiResponse::json(status, &json!({ "id": id, "message": message }))
}
