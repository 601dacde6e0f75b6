//! A finished body on its way to the client: compressed as it is kept, or taken apart on the way.

use std::io;

use axum::body::Body as HttpBody;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};

use crate::exposition::Body;
use crate::exposition::gzip::Inflate;

/// How much of a compressed body is taken apart at once: bounds what a slow client holds in memory.
const CHUNK_BYTES: usize = 256 << 10;

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

type Chunks = BoxStream<'static, io::Result<Bytes>>;

/// Takes a body apart as fast as the client reads it, chunk by chunk on threads made for work.
fn inflated(gzip: Bytes) -> Chunks {
    let next = async |mut inflate: Inflate| {
        let work = move || Ok(inflate.next_chunk(CHUNK_BYTES)?.map(|chunk| (chunk, inflate)));
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
    };
    stream::try_unfold(Inflate::new(gzip), next).boxed()
}
