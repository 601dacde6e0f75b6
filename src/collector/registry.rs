//! Account to newest snapshot, or to the reason why it has none: written by the tasks, read by the server. Reading never
//! waits for work.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::SystemTime;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::demanded::Demanded;
use super::health::Health;
use super::history::History;
use crate::account::{Account, AccountId, Target, Uncollected};
use crate::api::Reason;
use crate::exposition::Bodies;
use crate::exposition::values::{AccountValues, ServiceEntry};
use crate::limits::Charge;

/// What one cycle left behind; never changed after it is made.
#[derive(Debug)]
pub struct Snapshot {
    /// The rendered bodies.
    pub bodies: Bodies,
    /// The values behind them.
    pub values: AccountValues,
    /// The last hour of the services; empty where it is not kept.
    pub history: History,
    /// How many series the bodies hold, legacy aside.
    pub series: usize,
    /// The outcome of the newest cycle.
    pub health: Health,
    /// When the newest cycle ended, for people; values may have gone stale since.
    pub collected_at: SystemTime,
    /// What the cloud asked for.
    pub demanded: Demanded,
}

impl Snapshot {
    /// How many services and instances are exposed.
    pub fn counts(&self) -> (usize, usize) {
        let services = &self.values.services;
        (services.len(), services.iter().map(|service| service.instances.len()).sum())
    }

    /// The last hour of the services that are known now, going on from the snapshot before, if there is one.
    pub fn next_history(before: Option<&Self>, services: &[ServiceEntry]) -> History {
        let now = SystemTime::now();
        match before {
            Some(before) => before.history.next(&before.values.services, services, now),
            None => History::default().next(&[], services, now),
        }
    }
}

/// An account that is collected, with its newest snapshot once there is one.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The account as it is collected now.
    pub account: Arc<Account>,
    /// `None` before the end of its first cycle.
    pub snapshot: Option<Arc<Snapshot>>,
    /// The outcome that was reported last, since an outcome has to last before it is. `Pending` until the first cycle
    /// of the account as it is collected now.
    pub reported: Health,
}

/// An account that is listed.
#[derive(Debug, Clone)]
pub enum Listed {
    /// One that is collected.
    Collected(Entry),
    /// One that is not collected, for a reason.
    Uncollected(Arc<Uncollected>),
    /// One that another replica collects.
    Elsewhere(Arc<Elsewhere>),
}

/// An account that another replica collects, or that this one is about to take over.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// Namespace and name.
    pub id: AccountId,
    /// The object's UID, by which replicas share accounts.
    pub uid: String,
    /// The provider's name; `unknown` where this program does not have it.
    pub provider: &'static str,
    /// What Prometheus scrapes of it.
    pub targets: Vec<Target>,
    /// Whether the account is suspended: then it is not listed as a target.
    pub is_suspended: bool,
    /// Whether this replica is about to collect it.
    pub is_coming: bool,
    /// The last snapshot that this replica made of it, until that is stale.
    pub before: Option<Before>,
    /// What the replica that collects it has told, where it was asked.
    pub report: Option<Report>,
}

/// What another replica tells of an account.
#[derive(Debug, Clone)]
pub struct Report {
    /// The reason of its newest outcome.
    pub reason: Reason,
    /// The sentence for that reason.
    pub message: String,
    /// Its newest snapshot, without bodies.
    pub snapshot: Option<Arc<Snapshot>>,
}

/// The last snapshot of an account that is collected here no longer.
#[derive(Debug, Clone)]
pub struct Before {
    /// What the last cycle here left behind.
    pub snapshot: Arc<Snapshot>,
    /// When it is to be dropped: so long after the end of the collection here as values may stay.
    pub stale_at: Instant,
    /// The memory that it takes; `None` until the collection here has ended.
    pub charge: Option<Arc<Charge>>,
}

impl Listed {
    /// Namespace and name.
    pub fn id(&self) -> &AccountId {
        match self {
            Self::Collected(entry) => &entry.account.id,
            Self::Uncollected(account) => &account.id,
            Self::Elsewhere(account) => &account.id,
        }
    }

    /// The object's UID, of one that some replica collects.
    pub fn uid(&self) -> Option<&str> {
        match self {
            Self::Collected(entry) => Some(&entry.account.uid),
            Self::Uncollected(_) => None,
            Self::Elsewhere(account) => Some(&account.uid),
        }
    }

    /// Its newest snapshot, if there is one.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot_ref().map(|snapshot| &**snapshot)
    }

    fn snapshot_ref(&self) -> Option<&Arc<Snapshot>> {
        match self {
            Self::Collected(entry) => entry.snapshot.as_ref(),
            Self::Uncollected(_) => None,
            Self::Elsewhere(account) => account.report.as_ref()?.snapshot.as_ref(),
        }
    }

    /// The newest snapshot that this replica has made of it.
    pub fn own_snapshot(&self) -> Option<&Arc<Snapshot>> {
        match self {
            Self::Collected(entry) => entry.snapshot.as_ref(),
            Self::Uncollected(_) => None,
            Self::Elsewhere(account) => account.before.as_ref().map(|before| &before.snapshot),
        }
    }

    /// The same, without keeping it in memory.
    pub fn snapshot_weak(&self) -> Option<Weak<Snapshot>> {
        self.snapshot_ref().map(Arc::downgrade)
    }

    /// The reason of its newest outcome, which its condition carries once it lasts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Collected(entry) => entry.health().reason().as_str(),
            Self::Uncollected(account) => account.problem.reason.as_str(),
            Self::Elsewhere(account) => {
                account.report.as_ref().map_or(UNKNOWN, |report| report.reason.as_str())
            }
        }
    }

    /// The condition that the reason belongs to, and whether it holds.
    pub fn condition(&self) -> (&'static str, bool) {
        let reason = match self {
            Self::Collected(entry) => entry.health().reason(),
            Self::Uncollected(account) => account.problem.reason,
            // Whether it is collected is for the other one to say.
            Self::Elsewhere(account) => {
                account.report.as_ref().map_or(Reason::Pending, |report| report.reason)
            }
        };
        (reason.condition().as_str(), reason.holds())
    }

    /// The sentence for that reason.
    pub fn message(&self) -> String {
        match self {
            Self::Collected(entry) => entry.health().message(),
            Self::Uncollected(account) => account.problem.message.clone(),
            Self::Elsewhere(account) => account.report.as_ref().map_or_else(
                || "Another replica collects this account and has not reported a result yet.".to_owned(),
                |report| report.message.clone(),
            ),
        }
    }

    /// The provider's key under `spec.provider`.
    pub fn provider(&self) -> &'static str {
        match self {
            Self::Collected(entry) => entry.account.connection.provider.name(),
            Self::Uncollected(account) => account.provider,
            Self::Elsewhere(account) => account.provider,
        }
    }

    /// What is scraped of it.
    pub fn targets(&self) -> &[Target] {
        match self {
            Self::Collected(entry) => &entry.account.targets,
            Self::Uncollected(account) => &account.targets,
            Self::Elsewhere(account) => &account.targets,
        }
    }
}

impl Entry {
    /// The outcome of the newest cycle.
    fn health(&self) -> &Health {
        self.snapshot.as_ref().map_or(&Health::Pending, |snapshot| &snapshot.health)
    }
}

/// The reason of an account of another replica that was not asked, or did not respond.
const UNKNOWN: &str = "Unknown";

/// All accounts of this process.
#[derive(Debug, Default)]
pub struct Registry {
    accounts: RwLock<BTreeMap<AccountId, Listed>>,
    /// An account may have ended its first cycle, or is not collected any longer.
    changed: Notify,
    _charges: Vec<Charge>,
}

impl Registry {
    /// The entry of an account that is collected.
    pub fn get(&self, id: &AccountId) -> Option<Entry> {
        match self.listed(id)? {
            Listed::Collected(entry) => Some(entry),
            Listed::Uncollected(_) | Listed::Elsewhere(_) => None,
        }
    }

    /// An account that another replica collects.
    pub fn elsewhere(&self, id: &AccountId) -> Option<Arc<Elsewhere>> {
        match self.listed(id)? {
            Listed::Elsewhere(account) => Some(account),
            Listed::Collected(_) | Listed::Uncollected(_) => None,
        }
    }

    /// An account, collected or not.
    pub fn listed(&self, id: &AccountId) -> Option<Listed> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// The first accounts after this one, or the first ones at all, ordered by namespace and name; at most `count`.
    pub fn after(&self, id: Option<&AccountId>, count: usize) -> Vec<Listed> {
        let start = id.map_or(Bound::Unbounded, Bound::Excluded);
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        accounts.range((start, Bound::Unbounded)).take(count).map(|(_, listed)| listed.clone()).collect()
    }

    /// The names of all accounts.
    pub fn ids(&self) -> Vec<AccountId> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// How many of this replica's accounts are in each state, by the reason of their condition.
    pub fn states(&self) -> BTreeMap<&'static str, i64> {
        let mut states = BTreeMap::new();
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        for account in accounts.values().filter(|account| !matches!(account, Listed::Elsewhere(_))) {
            *states.entry(account.reason()).or_insert(0) += 1;
        }
        states
    }

    /// How many accounts are this replica's, and how many there are with those of others.
    pub fn shares(&self) -> (usize, usize) {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        let owned = accounts.values().filter(|account| !matches!(account, Listed::Elsewhere(_)));
        (owned.count(), accounts.len())
    }

    /// Puts an account in. It keeps the snapshot before it only where it inherits that one's values, and the reported
    /// outcome only where it is collected as before.
    pub fn put(&self, account: Arc<Account>) {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let (mut snapshot, mut reported) = (None, Health::Pending);
        if let Some(Listed::Collected(before)) = accounts.get(&account.id) {
            if account.inherits_state(&before.account) {
                snapshot.clone_from(&before.snapshot);
            }
            if account.is_collected_like(&before.account) {
                reported = before.reported.clone();
            }
        }
        accounts.insert(account.id.clone(), Listed::Collected(Entry { account, snapshot, reported }));
    }

    /// Puts an account in that cannot be collected; its snapshot goes.
    pub fn mark_uncollected(&self, account: Uncollected) {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        accounts.insert(account.id.clone(), Listed::Uncollected(Arc::new(account)));
        self.changed.notify_waiters();
    }

    /// Puts an account in that another replica collects, with the last snapshot of it that was made here, unless that is
    /// stale or of another object. Returns until when that stays.
    pub fn mark_elsewhere(&self, account: Elsewhere) -> Option<Instant> {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let before = match accounts.get(&account.id) {
            Some(Listed::Collected(entry)) if entry.account.uid == account.uid => {
                let stale_at = now + entry.account.schedule.stale_after;
                entry.snapshot.clone().map(|snapshot| Before { snapshot, stale_at, charge: None })
            }
            Some(Listed::Elsewhere(before)) if before.uid == account.uid => before.before.clone(),
            _ => None,
        };
        let before = before.filter(|before| before.stale_at > now);
        let stale_at = before.as_ref().map(|before| before.stale_at);
        accounts.insert(account.id.clone(), Listed::Elsewhere(Arc::new(Elsewhere { before, ..account })));
        self.changed.notify_waiters();
        stale_at
    }

    /// Charges the last snapshot of an account that another replica collects, where that is kept. Returns until when.
    pub fn charge_last(&self, id: &AccountId, uid: &str, charge: Charge) -> Option<Instant> {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let Some(Listed::Elsewhere(account)) = accounts.get_mut(id) else { return None };
        let before = Before { charge: Some(Arc::new(charge)), ..account.before.clone()? };
        let stale_at = before.stale_at;
        if account.uid != uid {
            return None;
        }
        *account = Arc::new(Elsewhere { before: Some(before), ..Elsewhere::clone(account) });
        Some(stale_at)
    }

    /// Drops the last snapshot of an account that another replica collects, if it is the one that is stale at this time.
    pub fn drop_last(&self, id: &AccountId, stale_at: Instant) {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(Listed::Elsewhere(account)) = accounts.get_mut(id)
            && account.before.as_ref().is_some_and(|before| before.stale_at == stale_at)
        {
            *account = Arc::new(Elsewhere { before: None, ..Elsewhere::clone(account) });
        }
    }

    /// A registry of these accounts, to look at, and what it is charged to for as long as somebody does.
    pub fn of(accounts: impl IntoIterator<Item = Listed>, charges: Vec<Charge>) -> Self {
        let accounts = accounts.into_iter().map(|account| (account.id().clone(), account)).collect();
        Self { accounts: RwLock::new(accounts), changed: Notify::new(), _charges: charges }
    }

    /// Puts the newest snapshot of this account in, unless it has gone or is collected otherwise by now.
    pub fn publish(&self, account: &Account, snapshot: Arc<Snapshot>) {
        self.update(account, |entry| entry.snapshot = Some(snapshot));
    }

    /// Sets the outcome that was reported last, under the same condition.
    pub fn report(&self, account: &Account, health: Health) {
        self.update(account, |entry| entry.reported = health);
    }

    fn update(&self, account: &Account, change: impl FnOnce(&mut Entry)) {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(Listed::Collected(entry)) = accounts.get_mut(&account.id)
            && entry.account.is_collected_like(account)
        {
            change(entry);
        }
        self.changed.notify_waiters();
    }

    /// Takes an account out, with its snapshot.
    pub fn remove(&self, id: &AccountId) {
        self.accounts.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.changed.notify_waiters();
    }

    /// Waits until each account that is listed now has ended its first cycle here, in whatever way, or is not collected here
    /// any longer. Accounts that come later are not waited for.
    pub async fn first_cycles_ended(&self) {
        let mut waiting = self.ids();
        while let Some(id) = waiting.last() {
            // Made before the look, so that no change in between is missed.
            let changed = self.changed.notified();
            let is_waited_for = match self.listed(id) {
                Some(Listed::Collected(entry)) => entry.snapshot.is_none(),
                Some(Listed::Elsewhere(account)) => account.is_coming,
                Some(Listed::Uncollected(_)) | None => false,
            };
            if is_waited_for {
                changed.await;
            } else {
                waiting.pop();
            }
        }
    }
}
