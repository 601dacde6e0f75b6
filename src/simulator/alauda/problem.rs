//! Requests that the API refuses, and the two forms in which it says so.

use http::StatusCode;
use http::header::{ALLOW, WWW_AUTHENTICATE};
use serde_json::json;

use super::route::Route;
use crate::simulator::response::ApiResponse;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    LoginForm,
    Password,
    NoToken,
    BadToken,
    Forbidden,
    NotFound,
    Page,
    Method,
    Window,
}

impl Problem {
    /// The response to a request for this route; `later_form` is the one of later years.
    pub(super) fn response(self, route: &Route, later_form: bool) -> ApiResponse {
        let (status, code, message) = self.parts();
        let body = match self {
            _ if later_form => {
                json!({ "errors": [{ "code": code, "message": message, "source": "1001" }] })
            }
            Self::LoginForm => json!({ "username": [message], "password": [message] }),
            Self::Password => json!({ "non_field_errors": [message] }),
            _ => json!({ "detail": message }),
        };
        let response = ApiResponse::json(status, &body);
        match self {
            Self::Method => response.header(ALLOW, route.allow()),
            Self::NoToken | Self::BadToken => response.header(WWW_AUTHENTICATE, "Token"),
            _ => response,
        }
    }

    /// Status, code and message.
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::LoginForm => (StatusCode::BAD_REQUEST, "invalid_args", "This field is required."),
            Self::Password => {
                (StatusCode::UNAUTHORIZED, "invalid_login", "Unable to login with provided credentials.")
            }
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "not_authenticated",
                "Authentication credentials were not provided.",
            ),
            Self::BadToken => (StatusCode::UNAUTHORIZED, "invalid_token", "Invalid token."),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "permission_denied",
                "You do not have permission to perform this action.",
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "resource_not_exist", "Not found."),
            Self::Page => (StatusCode::NOT_FOUND, "resource_not_exist", "Invalid page."),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed."),
            Self::Window => (
                StatusCode::BAD_REQUEST,
                "invalid_args",
                "start_time, end_time (seconds) and point_per_period (1s 1m 5m 15m 30m 1h 4h 12h 1d 7d 30d) are required.",
            ),
        }
    }
}
