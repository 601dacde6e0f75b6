//! Several replicas share the accounts: who they are, and which of them collects which account.
//!
//! A member is a replica that holds a live Lease. The owner of an account is the member that ranks highest for it ([`rank`]);
//! each replica computes that alone, by the same [`rules`], from the same list of members. Whoever keeps the Leases tells
//! [`Membership`] what was listed; nothing here knows Kubernetes. Replicas ask each other as [`peers`]: for the answer to a scrape,
//! and for what they know of their accounts ([`wire`], [`remote`]).

mod member;
pub mod peers;
mod rank;
pub mod remote;
pub mod rules;
pub mod wire;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

pub use member::{Member, SeenLease, Share};
use rules::View;

use crate::telemetry::Metrics;

/// What this replica knows of the others. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Membership(Arc<Group>);

struct Group {
    /// `None` of a process that shares accounts with no other.
    view: Option<RwLock<View>>,
    started: Instant,
    changes: watch::Sender<u64>,
    metrics: Option<Arc<Metrics>>,
}

impl Membership {
    /// Of a process that shares accounts with no other: it owns all.
    pub fn alone() -> Self {
        Self(Arc::new(Group {
            view: None,
            started: Instant::now(),
            changes: watch::Sender::new(0),
            metrics: None,
        }))
    }

    /// Of a replica that is not a member yet: it owns nothing.
    pub fn joining(me: Member, metrics: Arc<Metrics>) -> Self {
        let view = Some(RwLock::new(View::new(me)));
        Self(Arc::new(Group {
            view,
            started: Instant::now(),
            changes: watch::Sender::new(0),
            metrics: Some(metrics),
        }))
    }

    /// What this replica does with the account of this UID.
    pub fn share(&self, uid: &str) -> Share {
        self.look(|view| view.share(uid, Instant::now())).unwrap_or(Share::Mine)
    }

    /// Whether this replica collects the account of this UID.
    pub fn collects(&self, uid: &str) -> bool {
        self.share(uid).is_mine()
    }

    /// Whether this replica owned the account of this UID before a recent change of members.
    pub fn hands_over(&self, uid: &str) -> bool {
        self.look(|view| view.hands_over(uid, Instant::now())).unwrap_or(false)
    }

    /// Whether this replica owns the account of this UID, or will once it has joined.
    pub fn would_own(&self, uid: &str) -> bool {
        self.look(|view| view.would_own(uid)).unwrap_or(true)
    }

    /// Why the account of this UID has become this replica's: `joined`, `left` or `died`, of a member.
    pub fn reason(&self, uid: &str) -> &'static str {
        self.look(|view| view.reason(uid)).unwrap_or("joined")
    }

    /// Whether this replica has not looked at the others for so long that they may have taken it for dead: it was paused.
    pub fn is_behind(&self) -> bool {
        self.look(|view| view.is_behind(Instant::now())).unwrap_or(false)
    }

    /// This replica. `None` of a process that shares with no other.
    pub fn me(&self) -> Option<Member> {
        self.look(|view| view.me().clone())
    }

    /// The owner of the account of this UID, which may be this replica. `None` while no member is known.
    pub fn owner(&self, uid: &str) -> Option<Member> {
        self.look(|view| view.owner(uid)).flatten()
    }

    /// The member that may have taken over an account of this replica with this UID, unnoticed by it; `None` where none may.
    pub fn next_owner(&self, uid: &str) -> Option<Member> {
        self.look(|view| view.next_owner(uid, Instant::now())).flatten()
    }

    /// Those that owned the account of this UID before recent changes of members and still answer, the last one first, and since
    /// when, where that is known; this replica may be one of them. Each may be asked only where the owner and those in front of
    /// it have nothing.
    pub fn before(&self, uid: &str) -> Vec<(Member, Option<Instant>)> {
        self.look(|view| view.before(uid, Instant::now())).unwrap_or_default()
    }

    /// How long this process has been running.
    pub fn age(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// All other live members.
    pub fn peers(&self) -> Vec<Member> {
        self.look(View::peers).unwrap_or_default()
    }

    /// A number that grows with each change of shares, also when a [`Share::Later`] is due.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Waits until it is known who the members are.
    pub async fn known(&self) {
        let is_known = |_: &u64| self.look(|view| !view.members().is_empty()).unwrap_or(true);
        // Fails only without a sender, and this handle has it.
        let _ = self.changes().wait_for(is_known).await;
    }

    /// Waits until this replica is a member.
    pub async fn joined(&self) {
        let is_member = |_: &u64| self.look(View::is_member).unwrap_or(true);
        // As above.
        let _ = self.changes().wait_for(is_member).await;
    }

    /// Waits until the account of this UID is neither this replica's nor about to be.
    pub async fn moved(&self, uid: &str) {
        let has_moved = |_: &u64| !self.would_own(uid) && !self.collects(uid);
        // As above.
        let _ = self.changes().wait_for(has_moved).await;
    }

    /// The Secrets of what this replica would own are read: it may join.
    pub fn prepared(&self) {
        self.update(View::prepared);
    }

    /// Changes what is known, and says so where that changes shares. `None` of a process that shares with no other.
    pub fn update<T>(&self, change: impl FnOnce(&mut View) -> T) -> Option<T> {
        let view = self.0.view.as_ref()?;
        let mut view = view.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut view);
        if let Some(metrics) = &self.0.metrics {
            metrics.set_replicas(view.members().len());
        }
        let now = view.changes();
        drop(view);
        self.0.changes.send_if_modified(|before| std::mem::replace(before, now) != now);
        Some(changed)
    }

    /// Reads what is known. `None` of a process that shares with no other.
    pub fn look<T>(&self, read: impl FnOnce(&View) -> T) -> Option<T> {
        let view = self.0.view.as_ref()?;
        Some(read(&view.read().unwrap_or_else(PoisonError::into_inner)))
    }
}
