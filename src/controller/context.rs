//! What every step of a reconcile shares, and how a call to the API server is made: never without a deadline.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Client, Resource};
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::build::ScrapeService;
use super::client::asked_to_wait;
use super::dereference::Reading;
use super::events::Announcer;
use super::history::History;
use super::monitoring::Monitors;
use super::reconcile::Guarded;
use super::secrets::References;
use super::turns::Turns;
use crate::account::AccountId;
use crate::api::{CaasAccount, CaasAccountStatus};
use crate::cloud::http::Policy;
use crate::collector::{Registry, Supervisor};
use crate::telemetry::Metrics;

/// The longest that one call to the API server may take.
const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// The longest that the API server's wish to wait is heard.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long one watch lasts before the API server ends it and it is begun again where it stood.
const WATCH_LASTS: u32 = 60;

/// How long the client waits for a byte: longer than a watch lasts, so that only a stalled one is cut.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(WATCH_LASTS as u64 + 15);

/// What a call to the API server can end in.
#[derive(Debug, Error)]
pub(super) enum Error {
    /// No answer in time.
    #[error("{0}: no answer from the API server within {CALL_DEADLINE:?}")]
    Deadline(&'static str),
    /// An answer that is an error.
    #[error("{what}: {}", told(.source))]
    Api {
        /// What was tried.
        what: &'static str,
        /// What came of it.
        source: Box<kube::Error>,
    },
}

/// The API server's own words, where it has said any.
fn told(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    }
}

impl Error {
    /// A word of a closed set for the metric of reconcile errors.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Deadline(_) => "deadline",
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) => match status.code {
                    401 | 403 => "forbidden",
                    404 => "not_found",
                    409 => "conflict",
                    429 => "throttled",
                    500.. => "server_error",
                    _ => "refused",
                },
                _ => "unreachable",
            },
        }
    }

    /// How long the API server asks us to wait, if it does.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let Self::Api { source, .. } = self else { return None };
        asked_to_wait(source)
    }

    /// Whether the API server's definition of the object lacks a field that was written. It answers so with 500.
    pub(super) fn unknown_field(&self) -> bool {
        let Self::Api { source, .. } = self else { return false };
        matches!(&**source, kube::Error::Api(status) if status.message.contains("field not declared in schema"))
    }

    /// The status code of the answer, where there was one.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::Deadline(_) => None,
        }
    }
}

/// Makes one call to the API server, `what` for the error's text.
pub(super) async fn within<T>(
    what: &'static str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(CALL_DEADLINE, call).await {
        Ok(result) => result.map_err(|error| Error::Api { what, source: Box::new(error) }),
        Err(_) => Err(Error::Deadline(what)),
    }
}

/// Lets a watch that the API server turned away begin again only when it may.
pub(super) fn patiently<T: Send>(
    events: impl Stream<Item = watcher::Result<T>> + Send,
) -> impl Stream<Item = watcher::Result<T>> + Send {
    events.then(|event| async move {
        let Err(watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = &event
        else {
            return event;
        };
        if let Some(wait) = asked_to_wait(error) {
            tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
        }
        event
    })
}

/// What is remembered of an account between its reconciles, on top of what stands in its status.
#[derive(Default)]
pub(super) struct Known {
    /// The last reading of its Secrets.
    pub(super) reading: Option<Reading>,
    /// When there was a reason to read them again at once: the cloud refused them, or one was seen to change.
    pub(super) doubted: Option<Instant>,
    /// When its counts were written last.
    pub(super) counts_written: Option<Instant>,
    /// Reconciles that failed one after another.
    pub(super) failures: u32,
    /// Before when the API server does not want to be asked again.
    pub(super) not_before: Option<Instant>,
    /// The status written last, with the version that the object got by it.
    pub(super) written: Option<(u64, CaasAccountStatus)>,
}

/// Whether this replica looks after the account with this UID. What it does not own it leaves alone.
pub type Ownership = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// What every reconcile works with.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) registry: Arc<Registry>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) policy: Policy,
    pub(super) service: ScrapeService,
    pub(super) announcer: Announcer,
    /// When which account may read its Secrets.
    pub(super) turns: Turns,
    pub(super) owns: Ownership,
    /// Which accounts read which Secret.
    pub(super) references: References,
    /// Asks the followers of ServiceMonitors to look at once whether their definition is there.
    pub(super) look_for_monitors: Notify,
    pub(super) known: Mutex<HashMap<AccountId, Known>>,
    pub(super) history: History,
}

/// What is shared with one scope's reconciles only.
pub(super) struct Scoped {
    pub(super) context: Arc<Context>,
    pub(super) monitors: tokio::sync::watch::Receiver<Monitors>,
    /// The accounts as the watch has them.
    pub(super) accounts: Store<Guarded>,
    /// Until when reconciles wait for the first answer of discovery.
    pub(super) discovery: Instant,
}

impl Scoped {
    /// Whether this very object still stands; one that is being deleted does not.
    pub(super) fn stands(&self, account: &CaasAccount, id: &AccountId) -> bool {
        let name = ObjectRef::new(&id.name).within(&id.namespace);
        self.accounts.get(&name).is_some_and(|newest| {
            let newest = newest.meta();
            newest.uid == account.metadata.uid && newest.deletion_timestamp.is_none()
        })
    }
}

impl Context {
    /// What is remembered of all accounts.
    pub(super) fn known(&self) -> MutexGuard<'_, HashMap<AccountId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets an account: its task ends, its series go, and it is listed no more.
    pub(super) fn forget(&self, id: &AccountId) {
        self.supervisor.remove(id);
        self.forget_secrets(id);
        self.known().remove(id);
    }

    /// Forgets what an account's Secrets held, and that it reads any.
    pub(super) fn forget_secrets(&self, id: &AccountId) {
        self.references.forget(id);
        self.turns.forget(id);
        if let Some(known) = self.known().get_mut(id) {
            known.reading = None;
        }
    }

    /// How watches are made: each ends by itself soon, so that the client's read timeout can be short
    /// and a watch that stalls without closing is noticed.
    #[allow(clippy::unused_self)] // the one place to ask, whatever it depends on
    pub(super) fn watch_config(&self) -> watcher::Config {
        watcher::Config::default().timeout(WATCH_LASTS)
    }
}
