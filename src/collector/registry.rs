//! Account to newest snapshot: written by the tasks, read by the server. Reading never waits for work.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use super::health::Health;
use crate::account::{Account, AccountId};
use crate::exposition::Bodies;
use crate::exposition::page::Page;

/// What one cycle left behind; never changed after it is made.
#[derive(Debug)]
pub struct Snapshot {
    /// The rendered bodies.
    pub bodies: Bodies,
    /// The values behind them.
    pub page: Page,
    /// How many series the bodies hold, legacy aside.
    pub series: usize,
    /// How the collection stands.
    pub health: Health,
    /// When the newest cycle ended, for people; values may have gone stale since.
    pub collected_at: SystemTime,
}

impl Snapshot {
    /// How many services and instances are exposed.
    pub fn counts(&self) -> (usize, usize) {
        let services = &self.page.services;
        (services.len(), services.iter().map(|service| service.instances.len()).sum())
    }
}

/// An account that is looked after, with its newest snapshot once there is one.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The account as it is collected now.
    pub account: Arc<Account>,
    /// `None` before the end of its first cycle.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Whether the snapshot is of the account as it is collected now, not kept from before a change.
    pub is_current: bool,
}

/// All accounts of this process.
#[derive(Debug, Default)]
pub struct Registry {
    entries: RwLock<BTreeMap<AccountId, Entry>>,
}

impl Registry {
    /// The entry of an account.
    pub fn get(&self, id: &AccountId) -> Option<Entry> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// All entries, ordered by namespace and name.
    pub fn all(&self) -> Vec<Entry> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// How many accounts are in each state, by the reason of their health.
    pub fn states(&self) -> BTreeMap<&'static str, i64> {
        let mut states = BTreeMap::new();
        for entry in self.entries.read().unwrap_or_else(PoisonError::into_inner).values() {
            let state = entry.snapshot.as_ref().map_or("Pending", |snapshot| snapshot.health.reason());
            *states.entry(state).or_insert(0) += 1;
        }
        states
    }

    /// Puts an account in. It keeps the snapshot of the one before it only where it inherits that one's values.
    pub fn put(&self, account: Arc<Account>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let kept = entries
            .get(&account.id)
            .filter(|entry| account.inherits_from(&entry.account))
            .and_then(|entry| entry.snapshot.clone());
        entries.insert(account.id.clone(), Entry { account, snapshot: kept, is_current: false });
    }

    /// Puts an account's newest snapshot in, unless the account has gone or was changed since: only a task that
    /// collects this very value speaks for it.
    pub fn publish(&self, account: &Arc<Account>, snapshot: Arc<Snapshot>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get_mut(&account.id);
        if let Some(entry) = entry.filter(|entry| Arc::ptr_eq(&entry.account, account)) {
            entry.snapshot = Some(snapshot);
            entry.is_current = true;
        }
    }

    /// Takes an account out, with its snapshot.
    pub fn remove(&self, id: &AccountId) {
        self.entries.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
