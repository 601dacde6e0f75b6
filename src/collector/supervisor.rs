//! Desired accounts to running tasks: new -> spawn, changed -> hand over, gone -> end.
//!
//! The caller decides which accounts this process owns and passes only those.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::connect::{ClientHistory, Connect};
use super::cycle::Shared;
use super::inherited::Inherited;
use super::registry::{Elsewhere, Registry};
use super::task::collect;
use super::transition::Transition;
use crate::account::{Account, AccountId, Uncollected};
use crate::limits::ProcessLimits;
use crate::telemetry::Metrics;

/// Keeps one task an account.
pub struct Supervisor {
    shared: Arc<Shared>,
    running: Mutex<Running>,
    tasks: TaskTracker,
}

/// The accounts that are collected.
#[derive(Default)]
struct Running {
    /// Where each account's task receives its account. Dropping the sender ends the task.
    by_id: HashMap<AccountId, watch::Sender<Arc<Account>>>,
    /// The same accounts by the account at the cloud that they query.
    by_cloud: HashMap<String, BTreeSet<AccountId>>,
    /// What the clients of each account leave to the next. Kept while the account exists, collected or not.
    histories: HashMap<AccountId, Arc<ClientHistory>>,
}

impl Supervisor {
    /// A supervisor without accounts. It sends changes to `transitions` and never waits for the receiver.
    pub fn new(
        connect: Arc<dyn Connect>,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        transitions: mpsc::Sender<Transition>,
    ) -> Self {
        Self::within(ProcessLimits::default(), connect, registry, metrics, transitions)
    }

    /// The same within the limits of the process.
    pub fn within(
        limits: ProcessLimits,
        connect: Arc<dyn Connect>,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        transitions: mpsc::Sender<Transition>,
    ) -> Self {
        Self::sharing(Shared::new(limits, connect, registry, metrics, transitions))
    }

    pub(super) fn sharing(shared: Shared) -> Self {
        Self { shared: Arc::new(shared), running: Mutex::default(), tasks: TaskTracker::new() }
    }

    /// Collects this account as it is given. Returns whether that changed anything.
    pub fn put(&self, account: Account) -> bool {
        self.put_inheriting(account, None)
    }

    /// The same; a task that has to be started goes on from what another replica has left.
    pub fn put_inheriting(&self, account: Account, inherited: Option<Inherited>) -> bool {
        let (mut running, account) = (self.running(), Arc::new(account));
        // A task that has ended by itself has panicked; another takes its place.
        let runs = |task: &&watch::Sender<Arc<Account>>| !task.is_closed();
        if let Some(task) = running.by_id.get(&account.id).filter(runs)
            && *task.borrow() == account
        {
            task.send_if_modified(|known| {
                let is_newer = known.origin != account.origin;
                if is_newer {
                    *known = account;
                }
                is_newer
            });
            return false;
        }
        let task = running.remove(&account.id);
        running.join_cloud(&account);
        self.shared.registry.put(Arc::clone(&account));
        let task = task.filter(|task| !task.is_closed()).unwrap_or_else(|| {
            let (sender, desired) = watch::channel(Arc::clone(&account));
            let history = Arc::clone(running.histories.entry(account.id.clone()).or_default());
            self.tasks.spawn(collect(Arc::clone(&self.shared), desired, history, inherited));
            sender
        });
        task.send_replace(Arc::clone(&account));
        running.by_id.insert(account.id.clone(), task);
        true
    }

    /// Another account that queries the same account at the same cloud and was answered by it, if there is one: one of the
    /// same namespace before others.
    pub fn duplicate_of(&self, id: &AccountId) -> Option<AccountId> {
        let running = self.running();
        let cloud = running.by_id.get(id)?.borrow().connection.provider.cloud_account();
        let same = running.by_cloud.get(&cloud)?;
        let is_answered = |other: &&AccountId| {
            let snapshot = self.shared.registry.get(other).and_then(|entry| entry.snapshot);
            *other != id && snapshot.is_some_and(|snapshot| snapshot.health.is_up())
        };
        let from = same.range(AccountId::new(&id.namespace, "")..);
        let neighbor = from.take_while(|other| other.namespace == id.namespace).find(is_answered);
        neighbor.or_else(|| same.iter().find(is_answered)).cloned()
    }

    /// The UID of the object that is collected under this name.
    pub fn uid_of(&self, id: &AccountId) -> Option<String> {
        Some(self.running().by_id.get(id)?.borrow().uid.clone())
    }

    /// Stops collecting this account: its task ends, its series go at once.
    pub fn remove(&self, id: &AccountId) {
        let mut running = self.running();
        self.shared.registry.remove(id);
        running.remove(id);
        running.histories.remove(id);
    }

    /// Stops collecting this account and lists it with the reason. Its series go at once, and its client with the session.
    /// What the cloud asked of that client stays for the next one.
    pub fn mark_uncollected(&self, account: Uncollected) {
        let mut running = self.running();
        running.remove(&account.id);
        self.shared.registry.mark_uncollected(account);
    }

    /// Stops collecting this account, since another replica does. Its series stay for a while: returns until when.
    pub fn mark_elsewhere(&self, account: Elsewhere) -> Option<Instant> {
        let mut running = self.running();
        let id = account.id.clone();
        // Before its task ends, which finds what is left and charges it.
        let stale_at = self.shared.registry.mark_elsewhere(account);
        running.remove(&id);
        stale_at
    }

    /// Collects exactly these accounts, and lists exactly those others.
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
            self.mark_uncollected(account);
        }
        for account in accounts {
            self.put(account);
        }
    }

    /// The accounts that are collected, or listed with the reason why they are not.
    pub fn ids(&self) -> Vec<AccountId> {
        self.shared.registry.ids()
    }

    /// Ends all tasks and waits for them. The registry keeps its snapshots, so that scrapes under way finish.
    pub async fn stop(&self) {
        *self.running() = Running::default();
        self.shared.ending.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn remove(&mut self, id: &AccountId) -> Option<watch::Sender<Arc<Account>>> {
        let task = self.by_id.remove(id)?;
        self.leave_cloud(&task.borrow());
        Some(task)
    }

    fn join_cloud(&mut self, account: &Account) {
        let same = self.by_cloud.entry(account.connection.provider.cloud_account()).or_default();
        if let Some(duplicate) = same.iter().find(|other| **other != account.id) {
            tracing::warn!(account = %account.id, %duplicate, "both accounts use the same cloud account");
        }
        same.insert(account.id.clone());
    }

    fn leave_cloud(&mut self, account: &Account) {
        let cloud = account.connection.provider.cloud_account();
        if let Some(same) = self.by_cloud.get_mut(&cloud) {
            same.remove(&account.id);
            if same.is_empty() {
                self.by_cloud.remove(&cloud);
            }
        }
    }
}

#[cfg(test)]
mod tests;
