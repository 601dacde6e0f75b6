//! What the API and its login server refuse, in the form of each.

use http::StatusCode;
use serde_json::{Value, json};

use crate::simulator::response::ApiResponse;

/// A refused request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// No token at all.
    NoToken,
    /// A token that is no longer or was never valid.
    BadToken,
    /// No such resource.
    NotFound(&'static str),
    /// A parameter of the query.
    Parameter(&'static str),
    /// A path or method that the API does not have.
    Unknown,
    /// Wrong user, password, client or secret: the login server's 401.
    Credentials,
    /// A refresh token that is no longer valid.
    RefreshToken,
    /// A login without what it needs.
    LoginForm,
}

impl Problem {
    pub(super) fn response(self) -> ApiResponse {
        let oauth = |status, error: &str, description: &str| {
            ApiResponse::json(status, &json!({ "error": error, "error_description": description }))
        };
        match self {
            Self::NoToken => {
                api(StatusCode::UNAUTHORIZED, 10002, "CF-NotAuthenticated", "Authentication error")
            }
            Self::BadToken => {
                api(StatusCode::UNAUTHORIZED, 1000, "CF-InvalidAuthToken", "Invalid Auth Token")
            }
            Self::NotFound(what) => {
                api(StatusCode::NOT_FOUND, 10010, "CF-ResourceNotFound", &format!("{what} not found"))
            }
            Self::Parameter(detail) => api(
                StatusCode::BAD_REQUEST,
                10005,
                "CF-BadQueryParameter",
                &format!("The query parameter is invalid: {detail}"),
            ),
            Self::Unknown => api(StatusCode::NOT_FOUND, 10000, "CF-NotFound", "Unknown request"),
            Self::Credentials => oauth(StatusCode::UNAUTHORIZED, "unauthorized", "Bad credentials"),
            Self::RefreshToken => oauth(
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "The token expired, was revoked, or is wrong",
            ),
            Self::LoginForm => {
                oauth(StatusCode::BAD_REQUEST, "invalid_request", "Missing grant type or field")
            }
        }
    }
}

/// An error of the API.
pub(super) fn api(status: StatusCode, code: u32, title: &str, detail: &str) -> ApiResponse {
    ApiResponse::json(status, &errors(code, title, detail))
}

/// The JSON of an error of the API.
pub(super) fn errors(code: u32, title: &str, detail: &str) -> Value {
    json!({ "errors": [{ "code": code, "title": title, "detail": detail }] })
}
