//! Which format and which encoding a client asked for. Pure: headers in, a choice out.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

/// The formats that an account is served in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    OpenMetrics,
}

/// The format that the client likes better. Text where it does not care or names neither: every reader of metrics
/// takes it, and an answer is of more use than a 406.
pub(super) fn format(headers: &HeaderMap) -> Format {
    let wish = |name, version| {
        elements(headers, &ACCEPT)
            .filter_map(|element| Some((element.fits(name, version)?, element.quality)))
            .max()
            // The most precise element decides the quality; only then are qualities compared.
            .map(|(precision, quality)| (quality, precision))
            .filter(|(quality, _)| *quality > 0)
    };
    if wish("application/openmetrics-text", "1.0.0") > wish("text/plain", "0.0.4") {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

/// Whether the client takes gzip, and does not like the plain form better.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
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
    /// In thousandths, the most that the syntax can tell apart (RFC 9110, 12.4.2).
    quality: u16,
}

impl Element<'_> {
    /// How precisely the element names this media type in this version; `None` if it means another one.
    fn fits(&self, name: &str, version: &str) -> Option<u8> {
        let group = name.split('/').next().unwrap_or_default();
        let whole_group = self.name.strip_suffix("/*").is_some_and(|range| range.eq_ignore_ascii_case(group));
        match self.version {
            _ if self.name == "*/*" => Some(0),
            _ if whole_group => Some(1),
            _ if !self.name.eq_ignore_ascii_case(name) => None,
            None => Some(2),
            Some(wanted) => (wanted == version).then_some(3),
        }
    }
}

/// The elements of a header, over all its lines. One whose quality cannot be read is left out.
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

    fn asked(accept: &'static str) -> Format {
        format(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]))
    }

    fn gzip(accept_encoding: &'static str) -> bool {
        takes_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accept_encoding))]))
    }

    #[test]
    fn prometheus_gets_openmetrics_as_it_asks() {
        for accept in [
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;\
             version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,\
             */*;q=0.2",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,\
             application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3",
            "application/openmetrics-text; version=1.0.0,application/openmetrics-text; version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        ] {
            assert_eq!(asked(accept), Format::OpenMetrics, "{accept}");
        }
    }

    #[test]
    fn prometheus_that_prefers_text_gets_text() {
        let accept =
            "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.2";
        assert_eq!(asked(accept), Format::Text);
    }

    #[test]
    fn who_does_not_care_or_asks_for_the_impossible_gets_text() {
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
            assert_eq!(asked(accept), Format::Text, "{accept}");
        }
    }

    #[test]
    fn openmetrics_is_found_however_it_is_written() {
        for accept in [
            "application/openmetrics-text",
            "Application/OpenMetrics-Text",
            "application/openmetrics-text; version=\"1.0.0\" ; charset=utf-8",
            "application/openmetrics-text,*/*",
            "text/plain;q=0.5, application/openmetrics-text;q=0.501",
            "text/plain;q=0,*/*",
        ] {
            assert_eq!(asked(accept), Format::OpenMetrics, "{accept}");
        }
    }

    #[test]
    fn header_lines_add_up() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT, HeaderValue::from_static("text/plain;q=0.5"));
        headers.append(ACCEPT, HeaderValue::from_static("application/openmetrics-text"));
        assert_eq!(format(&headers), Format::OpenMetrics);
    }

    #[test]
    fn gzip_is_taken_where_it_is_welcome() {
        for yes in ["gzip", "deflate, gzip;q=0.5", "GZIP", "x-gzip", "*", "br;q=1, *;q=0.1", "gzip, identity"]
        {
            assert!(gzip(yes), "{yes}");
        }
        for no in ["", "identity", "gzip;q=0", "gzip;q=0.0, *", "*;q=0", "br", "identity, gzip;q=0.5"] {
            assert!(!gzip(no), "{no}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
