//! The own metrics in Prometheus text format 0.0.4, page by page, so that a slow reader costs one page and not the text of
//! all accounts.

use std::sync::Arc;

use prometheus::proto::MetricFamily;
use prometheus::{Encoder, Registry, TextEncoder};

use super::account::{FAMILY_COUNT, Key, LiveAccounts};

/// How many accounts are read at once.
const ACCOUNTS: usize = 128;

/// The own metrics that are still to be read. Series that come or go meanwhile may be there or not.
pub struct Pages {
    registry: Registry,
    live: Arc<LiveAccounts>,
    next: Next,
}

enum Next {
    /// Everything that is not about an account, which is little.
    Process,
    /// A family about accounts.
    Accounts(Position),
    End,
}

/// Where a family about accounts goes on.
#[derive(Default)]
struct Position {
    family: usize,
    after: Option<Key>,
    /// Whether the family's HELP and TYPE are written, which stand before its first series.
    begun: bool,
}

impl Pages {
    pub(super) fn new(registry: Registry, live: Arc<LiveAccounts>) -> Self {
        Self { registry, live, next: Next::Process }
    }

    /// At least this many bytes unless fewer are left; `None` at the end. Costs CPU time: not for async threads.
    pub fn next_chunk(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let mut chunk = Vec::new();
        while chunk.len() < bytes {
            match &mut self.next {
                Next::Process => {
                    encode(&self.registry.gather(), &mut chunk);
                    self.next = Next::Accounts(Position::default());
                }
                Next::Accounts(position) if position.family < FAMILY_COUNT => {
                    let (series, last) = self.live.page(position.family, position.after.as_ref(), ACCOUNTS);
                    if !series.get_metric().is_empty() {
                        push(&series, position.begun, &mut chunk);
                        position.begun = true;
                    }
                    if last.is_some() {
                        position.after = last;
                    } else {
                        *position = Position { family: position.family + 1, ..Position::default() };
                    }
                }
                Next::Accounts(_) => self.next = Next::End,
                Next::End => break,
            }
        }
        (!chunk.is_empty()).then_some(chunk)
    }
}

/// Appends a part of a family, without HELP and TYPE where an earlier part has them.
fn push(family: &MetricFamily, begun: bool, chunk: &mut Vec<u8>) {
    let start = chunk.len();
    encode(std::slice::from_ref(family), chunk);
    if begun {
        let header =
            chunk[start..].split_inclusive(|byte| *byte == b'\n').take_while(|line| line.starts_with(b"#"));
        let length: usize = header.map(<[u8]>::len).sum();
        chunk.drain(start..start + length);
    }
}

fn encode(families: &[MetricFamily], chunk: &mut Vec<u8>) {
    if let Err(error) = TextEncoder::new().encode(families, chunk) {
        tracing::error!(%error, "own metrics cannot be rendered");
    }
}
