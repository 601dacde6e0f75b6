//! What this replica tells others of its accounts, line by line as fast as they read it. Nothing is held between two chunks:
//! where a snapshot is replaced meanwhile, its account begins anew.

use std::io;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;

use super::scrape::{CHUNK_BYTES, LISTS, as_read};
use crate::account::AccountId;
use crate::collector::registry::{Listed, Registry, Snapshot};
use crate::replicas::wire::Line;

/// All accounts that this replica collects, or knows why it does not.
pub(super) fn all(registry: Arc<Registry>) -> Response {
    answer(Stream { registry, next: Next::First, only: None, begun: None })
}

/// An account of which this replica has a snapshot, also where another one collects it by now.
pub(super) fn one(registry: Arc<Registry>, id: AccountId) -> Response {
    answer(Stream { registry, next: Next::First, only: Some(id), begun: None })
}

fn answer(stream: Stream) -> Response {
    let body = Body::from_stream(as_read(&LISTS, stream, Stream::next_chunk));
    ([(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

struct Stream {
    registry: Arc<Registry>,
    next: Next,
    only: Option<AccountId>,
    begun: Option<Begun>,
}

/// The account to tell of next.
enum Next {
    First,
    After(AccountId),
    End,
}

/// How much has been told of an account.
struct Begun {
    id: AccountId,
    snapshot: Weak<Snapshot>,
    /// The next service.
    service: usize,
    /// The next instance of the service before, if it may have one.
    instance: Option<usize>,
}

impl Stream {
    /// At least [`CHUNK_BYTES`] unless less is left; `None` at the end.
    fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK_BYTES {
            if let Some(begun) = self.begun.take() {
                self.go_on(begun, &mut chunk)?;
            } else if let Some(account) = self.next_account() {
                self.begin(&account, &mut chunk)?;
            } else {
                break;
            }
        }
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }

    /// The next account to tell of.
    fn next_account(&mut self) -> Option<Listed> {
        if let Some(id) = &self.only {
            let is_first = matches!(std::mem::replace(&mut self.next, Next::End), Next::First);
            return self.registry.listed(id).filter(|_| is_first);
        }
        loop {
            let last = match &self.next {
                Next::First => None,
                Next::After(id) => Some(id),
                Next::End => return None,
            };
            let account = self.registry.after(last, 1).pop();
            self.next = account.as_ref().map_or(Next::End, |account| Next::After(account.id().clone()));
            match account {
                Some(Listed::Elsewhere(_)) => {}
                other => return other,
            }
        }
    }

    fn begin(&mut self, account: &Listed, chunk: &mut Vec<u8>) -> io::Result<()> {
        let snapshot = account.own_snapshot();
        write(chunk, &Line::account(account, snapshot.map(|snapshot| &**snapshot), SystemTime::now()))?;
        match snapshot.map(Arc::downgrade) {
            Some(snapshot) => {
                self.begun = Some(Begun { id: account.id().clone(), snapshot, service: 0, instance: None });
                Ok(())
            }
            None => write(chunk, &Line::End),
        }
    }

    fn go_on(&mut self, mut begun: Begun, chunk: &mut Vec<u8>) -> io::Result<()> {
        let Some(snapshot) = begun.snapshot.upgrade() else {
            return match self.registry.listed(&begun.id) {
                Some(account) => self.begin(&account, chunk),
                // It has gone; the next account takes the place of what was told of it.
                None => Ok(()),
            };
        };
        let services = &snapshot.values.services;
        while chunk.len() < CHUNK_BYTES {
            let instance =
                begun.instance.and_then(|index| services.get(begun.service - 1)?.instances.get(index));
            if let Some(instance) = instance {
                write(chunk, &Line::instance(instance))?;
                begun.instance = begun.instance.map(|index| index + 1);
            } else if let Some(service) = services.get(begun.service) {
                write(chunk, &Line::service(service, snapshot.history.get(begun.service)))?;
                begun.service += 1;
                begun.instance = Some(0);
            } else {
                return write(chunk, &Line::End);
            }
        }
        self.begun = Some(begun);
        Ok(())
    }
}

fn write(chunk: &mut Vec<u8>, line: &Line<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *chunk, line)?;
    chunk.push(b'\n');
    Ok(())
}
