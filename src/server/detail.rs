//! Streams one account as JSON, piece by piece as fast as the client reads it. An account may have many thousand instances,
//! and a complete body would occupy their size again for every slow client.
//!
//! Knows how lists are assembled; [`super::views`] knows their elements.

use std::io;
use std::time::SystemTime;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use serde::Serialize;

use super::scrape::{CHUNK_BYTES, as_read};
use super::views;
use crate::collector::registry::Listed;
use crate::exposition::values::ServiceEntry;

/// The account at `now`.
pub(super) fn answer(account: Listed, now: SystemTime) -> Response {
    let pieces = Pieces { account, now, next: Some(Piece::Account) };
    let body = Body::from_stream(as_read(pieces, |pieces| pieces.next_chunk(CHUNK_BYTES)));
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// An account that is being sent. Holds the snapshot, which all its readers share.
struct Pieces {
    account: Listed,
    now: SystemTime,
    next: Option<Piece>,
}

/// The next piece, by index in the lists; the index after the last is the end of the list.
#[derive(Clone, Copy)]
enum Piece {
    Account,
    Service(usize),
    Instance(usize, usize),
}

impl Pieces {
    /// At least this many bytes unless fewer are left, and at most one piece more; `None` at the end. Costs CPU time: not
    /// for async threads.
    fn next_chunk(&mut self, bytes: usize) -> io::Result<Option<Bytes>> {
        let mut chunk = Vec::new();
        while chunk.len() < bytes
            && let Some(piece) = self.next
        {
            self.next = self.write(piece, &mut chunk)?;
        }
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }

    /// Writes a piece and returns the one that follows.
    fn write(&self, piece: Piece, chunk: &mut Vec<u8>) -> serde_json::Result<Option<Piece>> {
        let next = match piece {
            Piece::Account => {
                open(chunk, &views::detail(&self.account, self.now))?;
                Piece::Service(0)
            }
            Piece::Service(index) => {
                let Some(service) = self.services().get(index) else {
                    close(chunk);
                    return Ok(None);
                };
                separate(chunk, index);
                open(chunk, &views::service(service))?;
                Piece::Instance(index, 0)
            }
            Piece::Instance(service, index) => {
                let instances = self.services().get(service).map(|service| &service.instances[..]);
                if let Some(instance) = instances.unwrap_or_default().get(index) {
                    separate(chunk, index);
                    serde_json::to_writer(chunk, &views::instance(instance))?;
                    Piece::Instance(service, index + 1)
                } else {
                    close(chunk);
                    Piece::Service(service + 1)
                }
            }
        };
        Ok(Some(next))
    }

    fn services(&self) -> &[ServiceEntry] {
        self.account.snapshot().map(|snapshot| &snapshot.values.services[..]).unwrap_or_default()
    }
}

/// The end of an object whose last field is an empty list.
const END: &[u8] = b"]}";

/// Writes such an object without its end, so that the elements of the list can follow.
fn open(chunk: &mut Vec<u8>, object: &impl Serialize) -> serde_json::Result<()> {
    serde_json::to_writer(&mut *chunk, object)?;
    chunk.truncate(chunk.len() - END.len());
    Ok(())
}

fn close(chunk: &mut Vec<u8>) {
    chunk.extend_from_slice(END);
}

fn separate(chunk: &mut Vec<u8>, index: usize) {
    if index > 0 {
        chunk.push(b',');
    }
}
