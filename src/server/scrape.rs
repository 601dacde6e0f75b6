//! A finished body on its way to the client: compressed as it is kept, or taken apart on the way.
//!
//! What is made on the way is made as fast as the client reads it, here and in [`super::detail`].

use std::io;

use axum::body::Body as HttpBody;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};

use crate::exposition::Body;
use crate::exposition::gzip::Inflate;

/// How much of a body is made at once: bounds what a slow client holds in memory.
pub(super) const CHUNK_BYTES: usize = 256 << 10;

/// The answer to a scrape; `vary` names the request's headers that it depends on.
pub(super) fn answer(body: &Body, content_type: &'static str, gzip: bool, vary: &'static str) -> Response {
    let headers = [(CONTENT_TYPE, content_type), (VARY, vary)];
    if gzip {
        return (headers, [(CONTENT_ENCODING, "gzip")], body.gzip.clone()).into_response();
    }
    let length = [(CONTENT_LENGTH, HeaderValue::from(body.plain_bytes()))];
    (headers, length, HttpBody::from_stream(inflated(body.gzip.clone()))).into_response()
}

/// The plain forms of bodies, one after the other, after a first piece.
pub(super) fn plain_after<'a>(first: Bytes, bodies: impl Iterator<Item = &'a Body>) -> HttpBody {
    let first: Chunks = stream::once(async { Ok(first) }).boxed();
    let bodies = bodies.map(|body| inflated(body.gzip.clone()));
    let pieces: Vec<_> = std::iter::once(first).chain(bodies).collect();
    HttpBody::from_stream(stream::iter(pieces).flatten())
}

/// A body in pieces.
pub(super) type Chunks = BoxStream<'static, io::Result<Bytes>>;

/// Takes a body apart as fast as the client reads it.
fn inflated(gzip: Bytes) -> Chunks {
    as_read(Inflate::new(gzip), |inflate| inflate.next_chunk(CHUNK_BYTES))
}

/// Makes a body as fast as the client reads it, chunk by chunk on threads made for work; `next` makes none at the end.
pub(super) fn as_read<M: Send + 'static>(
    maker: M,
    next: impl Fn(&mut M) -> io::Result<Option<Bytes>> + Copy + Send + 'static,
) -> Chunks {
    let next = move |mut maker: M| async move {
        let work = move || Ok(next(&mut maker)?.map(|chunk| (chunk, maker)));
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
    };
    stream::try_unfold(maker, next).boxed()
}
