//! What faults look like on the wire: answers instead of the right one, and right ones spoilt.

use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};
use futures::{StreamExt, stream};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, LOCATION, RETRY_AFTER};
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::json;

use super::{FaultKind, Operation, RetryAfter};
use crate::simulator::answer::Answer;
use crate::simulator::numbers;

/// How deep the nested JSON is.
const DEPTH: usize = 100_000;

/// Bytes that a truncated body lacks.
const MISSING: usize = 1000;

/// How long a truncated body takes to end.
const PAUSE: Duration = Duration::from_millis(20);

/// An answer that comes instead of the right one, if this fault is of that sort.
pub(in crate::simulator) fn instead(kind: &FaultKind, operation: Operation, now: f64) -> Option<Answer> {
    let status = |status: u16| StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let refusal = |code: u16, words: &str| Answer::json(status(code), &json!({ "detail": words }));
    Some(match kind {
        FaultKind::TooManyRequests(after) => retry_after(refusal(429, "Request was throttled."), *after, now),
        FaultKind::Status(code, after) => {
            retry_after(refusal(*code, "The simulated cloud fails on purpose."), *after, now)
        }
        FaultKind::RejectLogin(code) => refusal(*code, "Unable to login with provided credentials."),
        FaultKind::Html => {
            let page = "<!DOCTYPE html>\n<html><body><h1>Welcome to nginx!</h1></body></html>\n";
            Answer::body(StatusCode::OK, "text/html", page)
        }
        FaultKind::EmptyBody => Answer::empty(StatusCode::OK),
        FaultKind::WrongJson => Answer::json(StatusCode::OK, &wrong(operation)),
        FaultKind::DeepJson => Answer::body(StatusCode::OK, "application/json", deep(operation)),
        FaultKind::Redirect(target) => Answer::empty(StatusCode::FOUND).header(LOCATION, target),
        _ => return None,
    })
}

/// The right answer, made wrong by one fault after another, ready to be sent.
pub(in crate::simulator) fn spoil(mut answer: Answer, kinds: &[FaultKind]) -> Response<Body> {
    if kinds.contains(&FaultKind::InvalidUtf8) {
        answer.body = break_texts(&answer.body).into();
    }
    let length = answer.body.len();
    if kinds.contains(&FaultKind::GzipBomb) {
        gzip_bomb(answer)
    } else if kinds.contains(&FaultKind::TruncatedBody) {
        let body = std::mem::take(&mut answer.body);
        // A stream, whose length the HTTP library does not know and therefore does not correct. It ends a moment
        // after its bytes, so that they are on their way when the library finds too few and closes the connection.
        let pause = stream::once(tokio::time::sleep(PAUSE)).map(|()| Ok(Bytes::new()));
        let body = Body::from_stream(stream::iter([Ok::<_, Infallible>(body)]).chain(pause));
        answer.header(CONTENT_LENGTH, &(length + MISSING).to_string()).with(body)
    } else if kinds.contains(&FaultKind::SlowBody) {
        let body = std::mem::take(&mut answer.body);
        answer.header(CONTENT_LENGTH, &length.to_string()).with(slowly(body))
    } else {
        answer.send()
    }
}

fn retry_after(answer: Answer, after: RetryAfter, now: f64) -> Answer {
    match after {
        RetryAfter::Absent => answer,
        RetryAfter::Seconds(seconds) => answer.header(RETRY_AFTER, &seconds.to_string()),
        RetryAfter::Date(seconds) => {
            let second = numbers::floor(now + seconds as f64);
            match Timestamp::from_second(second) {
                Ok(time) => {
                    answer.header(RETRY_AFTER, &time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
                }
                Err(_) => answer,
            }
        }
    }
}

/// An answer of the documented shape whose values have other types.
fn wrong(operation: Operation) -> serde_json::Value {
    match operation {
        Operation::Login => json!({ "token": { "value": 17 } }),
        Operation::Services => {
            json!({ "count": "many", "previous": [], "next": 7, "results": { "service_name": [1] } })
        }
        Operation::Instances => json!({ "instance_name": 5, "uuid": [] }),
        Operation::Metrics => json!({ "name": 1, "columns": "time", "points": { "0": "now" } }),
    }
}

/// An answer of the documented shape with lists in lists in the place of its values.
fn deep(operation: Operation) -> String {
    let nested = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    match operation {
        Operation::Login => format!(r#"{{"token":{nested}}}"#),
        Operation::Services => format!(r#"{{"count":1,"previous":null,"next":null,"results":{nested}}}"#),
        Operation::Instances => nested,
        Operation::Metrics => format!(r#"{{"name":"stats","columns":["time"],"points":{nested}}}"#),
    }
}

/// The same JSON with two bytes that are never UTF-8 at the beginning of each text in it.
fn break_texts(body: &[u8]) -> Vec<u8> {
    const NEVER: [u8; 2] = [0xff, 0xfe];
    let mut broken = Vec::with_capacity(body.len() * 2);
    for (place, byte) in body.iter().enumerate() {
        broken.push(*byte);
        let begins = *byte == b'"' && place > 0 && matches!(body[place - 1], b':' | b'[' | b',' | b'{');
        if begins {
            broken.extend(NEVER);
        }
    }
    if broken.len() == body.len() {
        broken.extend(NEVER);
    }
    broken
}

/// A byte a second.
fn slowly(body: Bytes) -> Body {
    Body::from_stream(stream::iter(0..body.len()).then(move |place| {
        let byte = body.slice(place..=place);
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, Infallible>(byte)
        }
    }))
}

/// Size of a piece of the bomb, unpacked, and the number of pieces: 1 GiB.
const PIECE: usize = 1 << 20;
const PIECES: usize = 1 << 10;

/// One piece of the bomb, packed so that it may be repeated: 1 MiB of blanks, which JSON allows anywhere.
static PACKED: LazyLock<Bytes> = LazyLock::new(|| {
    let blanks = vec![b' '; PIECE];
    let mut packed = Vec::with_capacity(1 << 13);
    // Raw deflate; a full flush ends at a byte and refers to nothing before.
    let mut compress = Compress::new(Compression::best(), false);
    match compress.compress_vec(&blanks, &mut packed, FlushCompress::Full) {
        Ok(_) => packed.into(),
        Err(_) => Bytes::new(),
    }
});

/// Checksum and length that end a gzip file of all pieces.
static TRAILER: LazyLock<Bytes> = LazyLock::new(|| {
    let mut crc = Crc::new();
    crc.update(&vec![b' '; PIECE]);
    // Doubled ten times: the checksum of 1 GiB without reading 1 GiB.
    for _ in 0..PIECES.ilog2() {
        let mut half = Crc::new();
        std::mem::swap(&mut half, &mut crc);
        crc.combine(&half);
        crc.combine(&half);
    }
    // An empty last block comes first.
    let mut end = vec![0x03, 0x00];
    end.extend(crc.sum().to_le_bytes());
    end.extend((1_u32 << 30).to_le_bytes());
    end.into()
});

fn gzip_bomb(mut answer: Answer) -> Response<Body> {
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    answer.body = Bytes::new();
    let pieces = stream::iter(std::iter::once(Bytes::from_static(&HEADER)))
        .chain(stream::iter(std::iter::repeat_with(|| PACKED.clone()).take(PIECES)))
        .chain(stream::once(async { TRAILER.clone() }));
    answer.header(CONTENT_ENCODING, "gzip").with(Body::from_stream(pieces.map(Ok::<_, Infallible>)))
}
