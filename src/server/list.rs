//! Streams a list of all accounts, account by account as fast as the client reads it. A complete list would take megabytes
//! for every slow client; this way, each costs one chunk.
//!
//! Knows how the registry is walked; [`Listing`] writes what stands in the list. Accounts that come or go meanwhile may be in
//! the list or not, all others are there once.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;

use super::scrape::{CHUNK_BYTES, LISTS, as_read};
use crate::account::AccountId;
use crate::collector::registry::{Listed, Registry};

/// How many accounts are read from the registry at once.
const PAGE: usize = 16;

/// Writes a list.
pub(super) trait Listing: Send + 'static {
    /// What stands before the first account.
    fn begin(&mut self, chunk: &mut Vec<u8>);
    /// The next account.
    fn account(&mut self, account: &Listed, chunk: &mut Vec<u8>) -> io::Result<()>;
    /// What stands after the last account.
    fn end(&mut self, chunk: &mut Vec<u8>);
}

/// The list as a body.
pub(super) fn body(registry: Arc<Registry>, listing: impl Listing) -> Body {
    let list = List { registry, listing, position: Position::Begin };
    Body::from_stream(as_read(&LISTS, list, List::next_chunk))
}

struct List<L> {
    registry: Arc<Registry>,
    listing: L,
    position: Position,
}

enum Position {
    Begin,
    /// After this account.
    After(AccountId),
    End,
}

impl<L: Listing> List<L> {
    /// At least [`CHUNK_BYTES`] unless less is left, and at most one account more; `None` at the end.
    fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let mut chunk = Vec::new();
        if matches!(self.position, Position::Begin) {
            self.listing.begin(&mut chunk);
        }
        while chunk.len() < CHUNK_BYTES {
            let last = match &self.position {
                Position::Begin => None,
                Position::After(id) => Some(id),
                Position::End => break,
            };
            let page = self.registry.after(last, PAGE);
            if page.is_empty() {
                self.listing.end(&mut chunk);
                self.position = Position::End;
            }
            for account in page {
                self.listing.account(&account, &mut chunk)?;
                self.position = Position::After(account.id().clone());
                if chunk.len() >= CHUNK_BYTES {
                    break;
                }
            }
        }
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }
}
