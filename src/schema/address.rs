//! Endpoints and the names in their paths: the rules of a schema, and the same checks on values.

use url::Url;

use super::rule::{Rule, matches};

/// An endpoint: no user or password, no query, no fragment, no escape, no control character.
const ENDPOINT_PATTERN: &str = r"^https?://[^/?#@%\\\x00-\x20\x7f]+(/[^?#%\\\x00-\x20\x7f]*)?$";

/// What may be between two slashes of a URL's path.
const SEGMENT_PATTERN: &str = r"^[^/?#%\\\x00-\x20\x7f]+$";

/// On an endpoint: a base URL and nothing more.
pub fn endpoint() -> Rule {
    Rule::new(
        format!("isURL(self) && {}", matches("self", ENDPOINT_PATTERN)),
        "write an http:// or https:// URL with a host and without user, password, query, fragment and escapes, such as https://caas.example.com/v1/",
    )
}

/// On a name that becomes a part of a URL's path; `what` says whose name it is.
pub fn segment(what: &str) -> Rule {
    Rule::new(
        format!("self != '.' && self != '..' && {}", matches("self", SEGMENT_PATTERN)),
        format!("write the name of {what}, without slashes, spaces, ?, # and %"),
    )
}

/// Whether a text can be one part of a URL's path and keep its meaning there.
pub fn is_segment(text: &str) -> bool {
    let forbidden = |c: char| "/?#%\\".contains(c) || c == ' ' || c.is_ascii_control();
    !matches!(text, "" | "." | "..") && !text.contains(forbidden)
}

/// A base URL that ends in a slash, normalized so that two spellings of one address are equal; `None` for anything
/// else, such as a URL with a user or a query.
pub fn base_url(text: &str) -> Option<Url> {
    let mut url = Url::parse(text.trim()).ok()?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain || !url.has_host() || !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Some(url)
}
