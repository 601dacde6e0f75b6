//! Content negotiation: the format and encoding that a client prefers. Pure functions of the request headers.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

/// The exposition formats of an account's metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    OpenMetrics,
}

/// The format that the client prefers. Text if it has no preference or names neither: every scraper reads it, and a
/// response is more useful than a 406.
pub(super) fn format(headers: &HeaderMap) -> Format {
    if preference(headers, "application/openmetrics-text", "1.0.0")
        > preference(headers, "text/plain", "0.0.4")
    {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

/// Whether the client prefers HTML to JSON, as browsers do. One without a preference gets JSON.
pub(super) fn wants_html(headers: &HeaderMap) -> bool {
    preference(headers, "text/html", "") > preference(headers, "application/json", "")
}

/// How much the client wants this media type in this version: quality, then how specifically it is named. `None` if not at
/// all.
fn preference(headers: &HeaderMap, name: &str, version: &str) -> Option<(u16, u8)> {
    elements(headers, &ACCEPT)
        .filter_map(|element| Some((element.specificity(name, version)?, element.quality)))
        .max()
        // The most specific element decides the quality; only then are qualities compared.
        .map(|(specificity, quality)| (quality, specificity))
        .filter(|(quality, _)| *quality > 0)
}

/// Whether the client accepts gzip and does not prefer the plain form.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let quality = |names: &[&str]| {
        let named = |element: &Element<'_>| names.iter().any(|name| element.name.eq_ignore_ascii_case(name));
        elements(headers, &ACCEPT_ENCODING).filter(named).map(|element| element.quality).max()
    };
    let gzip = quality(&["gzip", "x-gzip"]).or_else(|| quality(&["*"])).unwrap_or(0);
    gzip > 0 && gzip >= quality(&["identity"]).unwrap_or(0)
}

/// One element of a list with qualities, such as `text/plain;version=0.0.4;q=0.2`.
struct Element<'a> {
    name: &'a str,
    version: Option<&'a str>,
    /// In thousandths, the finest steps of the syntax (RFC 9110, 12.4.2).
    quality: u16,
}

impl Element<'_> {
    /// How specifically the element names this media type in this version; `None` if it does not match.
    fn specificity(&self, name: &str, version: &str) -> Option<u8> {
        let group = name.split('/').next().unwrap_or_default();
        let whole_group = self.name.strip_suffix("/*").is_some_and(|range| range.eq_ignore_ascii_case(group));
        match self.version {
            _ if self.name == "*/*" => Some(0),
            _ if whole_group => Some(1),
            _ if !self.name.eq_ignore_ascii_case(name) => None,
            None => Some(2),
            Some(requested) => (requested == version).then_some(3),
        }
    }
}

/// The elements of a header in all its lines. Elements with an invalid quality are skipped.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Element<'a>> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter_map(element)
}

fn element(text: &str) -> Option<Element<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let mut element = Element { name: parts.next()?, version: None, quality: 1000 };
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match key.trim() {
            "q" | "Q" => element.quality = quality(value)?,
            "version" => element.version = Some(value),
            _ => {}
        }
    }
    Some(element)
}

fn quality(text: &str) -> Option<u16> {
    let quality: f32 = text.parse().ok().filter(|quality| (0.0..=1.0).contains(quality))?;
    // Within 0 and 1000 after the check above.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Some((quality * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn chosen(accept: &'static str) -> Format {
        format(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]))
    }

    fn gzip(accept_encoding: &'static str) -> bool {
        accepts_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accept_encoding))]))
    }

    #[test]
    fn prometheus_gets_openmetrics_by_default() {
        for accept in [
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;\
             version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,\
             */*;q=0.2",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,\
             application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3",
            "application/openmetrics-text; version=1.0.0,application/openmetrics-text; version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        ] {
            assert_eq!(chosen(accept), Format::OpenMetrics, "{accept}");
        }
    }

    #[test]
    fn prometheus_that_prefers_text_gets_text() {
        let accept =
            "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.2";
        assert_eq!(chosen(accept), Format::Text);
    }

    #[test]
    fn a_client_without_a_preference_or_with_an_impossible_one_gets_text() {
        assert_eq!(format(&HeaderMap::new()), Format::Text);
        for accept in [
            "*/*",
            "text/*",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "application/json",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0,*/*",
            "application/openmetrics-text;q=nan",
            "application/openmetrics-text;q=2, text/plain;q=0.1",
            "text/plain,application/openmetrics-text",
            "",
            ";;,,=",
        ] {
            assert_eq!(chosen(accept), Format::Text, "{accept}");
        }
    }

    #[test]
    fn browsers_get_html_and_programs_json() {
        let html = |accept: &'static str| {
            wants_html(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]))
        };
        for yes in ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html", "text/*"]
        {
            assert!(html(yes), "{yes}");
        }
        for no in
            ["*/*", "application/json", "application/json, text/html;q=0.9", "text/html;q=0", "text/plain"]
        {
            assert!(!html(no), "{no}");
        }
        assert!(!wants_html(&HeaderMap::new()));
    }

    #[test]
    fn openmetrics_is_recognized_in_every_notation() {
        for accept in [
            "application/openmetrics-text",
            "Application/OpenMetrics-Text",
            "application/openmetrics-text; version=\"1.0.0\" ; charset=utf-8",
            "application/openmetrics-text,*/*",
            "text/plain;q=0.5, application/openmetrics-text;q=0.501",
            "text/plain;q=0,*/*",
        ] {
            assert_eq!(chosen(accept), Format::OpenMetrics, "{accept}");
        }
    }

    #[test]
    fn several_header_lines_are_read_as_one() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT, HeaderValue::from_static("text/plain;q=0.5"));
        headers.append(ACCEPT, HeaderValue::from_static("application/openmetrics-text"));
        assert_eq!(format(&headers), Format::OpenMetrics);
    }

    #[test]
    fn gzip_is_used_if_the_client_accepts_it() {
        for yes in ["gzip", "deflate, gzip;q=0.5", "GZIP", "x-gzip", "*", "br;q=1, *;q=0.1", "gzip, identity"]
        {
            assert!(gzip(yes), "{yes}");
        }
        for no in ["", "identity", "gzip;q=0", "gzip;q=0.0, *", "*;q=0", "br", "identity, gzip;q=0.5"] {
            assert!(!gzip(no), "{no}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
