//! Responses of one line of text, and those of every router to unknown paths and methods.

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

/// A response of one line.
pub(super) fn line(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}

/// Adds one-line responses for unknown paths and methods.
pub(super) fn with_fallbacks<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    no_such_path: &'static str,
) -> Router<S> {
    routes
        .fallback(async move || line(StatusCode::NOT_FOUND, no_such_path))
        // axum adds the header Allow.
        .method_not_allowed_fallback(async || {
            line(StatusCode::METHOD_NOT_ALLOWED, "this path supports GET and HEAD only")
        })
}
