//! What the API refuses. Most errors have status 200 and stand in the answer.

use http::StatusCode;
use serde_json::{Value, json};

use crate::simulator::response::ApiResponse;

/// Why a query, or one of its fields, is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// The token is bad, or may not do this. The words are the same.
    NotAuthorized,
    /// The same with status 401.
    Unauthorized,
    /// The token of an environment is bad.
    ProjectTokenNotFound,
    TwoFactorRequired,
    NotFound(&'static str),
    /// The query demands too much.
    TooComplex,
    /// The query does not fit the schema: status 400.
    Invalid(String),
    /// Neither the path nor the method of the API.
    NoSuchPath,
    TooManyRequests,
}

impl Problem {
    /// The answer to a query that fails as a whole; `field` is where.
    pub(super) fn response_at(self, field: Option<&str>) -> ApiResponse {
        let status = self.status();
        let mut error = json!({ "message": self.message(), "extensions": { "code": self.code() } });
        if let Some(field) = field {
            error["locations"] = json!([{ "line": 2, "column": 3 }]);
            error["path"] = json!([field]);
        }
        ApiResponse::json(status, &json!({ "errors": [error], "data": null }))
    }

    /// The answer to a request that fails before its query is run.
    pub(super) fn response(self) -> ApiResponse {
        self.response_at(None)
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::OK,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::NotAuthorized | Self::Unauthorized => "Not Authorized".to_owned(),
            Self::ProjectTokenNotFound => "Project Token not found".to_owned(),
            Self::TwoFactorRequired => "Two Factor Authentication Required".to_owned(),
            Self::NotFound(what) => format!("{what} not found"),
            Self::TooComplex => "Problem processing request".to_owned(),
            Self::Invalid(message) => message.clone(),
            Self::NoSuchPath => "Cannot find this path".to_owned(),
            Self::TooManyRequests => "Too many requests".to_owned(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "GRAPHQL_VALIDATION_FAILED",
            Self::NoSuchPath => "NOT_FOUND",
            Self::TooManyRequests => "RATE_LIMITED",
            _ => "INTERNAL_SERVER_ERROR",
        }
    }
}

/// An error that stands beside the data.
pub(super) fn beside(path: &[Value]) -> Value {
    let extensions = json!({ "code": "INTERNAL_SERVER_ERROR" });
    json!({ "message": "Problem processing request", "path": path, "extensions": extensions })
}

/// An error of this status, in the API's form.
pub(super) fn refusal(status: StatusCode, message: &str) -> ApiResponse {
    ApiResponse::json(status, &json!({ "errors": [{ "message": message, "extensions": {} }], "data": null }))
}
