//! The headers of requests, as OpenTelemetry writes them into the variable `OTEL_EXPORTER_OTLP_HEADERS`:
//! `name=value,name=value`, with characters of values escaped as in URLs. Their values are credentials.

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

/// Headers that cannot be read. It names no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the headers for OTLP cannot be read: number {number} of them is not name=value; write them apart by commas, and escape \
     commas and other special characters of a value as in a URL (%2C)"
)]
pub struct HeaderProblem {
    /// Which one, from 1.
    number: usize,
}

/// Reads the headers; each is marked as sensitive.
pub fn parse(text: &SecretString) -> Result<HeaderMap, HeaderProblem> {
    let mut headers = HeaderMap::new();
    for (index, entry) in text.expose_secret().split(',').enumerate() {
        if entry.trim().is_empty() {
            continue;
        }
        let (name, value) = header(entry).ok_or(HeaderProblem { number: index + 1 })?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn header(entry: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = entry.split_once('=')?;
    let value: Vec<u8> = percent_decode_str(value.trim()).collect();
    let mut value = HeaderValue::from_bytes(&value).ok()?;
    value.set_sensitive(true);
    Some((name.trim().parse().ok()?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, HeaderProblem> {
        let headers = parse(&text.to_owned().into())?;
        assert!(headers.values().all(HeaderValue::is_sensitive));
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        Ok(headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect())
    }

    #[test]
    fn headers_are_read_as_opentelemetry_writes_them() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read("Authorization=Bearer%20abc==, x-scope-orgid = team%2Ca ,"),
            Ok(vec![pair("authorization", "Bearer abc=="), pair("x-scope-orgid", "team,a")])
        );
        assert_eq!(read("authorization=Basic YTpi"), Ok(vec![pair("authorization", "Basic YTpi")]));
    }

    #[test]
    fn a_header_that_cannot_be_read_is_named_by_its_number_alone() {
        for text in ["a=1,canary", "a=1,can ary=2", "a=1,b=%0Acanary"] {
            let problem = read(text).unwrap_err();
            assert_eq!(problem, HeaderProblem { number: 2 }, "{text}");
            assert!(!problem.to_string().contains("canary"));
        }
    }
}
