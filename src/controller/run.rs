//! Wires the operator: one watch and one queue a scope, until cancelled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use futures::stream::{self, StreamExt};
use kube::Client;
use kube::runtime::controller::{self, applier};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::build::ScrapeService;
use super::context::{Context, Ownership, Scoped};
use super::events::Announcer;
use super::history::{self, History};
use super::monitoring::{self, Monitors};
use super::reconcile::{Guarded, after_error, reconcile};
use super::scope::Scope;
use super::secrets::References;
use super::turns::Turns;
use super::{FIELD_MANAGER, triggers};
use crate::account::AccountId;
use crate::cloud::http::Policy;
use crate::collector::{Registry, Supervisor, Transition};
use crate::telemetry::Metrics;

/// Accounts reconciled at once in one scope. They mostly wait, for the API server.
const CONCURRENCY: u16 = 32;

/// Changes of one account within this time are one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// How long reconciles wait, after the start, for the first answer of discovery.
const DISCOVERY: Duration = Duration::from_secs(5);

/// How long reconciles under way may take to end after a stop: an API server that does not answer must not
/// use up the time that the process is given.
const GRACE: Duration = Duration::from_secs(5);

/// Names that may wait for their turn before whoever names them has to wait too.
const NAMES: usize = 256;

/// What the operator works with.
pub struct Settings {
    /// The API server.
    pub client: Client,
    /// Where accounts are looked after.
    pub scopes: Vec<Scope>,
    /// Whether to watch Secrets (their metadata) besides reading them by period.
    pub watch_secrets: bool,
    /// The Service that ServiceMonitors point at.
    pub service: ScrapeService,
    /// What the administrator allows.
    pub policy: Policy,
    /// Which accounts this replica looks after.
    pub owns: Ownership,
    /// Who speaks in events, such as the pod's name.
    pub instance: Option<String>,
    /// Runs the collectors.
    pub supervisor: Arc<Supervisor>,
    /// Where their snapshots stand.
    pub registry: Arc<Registry>,
    /// Own metrics.
    pub metrics: Arc<Metrics>,
    /// What the collectors tell.
    pub transitions: mpsc::Receiver<Transition>,
}

/// Reconciles until cancelled. `synced` becomes true when every scope was listed once.
pub async fn run(settings: Settings, synced: watch::Sender<bool>, cancel: CancellationToken) {
    let Settings { client, scopes, watch_secrets, service, policy, owns, instance, .. } = settings;
    let reporter = Reporter { controller: FIELD_MANAGER.into(), instance };
    let context = Arc::new(Context {
        announcer: Announcer::new(Recorder::new(client.clone(), reporter)),
        client,
        supervisor: settings.supervisor,
        registry: settings.registry,
        metrics: settings.metrics,
        policy,
        service,
        owns,
        turns: Turns::default(),
        references: References::default(),
        look_for_monitors: Notify::new(),
        known: Mutex::new(HashMap::new()),
        history: History::default(),
    });
    let first = scopes.first().cloned().unwrap_or(Scope::Cluster);
    let (mut names, mut listed, mut queues) = (Vec::new(), Vec::new(), Vec::new());
    for scope in scopes {
        let (sender, receiver) = mpsc::channel(NAMES);
        let (listed_here, is_listed) = watch::channel(false);
        names.push((scope.clone(), sender.clone()));
        listed.push(is_listed);
        let scoped = Running { context: Arc::clone(&context), scope, watch_secrets, cancel: cancel.clone() };
        queues.push(scoped.run(sender, receiver, listed_here));
    }
    let all_listed = async {
        for mut listed in listed {
            if listed.wait_for(|listed| *listed).await.is_err() {
                return;
            }
        }
        synced.send_replace(true);
    };
    let told = route(settings.transitions, names);
    let beside =
        cancel.run_until_cancelled(async { tokio::join!(all_listed, told, history::follow(context, first)) });
    tokio::join!(beside, join_all(queues));
}

/// Hands each transition to the scope of its account.
async fn route(mut transitions: mpsc::Receiver<Transition>, names: Vec<(Scope, mpsc::Sender<AccountId>)>) {
    while let Some(Transition { id, .. }) = transitions.recv().await {
        for (_, sender) in names.iter().filter(|(scope, _)| scope.covers(&id.namespace)) {
            // A scope that has ended reconciles nothing more.
            let _ = sender.send(id.clone()).await;
        }
    }
}

/// One scope's work.
struct Running {
    context: Arc<Context>,
    scope: Scope,
    watch_secrets: bool,
    cancel: CancellationToken,
}

impl Running {
    async fn run(
        self,
        names: mpsc::Sender<AccountId>,
        asked: mpsc::Receiver<AccountId>,
        listed: watch::Sender<bool>,
    ) {
        let Self { context, scope, watch_secrets, cancel } = self;
        let (monitors, monitors_now) = watch::channel(Monitors::Unknown);
        let follow =
            monitoring::follow(Arc::clone(&context), scope.clone(), monitors, names.clone(), cancel.clone());
        let (store, writer) = reflector::store::<Guarded>();
        let queue = stream::select_all([
            triggers::accounts(Arc::clone(&context), scope.clone(), writer, listed).boxed(),
            triggers::named(asked).boxed(),
            triggers::all_on_change(monitors_now.clone(), store.clone()),
        ]);
        let reconciles = applier(
            |object, scoped| Box::pin(reconcile(object, scoped)),
            |object, error, scoped: Arc<Scoped>| after_error(&object, error, &scoped),
            Arc::new(Scoped {
                context: Arc::clone(&context),
                monitors: monitors_now,
                accounts: store.clone(),
                discovery: Instant::now() + DISCOVERY,
            }),
            store,
            queue.take_until(cancel.clone().cancelled_owned()),
            controller::Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE),
        )
        // Errors are told by the error policy; an object that is not found is one that was deleted.
        .for_each(|_| std::future::ready(()));
        let secrets = async {
            if watch_secrets {
                cancel.run_until_cancelled(triggers::secrets(context, scope, names)).await;
            }
        };
        let too_long = async {
            cancel.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            _ = async { tokio::join!(follow, reconciles, secrets) } => {}
            () = too_long => tracing::warn!("reconciles under way are given up: the API server does not answer"),
        }
    }
}
