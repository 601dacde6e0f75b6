//! Account to newest snapshot, or to why it has none: written by the tasks, read by the server. Reading never waits for
//! work.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use super::health::Health;
use crate::account::{Account, AccountId, Target, Uncollected};
use crate::exposition::Bodies;
use crate::exposition::values::AccountValues;

/// What one cycle left behind; never changed after it is made.
#[derive(Debug)]
pub struct Snapshot {
    /// The rendered bodies.
    pub bodies: Bodies,
    /// The values behind them.
    pub values: AccountValues,
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
        let services = &self.values.services;
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

/// An account that people know of.
#[derive(Debug, Clone)]
pub enum Listed {
    /// One that is looked after.
    Collected(Entry),
    /// One that is not collected, for a reason.
    Uncollected(Arc<Uncollected>),
}

impl Listed {
    /// Namespace and name.
    pub fn id(&self) -> &AccountId {
        match self {
            Self::Collected(entry) => &entry.account.id,
            Self::Uncollected(account) => &account.id,
        }
    }

    /// Its newest snapshot, if there is one.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        match self {
            Self::Collected(entry) => entry.snapshot.as_deref(),
            Self::Uncollected(_) => None,
        }
    }

    /// The reason that its condition carries.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Collected(entry) => entry.health().reason(),
            Self::Uncollected(account) => account.problem.reason.as_str(),
        }
    }

    /// The sentence that its condition carries.
    pub fn message(&self) -> String {
        match self {
            Self::Collected(entry) => entry.health().message(),
            Self::Uncollected(account) => account.problem.message.clone(),
        }
    }

    /// The provider's key under `spec.provider`.
    pub fn provider(&self) -> &'static str {
        match self {
            Self::Collected(entry) => entry.account.connection.provider.name(),
            Self::Uncollected(account) => account.provider,
        }
    }

    /// What is scraped of it.
    pub fn targets(&self) -> &[Target] {
        match self {
            Self::Collected(entry) => &entry.account.targets,
            Self::Uncollected(account) => &account.targets,
        }
    }
}

impl Entry {
    /// How the collection stands.
    fn health(&self) -> &Health {
        self.snapshot.as_ref().map_or(&Health::Pending, |snapshot| &snapshot.health)
    }
}

/// All accounts of this process.
#[derive(Debug, Default)]
pub struct Registry {
    accounts: RwLock<BTreeMap<AccountId, Listed>>,
}

impl Registry {
    /// The entry of an account that is looked after.
    pub fn get(&self, id: &AccountId) -> Option<Entry> {
        match self.listed(id)? {
            Listed::Collected(entry) => Some(entry),
            Listed::Uncollected(_) => None,
        }
    }

    /// What is known of an account, be it collected or not.
    pub fn listed(&self, id: &AccountId) -> Option<Listed> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// All accounts, ordered by namespace and name.
    pub fn all(&self) -> Vec<Listed> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The names of all accounts.
    pub fn ids(&self) -> Vec<AccountId> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// How many accounts are in each state, by the reason of their condition.
    pub fn states(&self) -> BTreeMap<&'static str, i64> {
        let mut states = BTreeMap::new();
        for account in self.accounts.read().unwrap_or_else(PoisonError::into_inner).values() {
            *states.entry(account.reason()).or_insert(0) += 1;
        }
        states
    }

    /// Puts an account in. It keeps the snapshot of the one before it only where it inherits that one's values.
    pub fn put(&self, account: Arc<Account>) {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let kept = match accounts.get(&account.id) {
            Some(Listed::Collected(before)) if account.inherits_from(&before.account) => {
                before.snapshot.clone()
            }
            _ => None,
        };
        let id = account.id.clone();
        accounts.insert(id, Listed::Collected(Entry { account, snapshot: kept, is_current: false }));
    }

    /// Puts an account in that cannot be collected; its snapshot goes.
    pub fn leave_out(&self, account: Uncollected) {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        accounts.insert(account.id.clone(), Listed::Uncollected(Arc::new(account)));
    }

    /// Puts an account's newest snapshot in, unless the account has gone or was changed since: only a task that
    /// collects this very value speaks for it.
    pub fn publish(&self, account: &Arc<Account>, snapshot: Arc<Snapshot>) {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(Listed::Collected(entry)) = accounts.get_mut(&account.id)
            && Arc::ptr_eq(&entry.account, account)
        {
            entry.snapshot = Some(snapshot);
            entry.is_current = true;
        }
    }

    /// Takes an account out, with its snapshot.
    pub fn remove(&self, id: &AccountId) {
        self.accounts.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
