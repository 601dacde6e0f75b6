//! What faults do to responses: replace them, or damage the right ones.

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

use super::fault::{FaultKind, RetryAfter};
use crate::simulator::numbers;
use crate::simulator::operation::Operation;
use crate::simulator::provider::SimulatedCloud;
use crate::simulator::response::ApiResponse;

/// How deep the nested JSON is.
const DEPTH: usize = 100_000;

/// How many bytes a truncated body is short of its length.
const MISSING: usize = 1000;

/// How long a truncated body takes to end.
const PAUSE: Duration = Duration::from_millis(20);

/// The response that this fault puts in place of the right one, if it is a fault of that sort.
pub(in crate::simulator) fn replacement(
    fault: &FaultKind,
    cloud: &dyn SimulatedCloud,
    operation: &Operation,
    now: f64,
) -> Option<ApiResponse> {
    let status = |status: u16| StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let refusal = |code: u16, message: &str| cloud.refuse(status(code), message);
    Some(match fault {
        FaultKind::TooManyRequests(after) => retry_after(refusal(429, "Request was throttled."), *after, now),
        FaultKind::Status(code, after) => {
            retry_after(refusal(*code, "The simulated cloud fails on purpose."), *after, now)
        }
        FaultKind::RejectLogin(code) => refusal(*code, "Unable to login with provided credentials."),
        FaultKind::Html => {
            let page = "<!DOCTYPE html>\n<html><body><h1>Welcome to nginx!</h1></body></html>\n";
            ApiResponse::body(StatusCode::OK, "text/html", page)
        }
        FaultKind::EmptyBody => ApiResponse::empty(StatusCode::OK),
        FaultKind::WrongJson => ApiResponse::json(StatusCode::OK, &cloud.wrong_json(operation)),
        FaultKind::ReportedError => ApiResponse::json(StatusCode::OK, &cloud.reported_error(operation)?),
        FaultKind::DeepJson => {
            let nested = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
            let body = cloud.deep_json(operation, &nested);
            ApiResponse::body(StatusCode::OK, "application/json", body)
        }
        FaultKind::Redirect(target) => ApiResponse::empty(StatusCode::FOUND).header(LOCATION, target),
        _ => return None,
    })
}

/// The right response, damaged by one fault after another, ready to be sent.
pub(in crate::simulator) fn damage(mut response: ApiResponse, faults: &[FaultKind]) -> Response<Body> {
    if faults.contains(&FaultKind::InvalidUtf8) {
        response.body = break_texts(&response.body).into();
    }
    let length = response.body.len();
    if faults.contains(&FaultKind::GzipBomb) {
        gzip_bomb(response)
    } else if faults.contains(&FaultKind::TruncatedBody) {
        let body = std::mem::take(&mut response.body);
        // A stream, whose length the HTTP library does not know and therefore does not correct. It ends a moment
        // after its bytes: they are sent by the time the library finds too few and closes the connection.
        let pause = stream::once(tokio::time::sleep(PAUSE)).map(|()| Ok(Bytes::new()));
        let body = Body::from_stream(stream::iter([Ok::<_, Infallible>(body)]).chain(pause));
        response.header(CONTENT_LENGTH, &(length + MISSING).to_string()).with_body(body)
    } else if faults.contains(&FaultKind::SlowBody) {
        let body = std::mem::take(&mut response.body);
        response.header(CONTENT_LENGTH, &length.to_string()).with_body(one_byte_a_second(body))
    } else {
        response.into_http()
    }
}

fn retry_after(response: ApiResponse, after: RetryAfter, now: f64) -> ApiResponse {
    match after {
        RetryAfter::Absent => response,
        RetryAfter::Seconds(seconds) => response.header(RETRY_AFTER, &seconds.to_string()),
        RetryAfter::Date(seconds) => {
            let second = numbers::floor(now + seconds as f64);
            match Timestamp::from_second(second) {
                Ok(time) => {
                    response.header(RETRY_AFTER, &time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
                }
                Err(_) => response,
            }
        }
    }
}

/// The same JSON with two bytes that are never UTF-8 at the start of each text in it.
fn break_texts(body: &[u8]) -> Vec<u8> {
    const NEVER: [u8; 2] = [0xff, 0xfe];
    let mut broken = Vec::with_capacity(body.len() * 2);
    for (index, byte) in body.iter().enumerate() {
        broken.push(*byte);
        let starts_text = *byte == b'"' && index > 0 && matches!(body[index - 1], b':' | b'[' | b',' | b'{');
        if starts_text {
            broken.extend(NEVER);
        }
    }
    if broken.len() == body.len() {
        broken.extend(NEVER);
    }
    broken
}

fn one_byte_a_second(body: Bytes) -> Body {
    Body::from_stream(stream::iter(0..body.len()).then(move |index| {
        let byte = body.slice(index..=index);
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

fn gzip_bomb(mut response: ApiResponse) -> Response<Body> {
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    response.body = Bytes::new();
    let pieces = stream::iter(std::iter::once(Bytes::from_static(&HEADER)))
        .chain(stream::iter(std::iter::repeat_with(|| PACKED.clone()).take(PIECES)))
        .chain(stream::once(async { TRAILER.clone() }));
    response.header(CONTENT_ENCODING, "gzip").with_body(Body::from_stream(pieces.map(Ok::<_, Infallible>)))
}
