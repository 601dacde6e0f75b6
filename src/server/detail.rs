//! Streams one account as JSON, piece by piece as fast as the client reads it. An account may have many thousand instances,
//! and a complete body would occupy their size again for every slow client. Nothing is held between two chunks, not even the
//! snapshot: where a newer one has replaced it, the list goes on in that one.
//!
//! Knows how lists are assembled; [`super::views`] knows their elements.

use std::io;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use serde::Serialize;

use super::objects::ServiceOf;
use super::scrape::{CHUNK_BYTES, LISTS, as_read};
use super::selection::Selection;
use super::{json, views};
use crate::account::AccountId;
use crate::collector::registry::{Listed, Registry, Snapshot};
use crate::exposition::values::{InstanceEntry, ServiceEntry};

/// The account at `now`, with the services that the selection takes.
pub(super) fn answer(
    registry: Arc<Registry>,
    id: AccountId,
    now: SystemTime,
    selection: Selection,
) -> Response {
    let stream = Stream { registry, id, now, selection, next: Some(Piece::Account), read: None };
    let body = Body::from_stream(as_read(&LISTS, stream, |stream| stream.next_chunk(CHUNK_BYTES)));
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// An account that is being sent.
struct Stream {
    registry: Arc<Registry>,
    id: AccountId,
    now: SystemTime,
    selection: Selection,
    next: Option<Piece>,
    /// What the chunk before was read from, and the names of the objects at its end.
    read: Option<(Weak<Snapshot>, Names)>,
}

/// The next piece, by index in the lists; the index after the last is the end of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Account,
    /// A service, and whether one stands before it in the answer.
    Service(usize, bool),
    /// An instance of a service.
    Instance(usize, usize),
}

impl Stream {
    /// At least this many bytes unless fewer are left, and at most one piece more; `None` at the end. Costs CPU time: not
    /// for async threads.
    fn next_chunk(&mut self, bytes: usize) -> io::Result<Option<Bytes>> {
        let Some(mut next) = self.next else { return Ok(None) };
        let account = self.registry.listed(&self.id);
        let account = account.ok_or_else(|| io::Error::other("the account has gone"))?;
        let now = self.now;
        let mut pieces = Pieces { account: &account, now, selection: &mut self.selection };
        if let Some((read, names)) = &self.read
            && account.snapshot_weak().is_none_or(|snapshot| !snapshot.ptr_eq(read))
        {
            next = names.find(next, pieces.services());
        }
        let mut chunk = Vec::new();
        let mut piece = Some(next);
        while chunk.len() < bytes
            && let Some(next) = piece
        {
            piece = pieces.write(next, &mut chunk)?;
        }
        self.read = piece.map(|next| {
            (account.snapshot_weak().unwrap_or_default(), Names::before(next, pieces.services()))
        });
        self.next = piece;
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }
}

/// The names of the objects that stand before a piece, to find the piece again in a newer snapshot.
#[derive(Debug, Default, PartialEq, Eq)]
struct Names {
    service: Option<(String, Option<String>, Option<String>)>,
    instance: Option<(String, String)>,
}

impl Names {
    fn before(piece: Piece, services: &[ServiceEntry]) -> Self {
        let (service, instance) = match piece {
            Piece::Account => (None, None),
            Piece::Service(index, _) => (index.checked_sub(1).and_then(|index| services.get(index)), None),
            Piece::Instance(service, index) => {
                let service = services.get(service);
                let before = index.checked_sub(1);
                (service, service.zip(before).and_then(|(service, index)| service.instances.get(index)))
            }
        };
        Self { service: service.map(service_name), instance: instance.map(instance_name) }
    }

    /// The piece after those objects. Objects keep their order, so those that have gone were before the piece at worst.
    fn find(&self, piece: Piece, services: &[ServiceEntry]) -> Piece {
        let found = services.iter().position(|service| Some(service_name(service)) == self.service);
        match piece {
            Piece::Account => Piece::Account,
            Piece::Service(index, after) => Piece::Service(found.map_or(index, |index| index + 1), after),
            Piece::Instance(before, index) => {
                // Without its service, its other instances have gone and the next service has its index. The end of the list
                // of instances still has to be written.
                let Some(service) = found else { return Piece::Instance(before.wrapping_sub(1), usize::MAX) };
                let instances =
                    services.get(service).map(|service| &service.instances[..]).unwrap_or_default();
                let last =
                    instances.iter().position(|instance| Some(instance_name(instance)) == self.instance);
                Piece::Instance(service, last.map_or(index, |last| last + 1))
            }
        }
    }
}

fn service_name(service: &ServiceEntry) -> (String, Option<String>, Option<String>) {
    let facts = &service.facts;
    (facts.name.clone(), facts.application.clone(), facts.id.clone())
}

fn instance_name(instance: &InstanceEntry) -> (String, String) {
    (instance.facts.id.clone(), instance.facts.name.clone())
}

/// An account's pieces, for as long as one chunk is made.
struct Pieces<'a> {
    account: &'a Listed,
    now: SystemTime,
    selection: &'a mut Selection,
}

impl<'a> Pieces<'a> {
    /// Writes a piece and returns the one that follows.
    fn write(&mut self, piece: Piece, chunk: &mut Vec<u8>) -> serde_json::Result<Option<Piece>> {
        let next = match piece {
            Piece::Account => {
                open(chunk, &views::detail(self.account, self.now))?;
                Piece::Service(0, false)
            }
            Piece::Service(index, after_another) => {
                let Some(service) = self.services().get(index) else {
                    close(chunk);
                    return Ok(None);
                };
                if !self.selection.takes(&ServiceOf { account: self.account, service }) {
                    return Ok(Some(Piece::Service(index + 1, after_another)));
                }
                separate(chunk, after_another);
                open(chunk, &views::service(service))?;
                Piece::Instance(index, 0)
            }
            Piece::Instance(service, index) => {
                let instances = self.services().get(service).map(|service| &service.instances[..]);
                if let Some(instance) = instances.unwrap_or_default().get(index) {
                    separate(chunk, index > 0);
                    json::write(chunk, &views::instance(instance))?;
                    Piece::Instance(service, index + 1)
                } else {
                    close(chunk);
                    Piece::Service(service.wrapping_add(1), true)
                }
            }
        };
        Ok(Some(next))
    }

    fn services(&self) -> &'a [ServiceEntry] {
        self.account.snapshot().map(|snapshot| &snapshot.values.services[..]).unwrap_or_default()
    }
}

/// The end of an object whose last field is an empty list.
const END: &[u8] = b"]}";

/// Writes such an object without its end, so that the elements of the list can follow.
fn open(chunk: &mut Vec<u8>, object: &impl Serialize) -> serde_json::Result<()> {
    json::write(chunk, object)?;
    chunk.truncate(chunk.len() - END.len());
    Ok(())
}

fn close(chunk: &mut Vec<u8>) {
    chunk.extend_from_slice(END);
}

fn separate(chunk: &mut Vec<u8>, after_another: bool) {
    if after_another {
        chunk.push(b',');
    }
}
