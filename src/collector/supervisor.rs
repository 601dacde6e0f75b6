//! Desired accounts to running tasks: same -> nothing, new -> spawn, changed -> replace, gone -> cancel.
//!
//! Whoever calls it decides which accounts this process owns; the supervisor is told only those.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::connect::Connect;
use super::registry::Registry;
use super::task::{Memory, Task};
use crate::account::{Account, AccountId, Uncollected};
use crate::telemetry::Metrics;

/// An account's state changed; the registry has the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Which account.
    pub id: AccountId,
    /// Which object of that name.
    pub uid: String,
}

/// Keeps one task an account.
pub struct Supervisor {
    connect: Arc<dyn Connect>,
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    transitions: mpsc::Sender<Transition>,
    slots: Mutex<Slots>,
}

/// Slots by account, and accounts by the account at the cloud that they ask.
#[derive(Default)]
struct Slots {
    by_id: HashMap<AccountId, Slot>,
    by_cloud: HashMap<String, BTreeSet<AccountId>>,
}

/// What is known of an account: what runs, or what still winds up.
struct Slot {
    /// `None` once the account is gone.
    account: Option<Arc<Account>>,
    cancel: CancellationToken,
    task: JoinHandle<Option<Memory>>,
}

impl Supervisor {
    /// A supervisor without accounts. `transitions` is told of changes and never waited for.
    pub fn new(
        connect: Arc<dyn Connect>,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        transitions: mpsc::Sender<Transition>,
    ) -> Self {
        Self { connect, registry, metrics, transitions, slots: Mutex::default() }
    }

    /// Sees that this account is collected as it is given. Returns whether that changed anything.
    pub fn put(&self, account: Account) -> bool {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let before = slots.by_id.remove(&account.id);
        if let Some(slot) = before {
            if slot.account.as_deref() == Some(&account) && !slot.task.is_finished() {
                slots.by_id.insert(account.id.clone(), slot);
                return false;
            }
            slot.cancel.cancel();
            slots.leave(slot.account.as_deref());
            self.spawn(&mut slots, Arc::new(account), Some(slot));
        } else {
            self.spawn(&mut slots, Arc::new(account), None);
        }
        true
    }

    /// Another account that asks the same account at the same cloud, if there is one.
    pub fn twin_of(&self, id: &AccountId) -> Option<AccountId> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let account = slots.by_id.get(id)?.account.as_ref()?;
        slots
            .by_cloud
            .get(&account.connection.provider.cloud_account())?
            .iter()
            .find(|other| *other != id)
            .cloned()
    }

    /// The UID of the object that is collected under this name.
    pub fn uid_of(&self, id: &AccountId) -> Option<String> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Some(slots.by_id.get(id)?.account.as_ref()?.uid.clone())
    }

    /// Sees that this account is not collected: its task ends, its series go at once.
    pub fn remove(&self, id: &AccountId) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        self.registry.remove(id);
        Self::wind_up(&mut slots, id);
    }

    /// Sees that this account is not collected, as if it were removed, and listed with the reason.
    pub fn leave_out(&self, account: Uncollected) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let id = account.id.clone();
        self.registry.leave_out(account);
        Self::wind_up(&mut slots, &id);
    }

    /// Sees that exactly these accounts are collected, and exactly those others listed.
    pub fn put_all(&self, accounts: Vec<Account>, others: Vec<Uncollected>) {
        let collected = accounts.iter().map(|account| &account.id);
        let wanted: HashSet<AccountId> =
            collected.chain(others.iter().map(|account| &account.id)).cloned().collect();
        for id in self.ids() {
            if !wanted.contains(&id) {
                self.remove(&id);
            }
        }
        for account in others {
            self.leave_out(account);
        }
        for account in accounts {
            self.put(account);
        }
    }

    /// The accounts that are collected, or listed as such that cannot be.
    pub fn ids(&self) -> Vec<AccountId> {
        self.registry.ids()
    }

    /// Ends all tasks and waits for them. The registry keeps its snapshots, so that scrapes under way finish.
    pub async fn stop(&self) {
        let slots: Vec<Slot> = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.by_cloud.clear();
            slots.by_id.drain().map(|(_, slot)| slot).collect()
        };
        for slot in &slots {
            slot.cancel.cancel();
        }
        for slot in slots {
            // A task that panicked has ended as well.
            let _ = slot.task.await;
        }
    }

    fn spawn(&self, slots: &mut Slots, account: Arc<Account>, before: Option<Slot>) {
        self.registry.put(Arc::clone(&account));
        let cancel = CancellationToken::new();
        let task = Task {
            account: Arc::clone(&account),
            connect: Arc::clone(&self.connect),
            registry: Arc::clone(&self.registry),
            meter: self.metrics.account(&account.id.namespace, &account.id.name),
            transitions: self.transitions.clone(),
            cancel: cancel.clone(),
        };
        let heir = before
            .as_ref()
            .and_then(|slot| slot.account.as_deref())
            .is_some_and(|before| account.inherits_from(before));
        let fresh = Memory::new(&account);
        let handle = tokio::spawn(async move {
            let left = match before {
                Some(slot) => slot.task.await.ok().flatten(),
                None => None,
            };
            Some(task.run(left.filter(|_| heir).unwrap_or(fresh)).await)
        });
        let twins = slots.by_cloud.entry(account.connection.provider.cloud_account()).or_default();
        if let Some(twin) = twins.iter().find(|other| **other != account.id) {
            tracing::warn!(account = %account.id, %twin, "both accounts ask the same account of the same cloud");
        }
        twins.insert(account.id.clone());
        slots.by_id.insert(account.id.clone(), Slot { account: Some(account), cancel, task: handle });
    }

    /// Cancels an account's task, if there is one; its slot stays until it has ended, so that a successor starts only
    /// after it.
    fn wind_up(slots: &mut Slots, id: &AccountId) {
        let Some(slot) = slots.by_id.remove(id) else { return };
        slots.leave(slot.account.as_deref());
        if slot.account.is_none() {
            slots.by_id.insert(id.clone(), slot);
            return;
        }
        slot.cancel.cancel();
        let handle = tokio::spawn(async move {
            let _ = slot.task.await;
            None
        });
        slots.by_id.retain(|_, slot| slot.account.is_some() || !slot.task.is_finished());
        slots
            .by_id
            .insert(id.clone(), Slot { account: None, cancel: CancellationToken::new(), task: handle });
    }
}

impl Slots {
    /// Takes an account out of those that ask its cloud.
    fn leave(&mut self, account: Option<&Account>) {
        let Some(account) = account else { return };
        let cloud = account.connection.provider.cloud_account();
        if let Some(twins) = self.by_cloud.get_mut(&cloud) {
            twins.remove(&account.id);
            if twins.is_empty() {
                self.by_cloud.remove(&cloud);
            }
        }
    }
}

#[cfg(test)]
mod tests;
