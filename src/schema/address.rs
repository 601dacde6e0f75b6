//! Endpoints and the names in their paths: the rules of a schema, and the same checks on values.

use percent_encoding::percent_decode;
use url::Url;

use super::rule::{Rule, matches};

/// An endpoint: no user or password, no query, no fragment, no escape, no path parameter (`;`), no empty segment, no
/// control character.
const ENDPOINT_PATTERN: &str = r"^https?://[^/?#@%;\\\x00-\x20\x7f]+(/[^/?#%;\\\x00-\x20\x7f]+)*/?$";

/// What may be between two slashes of a URL's path.
const SEGMENT_PATTERN: &str = r"^[^/?#%;\\\x00-\x20\x7f]+$";

/// How often an escape may be escaped again and still be understood: a proxy and a server may each decode once.
const DECODINGS: usize = 4;

/// On an endpoint: a base URL and nothing more.
pub fn endpoint() -> Rule {
    Rule::new(
        format!("isURL(self) && {}", matches("self", ENDPOINT_PATTERN)),
        "use an http:// or https:// URL with a host and no user, password, query, fragment, percent escape, semicolon or empty path segment, such as https://caas.example.com/v1/",
    )
}

/// On a name that becomes a part of a URL's path; `what` says whose name it is.
pub fn segment(what: &str) -> Rule {
    Rule::new(
        format!("self != '.' && self != '..' && {}", matches("self", SEGMENT_PATTERN)),
        format!("use the name of {what}, without slashes, semicolons, spaces, ?, # or %"),
    )
}

/// Whether a text can be one part of a URL's path and keep its meaning there.
pub fn is_segment(text: &str) -> bool {
    let forbidden = |c: char| "/?#%;\\".contains(c) || c == ' ' || c.is_ascii_control();
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
    let path_is_plain = !url.path().contains(';') && is_unambiguous(url.path());
    if !plain || !path_is_plain || !url.has_host() || !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Some(url)
}

/// Whether servers cannot read this path of a URL as another one.
///
/// Servers and proxies differ in what they make of empty segments, of path parameters (`..;a=b`) and of escapes such as
/// `%2e%2e%2f`, so that one checks a path and another serves a different one. The last segment may be empty.
pub fn is_unambiguous(path: &str) -> bool {
    let path = path.strip_prefix('/').unwrap_or(path);
    let parents = path.rsplit_once('/').map_or("", |(parents, _)| parents);
    let no_gap =
        parents.is_empty() && !path.starts_with('/') || parents.split('/').all(|one| !one.is_empty());
    no_gap && path.split('/').all(|one| one.is_empty() || stays_in_place(one))
}

/// Whether a segment of a path, escaped or not, names something and leads nowhere else, however often it is decoded.
pub fn stays_in_place(segment: &str) -> bool {
    let mut text = segment.as_bytes().to_vec();
    for _ in 0..DECODINGS {
        if text.iter().any(u8::is_ascii_control) || text.split(|byte| b"/\\".contains(byte)).any(is_step) {
            return false;
        }
        let decoded: Vec<u8> = percent_decode(&text).collect();
        if decoded == text {
            return true;
        }
        text = decoded;
    }
    false
}

/// Whether a part of a path is a step and no name: `.`, `..` or only a parameter, each also with a parameter behind it.
fn is_step(part: &[u8]) -> bool {
    let name = part.split(|byte| *byte == b';').next().unwrap_or_default();
    matches!(name, b"." | b"..") || name.is_empty() && part.contains(&b';')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_servers_read_differently_is_told_from_a_plain_one() {
        for path in [
            "",
            "/",
            "/v1",
            "/v1/",
            "/v1/services/a%2Fb/",
            "/v1/a;b=c/",
            "/.well-known/x",
            "/v1/a%20b",
            "/v1/...",
        ] {
            assert!(is_unambiguous(path), "{path}");
        }
        for path in [
            "//",
            "/v1//",
            "//v1",
            "/v1//x",
            "/v1/..;/admin/",
            "/v1/..;",
            "/v1/.;/x",
            "/v1/..;a=b/x",
            "/v1/;/x",
            "/v1/;a=b",
            "/v1/%2e%2e%3b/x",
            "/v1/..%3b/x",
            "/v1/%2E%2E%2Fx",
            "/v1/..%2fx",
            "/v1/a%2f..%2fx",
            "/v1/..%5cx",
            "/v1/..\\x",
            "/v1/%252e%252e%252fx",
            "/v1/%25252e%25252e",
            "/v1/%2525252525252e",
            "/v1/a%00b",
            "/v1/..%0a",
            "/v1/%0d%0ax",
        ] {
            assert!(!is_unambiguous(path), "{path}");
        }
    }

    #[test]
    fn a_base_url_has_a_plain_path() {
        assert_eq!(base_url("https://a.example").unwrap().as_str(), "https://a.example/");
        for url in [
            "https://a.example//",
            "https://a.example/v1//",
            "https://a.example/v1/..;/x/",
            "https://a.example/v1;a/",
            "https://a.example/%2e%2e%3b/",
        ] {
            assert_eq!(base_url(url), None, "{url}");
        }
    }
}
