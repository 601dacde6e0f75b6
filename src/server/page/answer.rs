//! A response that is made as a whole, beside the threads that serve scrapes and as few at once as there are cores.
//!
//! It carries an `ETag` of its content: a page that asks again every few seconds gets an answer without a body as long as
//! nothing that it shows has changed.

use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderName, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, StatusCode};

use super::assets::hash;
use super::gzip::compressed;
use crate::server::lines::line;
use crate::server::negotiate::accepts_gzip;
use crate::server::scrape::{self, LISTS};

/// Allows a browser this server's own style sheet, script, icon and answers, and nothing else: the last line of defence
/// behind the template's escaping.
pub(in crate::server) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What is sent.
pub(in crate::server) enum Made {
    Html(String),
    Json(Vec<u8>),
    /// A status and a line of text.
    Line(StatusCode, String),
}

/// Makes a response to a request with these headers.
pub(in crate::server) async fn answer(
    headers: &HeaderMap,
    make: impl FnOnce() -> Made + Send + 'static,
) -> Response {
    let known = headers.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).map(str::to_owned);
    let gzip = accepts_gzip(headers);
    let work = move || match make() {
        Made::Html(html) => whole(html.as_bytes(), "text/html; charset=utf-8", known.as_deref(), gzip),
        Made::Json(json) => whole(&json, "application/json", known.as_deref(), gzip),
        Made::Line(status, text) => line(status, &text),
    };
    // Held until the work has ended, even if the client has left.
    let Ok(permit) = LISTS.acquire().await else { return failed() };
    let work = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    work.await.unwrap_or_else(|_| failed())
}

/// The work has panicked, which is a bug, or the process is shutting down.
fn failed() -> Response {
    line(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
}

fn whole(text: &[u8], content_type: &'static str, known: Option<&str>, gzip: bool) -> Response {
    // Weak, since the same content may be sent with and without gzip.
    let tag = format!("W/\"{:016x}\"", hash(&String::from_utf8_lossy(text)));
    let fixed: [(HeaderName, &str); 3] =
        [(CACHE_CONTROL, "no-cache"), (CONTENT_SECURITY_POLICY, POLICY), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    let tagged = [(ETAG, tag.clone())];
    if known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag || one.trim() == "*")) {
        return (StatusCode::NOT_MODIFIED, fixed, tagged).into_response();
    }
    let response = scrape::response(&compressed(text), content_type, gzip, "Accept, Accept-Encoding");
    (fixed, tagged, response).into_response()
}
