//! Bounds on an answer: its bytes after decompression, the depth of its JSON, and its encoding.
//!
//! A failure while an answer is fetched becomes one of our own errors here; no byte of the answer is kept.

use std::error::Error;
use std::io;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, HeaderMap};
use http_body_util::BodyExt;
use hyper::body::Body;
use serde::Deserialize;
use tokio::task::coop::consume_budget;

use super::global_limits::BodyPermit;
use super::gzip::{self, Gunzip};
use super::tls;
use crate::cloud::CloudError;
use crate::cloud::error::{AnswerProblem, Unreachable};

/// The deepest JSON that is accepted. Clouds send no more than ten levels.
const MAX_DEPTH: usize = 64;

/// How a body is encoded.
enum Encoding {
    Plain,
    Gzip,
}

/// Reads a body piece by piece and stops at the limit, so that a small bomb never becomes a large buffer. Waits while
/// there is no memory for it.
pub(super) async fn receive(
    headers: &HeaderMap,
    mut body: impl Body<Data = Bytes, Error = hyper::Error> + Unpin,
    max_bytes: usize,
    memory: &mut BodyPermit<'_>,
) -> Result<Bytes, CloudError> {
    let encoding = encoding(headers).ok_or(AnswerProblem::Encoding)?;
    let length = body.size_hint().exact();
    if length.is_some_and(|length| length > max_bytes as u64) {
        return Err(AnswerProblem::TooLarge.into());
    }
    match encoding {
        Encoding::Plain => {
            let at_most = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(max_bytes);
            receive_plain(&mut body, max_bytes, at_most, memory).await
        }
        Encoding::Gzip => receive_gzip(&mut body, max_bytes, memory).await,
    }
}

async fn receive_plain(
    body: &mut (impl Body<Data = Bytes, Error = hyper::Error> + Unpin),
    max_bytes: usize,
    at_most: usize,
    memory: &mut BodyPermit<'_>,
) -> Result<Bytes, CloudError> {
    let mut whole = Bytes::new();
    let mut gathered = BytesMut::new();
    while let Some(chunk) = next_chunk(body).await? {
        let length = whole.len() + gathered.len() + chunk.len();
        if length > max_bytes {
            return Err(AnswerProblem::TooLarge.into());
        }
        memory.grow_to(length, at_most).await;
        // Most answers come in one piece, which is passed on without a copy.
        if whole.is_empty() && gathered.is_empty() {
            whole = chunk;
        } else {
            gathered.extend_from_slice(&std::mem::take(&mut whole));
            gathered.extend_from_slice(&chunk);
        }
    }
    Ok(if gathered.is_empty() { whole } else { gathered.freeze() })
}

/// The limit holds for what comes as well: a stream of empty blocks has no end and becomes nothing.
async fn receive_gzip(
    body: &mut (impl Body<Data = Bytes, Error = hyper::Error> + Unpin),
    max_bytes: usize,
    memory: &mut BodyPermit<'_>,
) -> Result<Bytes, CloudError> {
    let mut gunzip = Gunzip::new();
    let mut received = 0;
    while let Some(chunk) = next_chunk(body).await? {
        received += chunk.len();
        for piece in chunk.chunks(gzip::STEP) {
            let length = gunzip.unpack(piece)?;
            if length.max(received) > max_bytes {
                return Err(AnswerProblem::TooLarge.into());
            }
            memory.grow_to(length, max_bytes).await;
            // A few KiB become megabytes: others of this thread have their turn between.
            consume_budget().await;
        }
    }
    Ok(gunzip.finish()?.into())
}

async fn next_chunk(
    body: &mut (impl Body<Data = Bytes, Error = hyper::Error> + Unpin),
) -> Result<Option<Bytes>, CloudError> {
    while let Some(frame) = body.frame().await {
        // Trailers say nothing that is of use.
        if let Ok(data) = frame.map_err(|error| failure(&error))?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// The encoding that the headers name, if it is one that was asked for. `x-gzip` is another name of gzip (RFC 9110,
/// section 8.4.1.3).
fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let names = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let mut names = names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
    let Some(name) = names.next() else { return Some(Encoding::Plain) };
    let is_gzip = name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip");
    (is_gzip && names.next().is_none()).then_some(Encoding::Gzip)
}

/// The body as text that is safe to parse: valid UTF-8, and not nested too deeply.
pub fn json_text(body: &[u8]) -> Result<&str, AnswerProblem> {
    let text = std::str::from_utf8(body).map_err(|_| AnswerProblem::NotJson)?;
    // A byte order mark is no part of the text, and a parser may ignore it (RFC 8259, section 8.1).
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
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

/// The cause of a failed exchange as one of our own errors.
pub(super) fn failure(error: &hyper::Error) -> CloudError {
    if error.is_parse_too_large() {
        return AnswerProblem::HeadTooLarge.into();
    }
    match cause::<rustls::Error>(error) {
        Some(problem) => Unreachable::Tls(tls::problem(problem)).into(),
        None => Unreachable::BrokeOff.into(),
    }
}

/// The error of this type in the chain, also inside an [`io::Error`], which hides its content.
pub(super) fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        current = match inside {
            Some(inside) => Some(inside),
            None => error.source(),
        };
    }
    None
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
        assert_eq!(number("\u{feff}7".as_bytes()), Ok(7), "a byte order mark is no part of it");
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
