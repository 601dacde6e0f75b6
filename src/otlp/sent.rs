//! What the receiver has of each target: what was pushed of it last, so that it can be told which series have ended since.
//!
//! Of a target its labels are kept, and its compressed body, which is the registry's own until the account is collected
//! again. So the memory for this is at most one more body per account, whatever the endpoint does. It is charged to the
//! account's namespace; where it does not fit, it is dropped, and nobody says that series of the account have ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::account::AccountId;
use crate::limits::{Charge, MemoryBudget, Named, OverBudget};

/// What the holders of readings are called before the account's name, which no account is called like.
const PUSHED: &str = "pushed/";

/// An estimate of what a reading takes besides its body: its key, its labels and its place in the map.
const BESIDES: usize = 1024;

/// What a series takes while an older body is compared with a newer one: a hash, in a set that has room to grow.
const SERIES_BYTES: usize = 32;

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
    /// How many series the text has; 0 for the program's own, which are charged to nobody.
    pub(super) series: usize,
}

impl Reading {
    /// Whether both are of the same labels and the same body in memory, so that no series can have ended.
    pub(super) fn is_the_same(&self, other: &Self) -> bool {
        let place = |reading: &Self| (reading.gzip.as_ptr(), reading.gzip.len());
        place(self) == place(other) && self.labels == other.labels
    }
}

/// Readings, and what they are charged to.
type Readings = BTreeMap<Key, (Reading, Option<Charge>)>;

/// The newest readings that an endpoint has answered for. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    readings: Arc<Mutex<Readings>>,
    memory: MemoryBudget,
    cuts: UnboundedSender<Named>,
}

/// The readings that have to be dropped, since others need the memory.
pub(super) struct Cuts {
    sent: Sent,
    cuts: UnboundedReceiver<Named>,
}

impl Cuts {
    /// Drops them as they are ordered to go. Never ends.
    pub(super) async fn follow(mut self) {
        while let Some((namespace, name)) = self.cuts.recv().await {
            if let Some(name) = name.strip_prefix(PUSHED) {
                self.sent.forget(&Key::Account(AccountId::new(&namespace, name)));
            }
        }
    }
}

impl Sent {
    /// Nothing yet; within this memory.
    pub(super) fn new(memory: MemoryBudget) -> (Self, Cuts) {
        let (cuts, receiver) = mpsc::unbounded_channel();
        let sent = Self { readings: Arc::default(), memory, cuts };
        (sent.clone(), Cuts { sent, cuts: receiver })
    }

    pub(super) fn get(&self, key: &Key) -> Option<Reading> {
        self.readings().get(key).map(|(reading, _)| reading.clone())
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
        for (key, reading) in finished {
            // The charge of the former reading is given back first.
            self.forget(&key);
            let Some(reading) = reading else { continue };
            if let Ok(charge) = self.charge(&key, reading.gzip.len() + BESIDES) {
                self.readings().insert(key, (reading, charge));
            }
        }
    }

    /// What becomes of its series is for another process to say.
    pub(super) fn forget(&self, key: &Key) {
        let _former = self.readings().remove(key);
    }

    /// The memory that it takes to find out which series have ended, while it is free: no account is cut for that.
    pub(super) fn charge_comparison(&self, key: &Key, now: &Reading) -> Result<Option<Charge>, OverBudget> {
        let (needed, budget) = (now.series.saturating_mul(SERIES_BYTES), self.memory.bytes());
        if needed > budget.saturating_sub(self.memory.held()) {
            return Err(OverBudget { needed, budget });
        }
        self.charge(key, needed)
    }

    /// The memory of a reading; none is charged for the program's own metrics, which nobody else chooses.
    fn charge(&self, key: &Key, bytes: usize) -> Result<Option<Charge>, OverBudget> {
        let Key::Account(id) = key else { return Ok(None) };
        let name = format!("{PUSHED}{}", id.name);
        let mut charge = self.memory.reporting_holder(&id.namespace, &name, &self.cuts).charge();
        charge.resize(bytes)?;
        Ok(Some(charge))
    }

    fn readings(&self) -> MutexGuard<'_, Readings> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn reading(bytes: usize) -> Reading {
        let labels = TargetLabels { resource: Vec::new(), common: Vec::new() };
        Reading { labels: Arc::new(labels), gzip: vec![0; bytes].into(), series: bytes / 20 }
    }

    fn key(name: &str) -> Key {
        Key::Account(AccountId::new("team-a", name))
    }

    #[test]
    fn readings_are_charged_and_go_when_others_need_the_memory() {
        let memory = MemoryBudget::new(100_000);
        let (sent, cuts) = Sent::new(memory.clone());
        sent.answered(vec![(Key::Own, Some(reading(7))), (key("acme"), Some(reading(70_000)))]);
        assert_eq!(memory.held(), 70_000 + BESIDES);
        sent.answered(vec![(key("acme"), Some(reading(50_000))), (key("large"), Some(reading(200_000)))]);
        assert_eq!(
            memory.held(),
            50_000 + BESIDES,
            "the newest one is charged, and what does not fit is not kept"
        );
        assert!(sent.get(&key("large")).is_none());

        let mut others = ["team-b", "team-c"].map(|namespace| memory.holder(namespace, "other").charge());
        others[0].resize(40_000).unwrap();
        others[1].resize(20_000).unwrap();
        assert_eq!(memory.held(), 60_000);
        assert!(cuts.follow().now_or_never().is_none());
        assert!(sent.get(&key("acme")).is_none() && sent.get(&Key::Own).is_some());
    }

    #[test]
    fn a_comparison_is_charged_while_it_lasts_and_not_made_where_an_account_would_be_cut_for_it() {
        let memory = MemoryBudget::new(100_000);
        let (sent, _cuts) = Sent::new(memory.clone());
        let account = memory.holder("team-a", "acme");
        let mut values = account.charge();
        values.resize(60_000).unwrap();
        let now = reading(20_000);
        let comparison = sent.charge_comparison(&key("acme"), &now).unwrap();
        assert_eq!(memory.held(), 60_000 + 1_000 * SERIES_BYTES);
        assert!(sent.charge_comparison(&key("acme"), &now).is_err() && account.is_cut().is_none());
        drop(comparison);
        assert_eq!(memory.held(), 60_000);
    }
}
