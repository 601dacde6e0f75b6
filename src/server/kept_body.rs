//! Bodies that only responses still keep in memory: those of snapshots that have been replaced since.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use bytes::Bytes;

/// A body that a response keeps in memory until it is read. An extension of the response.
#[derive(Debug, Clone)]
pub(super) struct KeptBody {
    owner: Weak<dyn Any + Send + Sync>,
    body: Bytes,
}

impl KeptBody {
    /// A body that `owner` keeps as well, as long as it lives.
    pub(super) fn new<T: Send + Sync + 'static>(owner: &Arc<T>, body: &Bytes) -> Self {
        let owner: Weak<T> = Arc::downgrade(owner);
        Self { owner, body: body.clone() }
    }

    /// Whether only responses still keep it.
    pub(super) fn is_replaced(&self) -> bool {
        self.owner.strong_count() == 0
    }
}

/// How many bytes only responses still keep; what several of them read counts once.
pub(super) fn replaced_bytes<'a>(bodies: impl Iterator<Item = &'a KeptBody>) -> usize {
    let replaced = bodies.filter(|body| body.is_replaced());
    let lengths: HashMap<_, _> = replaced.map(|kept| (kept.body.as_ptr(), kept.body.len())).collect();
    lengths.into_values().sum()
}
