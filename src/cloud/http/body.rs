//! Bounds on an answer: its bytes after decompression, the depth of its JSON, and its encoding.
//!
//! A failure while an answer is fetched becomes one of our own errors here; no byte of the answer is kept.

use std::error::Error;
use std::io;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use serde::Deserialize;

use super::global_limits::BodyPermit;
use super::resolve::AllRefused;
use crate::cloud::CloudError;
use crate::cloud::error::{AnswerProblem, Refusal, Unreachable};

/// The deepest JSON that is accepted. Clouds send no more than ten levels.
const MAX_DEPTH: usize = 64;

/// Reads a body piece by piece and stops at the limit, so that a small bomb never becomes a large buffer. Waits while
/// there is no memory for it.
pub(super) async fn receive(
    mut response: Response,
    max_bytes: usize,
    memory: &mut BodyPermit<'_>,
) -> Result<Bytes, CloudError> {
    // The client has decoded a known encoding and removed its header.
    if !is_plain(response.headers()) {
        return Err(AnswerProblem::Encoding.into());
    }
    let at_most = match response.content_length() {
        Some(length) if length > max_bytes as u64 => return Err(AnswerProblem::TooLarge.into()),
        Some(length) => usize::try_from(length).unwrap_or(max_bytes),
        None => max_bytes,
    };
    let mut body = Bytes::new();
    let mut gathered = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        let length = body.len() + gathered.len() + chunk.len();
        if length > max_bytes {
            return Err(AnswerProblem::TooLarge.into());
        }
        memory.grow_to(length, at_most).await;
        // Most answers come in one piece, which is passed on without a copy.
        if body.is_empty() && gathered.is_empty() {
            body = chunk;
        } else {
            gathered.extend_from_slice(&std::mem::take(&mut body));
            gathered.extend_from_slice(&chunk);
        }
    }
    Ok(if gathered.is_empty() { body } else { gathered.freeze() })
}

fn is_plain(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The body as text that is safe to parse: valid UTF-8, and not nested too deeply.
pub fn json_text(body: &[u8]) -> Result<&str, AnswerProblem> {
    let text = std::str::from_utf8(body).map_err(|_| AnswerProblem::NotJson)?;
    if is_deeper_than(body, MAX_DEPTH) { Err(AnswerProblem::TooDeep) } else { Ok(text) }
}

/// Parses text that [`json_text`] accepted. The value may borrow from it.
pub fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, AnswerProblem> {
    serde_json::from_str(text).map_err(|error| json_problem(&error))
}

/// The problem behind a parser's error.
pub fn json_problem(error: &serde_json::Error) -> AnswerProblem {
    if error.is_data() { AnswerProblem::Shape } else { AnswerProblem::NotJson }
}

/// Whether brackets outside of strings are nested deeper than `max_depth`. One pass without recursion.
fn is_deeper_than(json: &[u8], max_depth: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > max_depth {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// The cause of a failed request as one of our own errors.
pub(super) fn failure(error: &reqwest::Error) -> CloudError {
    if caused_by::<AllRefused>(error) {
        return Refusal::PrivateAddress.into();
    }
    let how = if error.is_dns() {
        Unreachable::Dns
    } else if caused_by::<rustls::Error>(error) {
        Unreachable::Tls
    } else if error.is_connect() {
        Unreachable::Connect
    } else if error.is_timeout() {
        Unreachable::Timeout
    } else if error.is_decode() && !caused_by::<hyper::Error>(error) {
        return AnswerProblem::Encoding.into();
    } else {
        Unreachable::BrokeOff
    };
    how.into()
}

/// Whether an error of this type is anywhere in the chain, also inside an [`io::Error`], which hides its content.
fn caused_by<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let mut current = Some(error);
    while let Some(error) = current {
        if error.is::<E>() {
            return true;
        }
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        current = match inside {
            Some(inside) => Some(inside),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn json_nested_too_deeply_is_refused_before_it_is_parsed() {
        assert_eq!(json_text(nested(MAX_DEPTH).as_bytes()).unwrap().len(), 2 * MAX_DEPTH);
        assert_eq!(json_text(nested(MAX_DEPTH + 1).as_bytes()), Err(AnswerProblem::TooDeep));
        assert_eq!(json_text("[{\"a\":".repeat(100_000).as_bytes()), Err(AnswerProblem::TooDeep));
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        let text = format!(r#"{{"a": "{}\"{}"}}"#, "[".repeat(100), "{".repeat(100));
        assert!(json_text(text.as_bytes()).is_ok());
    }

    #[test]
    fn text_that_is_not_json_differs_from_json_of_another_shape() {
        let number = |body: &[u8]| parse::<u32>(json_text(body)?);
        assert_eq!(number(b"7"), Ok(7));
        for body in [&b""[..], b"<html>", b"\"7", b"7 8", b"\"\xff\""] {
            assert_eq!(number(body), Err(AnswerProblem::NotJson), "{}", body.escape_ascii());
        }
        assert_eq!(number(b"\"seven\""), Err(AnswerProblem::Shape));
    }

    proptest! {
        #[test]
        fn no_body_causes_a_panic(body in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = json_text(&body).and_then(parse::<serde_json::Value>);
        }
    }
}
