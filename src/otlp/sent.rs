//! What the receiver has of each target: what was pushed of it last, so that it can be told which series have ended since.
//!
//! Of a target its labels are kept, and its compressed body, which is the registry's own until the account is collected
//! again. So the memory for this is at most one more body per account, whatever the endpoint does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::KeyValue;

use crate::account::AccountId;

/// What is pushed as one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// The program's own metrics.
    Own,
    /// An account.
    Account(AccountId),
}

/// The labels of a target that a scrape adds to each series.
#[derive(Debug, PartialEq)]
pub(super) struct TargetLabels {
    /// Attributes of the resource, which receivers make `job` and `instance` of.
    pub(super) resource: Vec<KeyValue>,
    /// Attributes of every point.
    pub(super) common: Vec<KeyValue>,
}

/// What a scrape of a target found at one time.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) labels: Arc<TargetLabels>,
    /// Text format 0.0.4, compressed.
    pub(super) gzip: Bytes,
}

impl Reading {
    /// Whether both are of the same labels and the same body in memory, so that no series can have ended.
    pub(super) fn is_the_same(&self, other: &Self) -> bool {
        let place = |reading: &Self| (reading.gzip.as_ptr(), reading.gzip.len());
        place(self) == place(other) && self.labels == other.labels
    }
}

/// The newest readings that an endpoint has answered for. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent(Arc<Mutex<BTreeMap<Key, Reading>>>);

impl Sent {
    pub(super) fn get(&self, key: &Key) -> Option<Reading> {
        self.readings().get(key).cloned()
    }

    /// All accounts of which something was pushed.
    pub(super) fn accounts(&self) -> Vec<AccountId> {
        let account = |key: &Key| match key {
            Key::Own => None,
            Key::Account(id) => Some(id.clone()),
        };
        self.readings().keys().filter_map(account).collect()
    }

    /// The endpoint has answered for these; `None` where all series have ended.
    pub(super) fn answered(&self, finished: Vec<(Key, Option<Reading>)>) {
        let mut readings = self.readings();
        for (key, reading) in finished {
            match reading {
                Some(reading) => readings.insert(key, reading),
                None => readings.remove(&key),
            };
        }
    }

    /// What becomes of its series is for another process to say.
    pub(super) fn forget(&self, key: &Key) {
        self.readings().remove(key);
    }

    fn readings(&self) -> MutexGuard<'_, BTreeMap<Key, Reading>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
