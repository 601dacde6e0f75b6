//! The pipeline: dereference -> resolve -> collect -> apply -> status. Reads top to bottom.

use std::sync::Arc;
use std::time::Duration;

use kube::Resource;
use kube::core::ObjectMeta;
use kube::runtime::controller::Action;
use kube::runtime::events::Event;
use kube::runtime::reflector::{ObjectRef, Store};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::api_call::ApiError;
use super::apply::{ApplyError, MonitorWriter};
use super::charged;
use super::collect::Collection;
use super::dereference::{DereferenceError, SecretReader};
use super::events::{EventPublisher, shared_with};
use super::findings::{self, current_reason, fails_for_credentials};
use super::initial::InitialAccounts;
use super::monitors::Monitors;
use super::outage::Outage;
use super::retries::Retries;
use super::scope::WatchedAccount;
use super::status::{COUNTS_EVERY, Due, StatusError, StatusInput, StatusWriter};
use super::watched::{Kept, ObjectProblem, Unusable};
use crate::account::{Account, AccountId, Problem};
use crate::api::{CaasAccount, ConditionType, Finding, Reason};
use crate::collector::Inherited;
use crate::limits::{OverBudget, Shares};
use crate::replicas::Share;
use crate::replicas::peers::Peers;
use crate::replicas::rules::RENEW;
use crate::telemetry::Metrics;

/// Reconciles that write at once; one namespace may have a third of them. Those that read, publish events or wait for a
/// permit are not counted: no write delays a first reading.
pub(super) const WRITERS: usize = 32;

/// The time until a failing ServiceMonitor is tried again at best: no event reports that it was fixed.
const MONITOR_RETRY: Duration = Duration::from_secs(15);

/// The time until an account that waits for nothing is reconciled again, at best.
const REST: Duration = Duration::from_secs(60);

/// How many accounts a second are reconciled only because time has passed.
const IDLE_RECONCILES_PER_SECOND: u32 = 10;

/// Which step failed, and how.
#[derive(Debug, Error)]
pub(super) enum ReconcileError {
    /// Reading the Secrets.
    #[error(transparent)]
    Dereference(#[from] DereferenceError),
    /// Writing the ServiceMonitor.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// Writing the status.
    #[error(transparent)]
    Status(#[from] StatusError),
}

impl ReconcileError {
    /// The call that failed.
    fn call(&self) -> &ApiError {
        match self {
            Self::Dereference(DereferenceError::Read(error)) | Self::Status(StatusError::Write(error)) => {
                error
            }
            Self::Apply(error) => error.call(),
        }
    }
}

/// The replica that has collected an account so far still does.
struct GoesOn;

/// The steps, each with its own memory, for all scopes.
pub(super) struct Reconciler {
    pub(super) secrets: SecretReader,
    pub(super) collection: Collection,
    pub(super) monitors: MonitorWriter,
    pub(super) status: StatusWriter,
    pub(super) initial: InitialAccounts,
    pub(super) retries: Retries,
    pub(super) events: EventPublisher,
    pub(super) writers: Arc<Shares>,
    /// Which accounts are this replica's, and who has the others.
    pub(super) peers: Peers,
    /// The end of the operator. What waits ends with it; what is being written ends by itself.
    pub(super) stop: CancellationToken,
    /// Whether the API server is away, for all that use it.
    pub(super) api_server: Arc<Outage>,
    pub(super) metrics: Arc<Metrics>,
}

/// The reconciler with what is known of one scope.
pub(super) struct ScopedReconciler {
    pub(super) reconciler: Arc<Reconciler>,
    /// The accounts as the watch has them.
    pub(super) accounts: Store<WatchedAccount>,
    pub(super) monitors: watch::Receiver<Monitors>,
    /// Until when reconciles wait for the first answer of discovery.
    pub(super) discovery_until: Instant,
}

impl Reconciler {
    /// Removes an account: its task ends, its series go, and it is listed no more.
    pub(super) fn remove(&self, id: &AccountId) {
        self.collection.remove(id);
        self.secrets.remove(id);
        self.status.remove(id);
        self.retries.remove(id);
        self.initial.settled(id);
    }

    /// An object that the type cannot read costs itself only: it is not collected, and the log says why.
    fn refuse_unreadable(&self, id: &AccountId, error: &str) {
        tracing::error!(
            account = %id,
            error,
            "the CaasAccount cannot be read and is not collected; install this version's CustomResourceDefinition"
        );
        self.metrics.reconciles.with_label_values(&["unreadable"]).inc();
        self.remove(id);
    }

    /// An account that another replica collects is listed and nothing more. Where this one is about to take it over, its
    /// Secrets are read already, so that the move costs no cycle.
    async fn leave(
        &self,
        object: &WatchedAccount,
        id: &AccountId,
        uid: &str,
    ) -> Result<Action, ReconcileError> {
        let account = object.object.as_deref().ok();
        let is_coming = self.peers.membership().would_own(uid);
        let stale_at = self.collection.list_elsewhere(account, id, uid, is_coming);
        self.status.remove(id);
        let read = if let Some(account) = account.filter(|_| is_coming) {
            let read = self.secrets.dereference(account, id, false, charged::holder(object));
            let read = self.while_kept(uid, read).await;
            read.unwrap_or(Ok(None)).map(drop)
        } else {
            self.secrets.remove(id);
            Ok(())
        };
        self.initial.settled(id);
        read?;
        // A change of shares requests a reconcile.
        Ok(stale_at.map_or(Action::await_change(), |at| Action::requeue(at - Instant::now())))
    }

    /// The outcome of what may wait for long; `None` once the operator ends, or the account is another replica's: what it waits
    /// for would be of no use, and others wait for it behind this one.
    async fn while_kept<F: Future>(&self, uid: &str, waits: F) -> Option<F::Output> {
        // Boxed, as many accounts wait: what waits holds little memory.
        let waits = self.stop.run_until_cancelled(Box::pin(waits));
        self.until_moved(uid, waits).await.flatten()
    }

    /// The outcome of writes for an account; `None` once that is another replica's: a slow webhook may hold each for ten seconds, and
    /// this replica would see only then that it has to stop.
    async fn until_moved<F: Future>(&self, uid: &str, writes: F) -> Option<F::Output> {
        tokio::select! {
            outcome = writes => Some(outcome),
            () = self.peers.membership().moved(uid) => None,
        }
    }

    /// Publishes events, which may wait for those of others.
    async fn publish(&self, object: &ObjectMeta, id: &AccountId, events: Vec<Event>) {
        self.stop.run_until_cancelled(Box::pin(self.events.publish(object, id, events))).await;
    }

    /// What the replica leaves that collected this account so far, where it responds. The error is that it goes on with the
    /// account, since it has not been told of this replica.
    async fn inherited(&self, account: &Account) -> Result<Option<Inherited>, GoesOn> {
        let Some(left) = self.peers.account(&account.id, &account.uid).await else { return Ok(None) };
        let share = self.peers.membership().share(&account.uid);
        if left.is_collected() && matches!(share, Share::MineUnless(_)) {
            return Err(GoesOn);
        }
        Ok(left.inherited(account.connection.provider.name()))
    }

    /// An object that is too large to be kept is not collected, and its status says why.
    async fn refuse_large(
        &self,
        object: &ObjectMeta,
        id: &AccountId,
        over: Option<OverBudget>,
        is_reported: bool,
    ) -> Result<Action, ReconcileError> {
        let problem = over.map_or_else(
            || {
                let message = format!(
                    "CaasAccount {id} is larger than {} KiB and is not collected: remove labels and annotations, or shorten its spec.",
                    CaasAccount::LARGEST >> 10
                );
                Problem::new(Reason::ObjectTooLarge, message)
            },
            |over| charged::problem(id, over),
        );
        let finding = Finding::from(problem.clone());
        self.secrets.remove(id);
        self.collection.refuse(id, problem);
        self.initial.settled(id);
        if !is_reported {
            let share = self.writers.of(&id.namespace);
            // All that the namespace may have at once, since the answer repeats the object.
            let permit = Box::pin(share.acquire(WRITERS));
            let Some(permit) = self.stop.run_until_cancelled(permit).await else {
                return Ok(Action::await_change());
            };
            let events = Box::pin(self.status.refuse(object, id, &finding)).await?;
            drop(permit);
            self.publish(object, id, events).await;
        }
        Ok(Action::await_change())
    }
}

/// Makes one account what its object says.
pub(super) async fn reconcile(
    object: Arc<WatchedAccount>,
    scoped: Arc<ScopedReconciler>,
) -> Result<Action, ReconcileError> {
    let reconciler = &*scoped.reconciler;
    let metadata = object.meta();
    let id = id(metadata);
    let Some(uid) = metadata.uid.as_deref().filter(|_| metadata.deletion_timestamp.is_none()) else {
        reconciler.remove(&id);
        return Ok(Action::await_change());
    };
    if let Err(Unusable { problem: ObjectProblem::Unreadable(error), .. }) = &object.object {
        reconciler.refuse_unreadable(&id, error);
        return Ok(Action::await_change());
    }
    let share = reconciler.peers.membership().share(uid);
    // A pause that the API server has asked for delays no stop.
    if let Some(wait) = reconciler.retries.pause(&id).filter(|_| share.is_mine()) {
        return Ok(Action::requeue(wait));
    }
    let timer = reconciler.metrics.reconcile_duration.start_timer();
    let outcome = match &object.object {
        _ if !share.is_mine() => {
            let leave = Box::pin(reconciler.leave(&object, &id, uid));
            reconciler.stop.run_until_cancelled(leave).await.unwrap_or_else(|| Ok(Action::await_change()))
        }
        Ok(account) => {
            let steps = async {
                let current = reconciler.status.with_current_status(account, &id);
                scoped.run_steps(&current, &id, &object).await
            };
            tokio::select! {
                outcome = steps => outcome,
                // It may wait for long, and holds the object. The watch requests the next reconcile, without it.
                () = charged::cut(&object) => Ok(Action::await_change()),
            }
        }
        Err(Unusable { problem: ObjectProblem::TooLarge { over, is_reported }, .. }) => {
            Box::pin(reconciler.refuse_large(metadata, &id, *over, *is_reported)).await
        }
        Err(Unusable { problem: ObjectProblem::Unreadable(_), .. }) => Ok(Action::await_change()),
    };
    timer.observe_duration();
    if !scoped.is_current(metadata, &id) {
        // It was deleted meanwhile, so what was recorded or refused since is irrelevant.
        reconciler.remove(&id);
        return Ok(Action::await_change());
    }
    let result = outcome.as_ref().map_or_else(|error| error.call().reason(), |_| "ok");
    reconciler.metrics.reconciles.with_label_values(&[result]).inc();
    if outcome.is_ok() {
        reconciler.retries.remove(&id);
    }
    outcome
}

/// When to try again after an error: later each time, and not before the API server allows it.
pub(super) fn after_error(
    object: &WatchedAccount,
    error: &ReconcileError,
    scoped: &ScopedReconciler,
) -> Action {
    let id = id(object.meta());
    let wait = scoped.reconciler.retries.failed(&id, error.call().retry_after());
    if error.call().is_unreachable() {
        scoped.reconciler.api_server.failed(&error.to_string());
    } else {
        tracing::warn!(account = %id, %error, ?wait, "the account could not be reconciled; retrying");
    }
    Action::requeue(wait)
}

/// Namespace and name of an account.
fn id(object: &ObjectMeta) -> AccountId {
    AccountId::new(
        object.namespace.as_deref().unwrap_or("default"),
        object.name.as_deref().unwrap_or_default(),
    )
}

impl ScopedReconciler {
    /// Whether this very object still exists and is this replica's to collect. Where that has changed, a reconcile is
    /// requested.
    fn is_mine(&self, account: &CaasAccount, id: &AccountId) -> bool {
        let membership = self.reconciler.peers.membership();
        let uid = account.metadata.uid.as_deref();
        self.is_current(&account.metadata, id) && uid.is_some_and(|uid| membership.collects(uid))
    }

    /// Whether this very object still exists; one that is being deleted does not.
    fn is_current(&self, object: &ObjectMeta, id: &AccountId) -> bool {
        let name = ObjectRef::new(&id.name).within(&id.namespace);
        self.accounts.get(&name).is_some_and(|newest| {
            let newest = newest.meta();
            newest.uid == object.uid && newest.deletion_timestamp.is_none()
        })
    }

    /// The steps for an account with its newest status; `object` is what is kept of it.
    async fn run_steps(
        &self,
        account: &CaasAccount,
        id: &AccountId,
        object: &WatchedAccount,
    ) -> Result<Action, ReconcileError> {
        let Reconciler { secrets, collection, monitors, status, initial, writers, .. } = &*self.reconciler;
        let rejected = collection.health(account, id).credentials_rejected();
        if rejected && current_reason(account, ConditionType::CredentialsReady) != Some(Reason::LoginRejected)
        {
            // The cloud has just refused them: perhaps they were changed.
            secrets.request(id);
        }
        if self.is_mine(account, id) {
            collection.list_unread(account, id);
        }
        let failing = rejected || fails_for_credentials(account);
        let uid = account.metadata.uid.as_deref().unwrap_or_default();
        let read = secrets.dereference(account, id, failing, charged::holder(object));
        let snapshot = self.reconciler.while_kept(uid, read).await;
        let Some(snapshot) = snapshot.transpose()? else { return Ok(Action::await_change()) };
        // Nothing is awaited between this check and the supervisor: a later deletion removes the collector as well. One that
        // does not fit with what its Secrets hold is dropped by the watch, which requests the next reconcile.
        if !self.is_mine(account, id) || object.is_cut() {
            return Ok(Action::await_change());
        }
        let resolved = collection.resolve(account, snapshot.as_ref());
        let inherited = match &resolved {
            Ok(resolved) if collection.registry.elsewhere(id).is_some() => {
                let inherited = Box::pin(self.reconciler.inherited(resolved)).await;
                if !self.is_mine(account, id) {
                    return Ok(Action::await_change());
                }
                let Ok(inherited) = inherited else {
                    initial.settled(id);
                    return Ok(Action::requeue(RENEW));
                };
                inherited
            }
            _ => None,
        };
        self.count_move(account, id);
        let problem = resolved.as_ref().err().cloned();
        collection.collect(account, id, resolved, inherited);
        initial.settled(id);

        let turn = async { (self.monitors().await, writers.of(&id.namespace).acquire(1).await) };
        let Some((known_monitors, permit)) = self.reconciler.while_kept(uid, turn).await else {
            return Ok(Action::await_change());
        };
        if !self.is_mine(account, id) {
            return Ok(Action::await_change());
        }
        let health = collection.health(account, id);
        let mut findings =
            findings::of_collection(problem.as_ref(), &health, |of| current_reason(account, of));
        let applied = Box::pin(monitors.apply(&known_monitors, account, id));
        let Some(applied) = self.reconciler.until_moved(uid, applied).await else {
            return Ok(Action::await_change());
        };
        if let Ok(Some(finding)) = &applied {
            findings.push(finding.clone());
        }
        let input = StatusInput {
            findings: &findings,
            endpoint: collection.endpoint(account),
            counts: collection.counts(id),
            last_success: collection.last_success(id),
            due: Due::default(),
        };
        let updated = Box::pin(status.update(account, id, input));
        let Some(updated) = self.reconciler.until_moved(uid, updated).await else {
            return Ok(Action::await_change());
        };
        drop(permit);
        let mut updated = updated?;
        let duplicate = collection.unreported_duplicate(id, &health);
        updated.events.extend(duplicate.map(|other| shared_with(id, &other)));
        let published = self.reconciler.publish(&account.metadata, id, updated.events);
        let _ = self.reconciler.until_moved(uid, published).await;
        // An error of the ServiceMonitor does not keep the other findings from being written.
        applied?;

        let credentials = findings.iter().find(|it| it.condition == ConditionType::CredentialsReady);
        let failing = credentials.map_or(failing, |finding| !finding.holds);
        // The API server answered a write as if the CRD were missing: if discovery finds it again, nothing tells.
        let is_contradicted = matches!(known_monitors, Monitors::Installed(_));
        let monitor_waits = findings.iter().any(|it| {
            it.condition == ConditionType::ServiceMonitorReady
                && (!it.holds || is_contradicted && it.reason == Reason::PrometheusOperatorNotInstalled)
        });
        let reading = snapshot.and_then(|snapshot| secrets.next_reading(id, &snapshot, failing));
        let next = [
            Some(reading.unwrap_or_else(|| secrets.pause(id, REST, IDLE_RECONCILES_PER_SECOND))),
            monitor_waits.then(|| secrets.pause(id, MONITOR_RETRY, IDLE_RECONCILES_PER_SECOND)),
            updated.counts_wait.then_some(COUNTS_EVERY),
        ];
        Ok(Action::requeue(next.into_iter().flatten().min().unwrap_or(REST)))
    }

    /// Counts an account that was another replica's until now.
    fn count_move(&self, account: &CaasAccount, id: &AccountId) {
        let Reconciler { collection, peers, metrics, .. } = &*self.reconciler;
        let uid = account.metadata.uid.as_deref().filter(|_| collection.registry.elsewhere(id).is_some());
        if let Some(uid) = uid {
            metrics.account_moves.with_label_values(&[peers.membership().reason(uid)]).inc();
        }
    }

    /// What is known of ServiceMonitors; after the start of the operator, discovery is given a moment to answer.
    async fn monitors(&self) -> Monitors {
        let mut monitors = self.monitors.clone();
        let answered = monitors.wait_for(|monitors| !matches!(monitors, Monitors::Unknown));
        let _ = tokio::time::timeout_at(self.discovery_until, answered).await;
        self.monitors.borrow().clone()
    }
}

#[cfg(test)]
mod first_list_tests;
#[cfg(test)]
mod secret_tests;
#[cfg(test)]
mod share_tests;
