//! Responses with rendered bodies: compressed as stored, or decompressed while they are sent.
//!
//! Streams, here and in [`super::detail`] and [`super::list`], are produced only as fast as the client reads them.

use std::io;
use std::num::NonZero;
use std::sync::LazyLock;

use axum::body::Body as HttpBody;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use tokio::sync::Semaphore;

use crate::exposition::Body;
use crate::exposition::gzip::Inflate;

/// How much of a body is produced at once: bounds the memory that a slow client costs.
pub(super) const CHUNK_BYTES: usize = 32 << 10;

/// Limits how many chunks are produced at once, in the order of asking: it is CPU work, and more at once than there are
/// cores would only slow down everything else.
pub(super) type Producers = LazyLock<Semaphore>;

/// Scrapes: each waits for other scrapes only.
pub(super) static SCRAPES: Producers = LazyLock::new(as_many_as_cores);
/// Lists and JSON, for people and discovery.
pub(super) static LISTS: Producers = LazyLock::new(as_many_as_cores);

fn as_many_as_cores() -> Semaphore {
    Semaphore::new(std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// The response to a scrape; `vary` names the request headers that it depends on.
pub(super) fn response(body: &Body, content_type: &'static str, gzip: bool, vary: &'static str) -> Response {
    let headers = [(CONTENT_TYPE, content_type), (VARY, vary)];
    if gzip {
        return (headers, [(CONTENT_ENCODING, "gzip")], body.gzip.clone()).into_response();
    }
    let length = [(CONTENT_LENGTH, HeaderValue::from(body.plain_bytes()))];
    (headers, length, HttpBody::from_stream(inflated(body.gzip.clone()))).into_response()
}

/// A stream followed by the decompressed bodies.
pub(super) fn plain_after<'a>(first: Chunks, bodies: impl Iterator<Item = &'a Body>) -> HttpBody {
    let bodies = bodies.map(|body| inflated(body.gzip.clone()));
    let chunks: Vec<_> = std::iter::once(first).chain(bodies).collect();
    HttpBody::from_stream(stream::iter(chunks).flatten())
}

/// A body as a stream of chunks.
pub(super) type Chunks = BoxStream<'static, io::Result<Bytes>>;

/// Decompresses a body as fast as the client reads it.
fn inflated(gzip: Bytes) -> Chunks {
    as_read(&SCRAPES, Inflate::new(gzip), |inflate| inflate.next_chunk(CHUNK_BYTES))
}

/// Produces a body chunk by chunk on blocking threads, as fast as the client reads it; `next` returns `None` at the end.
pub(super) fn as_read<M: Send + 'static>(
    producers: &'static Producers,
    producer: M,
    next: impl Fn(&mut M) -> io::Result<Option<Bytes>> + Copy + Send + 'static,
) -> Chunks {
    let next = move |mut producer: M| async move {
        let permit = producers.acquire().await.map_err(io::Error::other)?;
        let work = move || {
            // Held until the work has ended, even if the client has left.
            let _permit = permit;
            Ok(next(&mut producer)?.map(|chunk| (chunk, producer)))
        };
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
    };
    stream::try_unfold(producer, next).boxed()
}
