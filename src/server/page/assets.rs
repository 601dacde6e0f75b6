//! The page's files: a style sheet, a script and an icon, each under a name with the hash of its content, so that a browser
//! keeps it for as long as it likes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, StatusCode};

use super::gzip::compressed;
use crate::exposition::Body;
use crate::server::lines::line;
use crate::server::negotiate::accepts_gzip;
use crate::server::scrape;

/// A file.
pub(in crate::server) struct Asset {
    /// `app-1a2b3c4d5e6f7081.css`.
    name: String,
    content_type: &'static str,
    body: Body,
}

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, text: &str) -> Self {
        let name = format!("{stem}-{:016x}.{extension}", hash(text));
        Self { name, content_type, body: compressed(text.as_bytes()) }
    }

    /// Its path from the root of the server, without a slash before it.
    pub(super) fn path(&self) -> String {
        format!("assets/{}", self.name)
    }

    /// The file as a response that may be kept forever.
    fn response(&self, headers: &HeaderMap) -> Response {
        let kept =
            [(CACHE_CONTROL, "public, max-age=31536000, immutable"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
        let response =
            scrape::response(&self.body, self.content_type, accepts_gzip(headers), "Accept-Encoding");
        (kept, response).into_response()
    }
}

/// Tells one content from another.
pub(super) fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The style sheet.
pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("app", "css", "text/css; charset=utf-8", include_str!("app.css")));
/// The script.
pub(super) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("app", "js", "text/javascript; charset=utf-8", include_str!("app.js")));
/// The icon.
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("icon.svg")));

/// `GET /assets/{name}`.
pub(in crate::server) fn answer(name: &str, headers: &HeaderMap) -> Response {
    let found = [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| asset.name == name);
    match found {
        Some(asset) => asset.response(headers),
        // Of another version of the program: a page that is still open asks for it.
        None => line(StatusCode::NOT_FOUND, "no such file in this version: load the page again"),
    }
}

/// `GET /favicon.ico`, which browsers ask for beside what is no page, such as JSON.
pub(in crate::server) fn icon() -> Response {
    ([(CONTENT_TYPE, ICON.content_type)], include_str!("icon.svg")).into_response()
}
