//! Wires the operator: one watch and one queue a scope, until cancelled.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use futures::stream::{self, StreamExt};
use kube::Client;
use kube::runtime::controller::{self, applier};
use kube::runtime::reflector;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::apply::MonitorWriter;
use super::build::ScrapeService;
use super::collect::Collection;
use super::dereference::SecretReader;
use super::events::EventPublisher;
use super::initial::{InitialAccounts, Startup};
use super::monitors::{CrdDiscovery, Follower, Monitors};
use super::outage::Outage;
use super::reconcile::{Reconciler, ScopedReconciler, WRITERS, after_error, reconcile};
use super::retries::Retries;
use super::scope::{Scope, WatchedAccount};
use super::status::StatusWriter;
use super::statuses::Statuses;
use super::triggers;
use super::watch::Lists;
use crate::account::AccountId;
use crate::cloud::Providers;
use crate::cloud::http::Policy;
use crate::collector::{Registry, Supervisor, Transition};
use crate::limits::{MemoryBudget, Shares};
use crate::replicas::peers::Peers;
use crate::telemetry::Metrics;

/// Changes of one account within this time are one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// How long reconciles wait, after the start, for the first answer of discovery.
const DISCOVERY: Duration = Duration::from_secs(5);

/// How long writes under way may take to end after a stop: an API server that does not answer must not use up the time that
/// the process is given. What waits for its turn ends at once.
const GRACE: Duration = Duration::from_secs(5);

/// Requests by name that may wait in a scope's channel before their senders wait.
const NAMES: usize = 256;

/// What the operator works with.
pub struct Settings {
    /// The API server.
    pub client: Client,
    /// Where accounts are reconciled.
    pub scopes: Vec<Scope>,
    /// Whether to watch Secrets (their metadata) besides reading them by period.
    pub watch_secrets: bool,
    /// How often each watch lists anew.
    pub relist: Duration,
    /// Whether accounts whose `serviceMonitor.mode` is `Auto` get a ServiceMonitor.
    pub auto_service_monitors: bool,
    /// The Service that ServiceMonitors point at.
    pub service: ScrapeService,
    /// The providers that accounts may name.
    pub providers: Providers,
    /// What the administrator allows.
    pub policy: Policy,
    /// Which accounts this replica collects, and who has the others.
    pub peers: Peers,
    /// The reporting instance of events, such as the pod's name.
    pub instance: Option<String>,
    /// Runs the collectors.
    pub supervisor: Arc<Supervisor>,
    /// Holds their snapshots.
    pub registry: Arc<Registry>,
    /// Learns where the accounts are kept.
    pub statuses: Statuses,
    /// What the objects that are kept are charged to, as snapshots are.
    pub memory: MemoryBudget,
    /// Own metrics.
    pub metrics: Arc<Metrics>,
    /// What the collectors report.
    pub transitions: mpsc::Receiver<Transition>,
}

/// Reconciles until cancelled. `startup` follows what happens to the accounts that are there at the start.
pub async fn run(settings: Settings, startup: watch::Sender<Startup>, cancel: CancellationToken) {
    let Settings { client, scopes, watch_secrets, relist, metrics, memory, .. } = settings;
    let api_server = Outage::of_api_server();
    let discovery = Arc::new(CrdDiscovery::new(client.clone(), Arc::clone(&api_server)));
    let reconciler = Arc::new(Reconciler {
        secrets: SecretReader::new(client.clone(), settings.providers, Arc::clone(&metrics)),
        collection: Collection {
            providers: settings.providers,
            supervisor: settings.supervisor,
            registry: settings.registry,
            policy: settings.policy,
            unreported: Mutex::default(),
        },
        monitors: MonitorWriter {
            client: client.clone(),
            providers: settings.providers,
            service: settings.service,
            auto: settings.auto_service_monitors,
            discovery: Arc::clone(&discovery),
        },
        status: StatusWriter::new(client.clone()),
        events: EventPublisher::new(client.clone(), settings.instance),
        initial: InitialAccounts::new(scopes.clone(), startup),
        retries: Retries::default(),
        writers: Shares::thirds(WRITERS),
        peers: settings.peers,
        stop: cancel.clone(),
        api_server,
        metrics,
    });

    let [account_lists, monitor_lists, secret_lists] = [(); 3].map(|()| Lists::every(relist));
    let (mut names, mut queues) = (Vec::new(), Vec::new());
    for scope in scopes {
        let (sender, receiver) = mpsc::channel(NAMES);
        names.push((scope.clone(), sender.clone()));
        let running = RunningScope {
            client: client.clone(),
            reconciler: Arc::clone(&reconciler),
            discovery: Arc::clone(&discovery),
            statuses: settings.statuses.clone(),
            scope,
            account_lists: account_lists.clone(),
            monitor_lists: monitor_lists.clone(),
            secret_lists: watch_secrets.then(|| secret_lists.clone()),
            memory: memory.clone(),
            cancel: cancel.clone(),
        };
        queues.push(running.run(sender, receiver));
    }
    let (granted, mut grants) = mpsc::channel(NAMES);
    let mut transitions = settings.transitions;
    let route = async {
        loop {
            tokio::select! {
                Some(Transition { id, .. }) = transitions.recv() => send(&names, id).await,
                Some(id) = grants.recv() => send(&names, id).await,
                else => return,
            }
        }
    };
    let shared = cancel.run_until_cancelled(async {
        tokio::join!(route, discovery.follow(), reconciler.secrets.grant(granted))
    });
    tokio::join!(shared, join_all(queues));
}

/// Sends an account to the queue of its scope.
async fn send(names: &[(Scope, mpsc::Sender<AccountId>)], id: AccountId) {
    for (_, sender) in names.iter().filter(|(scope, _)| scope.covers(&id.namespace)) {
        // A scope that has ended reconciles nothing more.
        let _ = sender.send(id.clone()).await;
    }
}

/// One scope's work.
struct RunningScope {
    client: Client,
    reconciler: Arc<Reconciler>,
    discovery: Arc<CrdDiscovery>,
    statuses: Statuses,
    scope: Scope,
    account_lists: Lists,
    monitor_lists: Lists,
    /// Where Secrets are watched.
    secret_lists: Option<Lists>,
    memory: MemoryBudget,
    cancel: CancellationToken,
}

impl RunningScope {
    async fn run(self, names: mpsc::Sender<AccountId>, requested: mpsc::Receiver<AccountId>) {
        let Self { client, reconciler, discovery, scope, cancel, .. } = self;
        let (monitors, monitors_now) = watch::channel(Monitors::Unknown);
        let follower = Follower {
            discovery,
            scope: scope.clone(),
            lists: self.monitor_lists,
            state: monitors,
            reconcile: names.clone(),
            memory: self.memory.clone(),
        };
        let (store, writer) = reflector::store::<WatchedAccount>();
        self.statuses.add(store.clone());
        let lists = self.account_lists;
        let accounts = triggers::accounts(
            Arc::clone(&reconciler),
            client.clone(),
            scope.clone(),
            writer,
            lists,
            self.memory,
        );
        let queue = stream::select_all([
            accounts.boxed(),
            triggers::named(requested).boxed(),
            triggers::all_on_change(monitors_now.clone(), store.clone()),
            triggers::moved(Arc::clone(&reconciler), store.clone()),
        ]);
        let reconciles = applier(
            |object, scoped| Box::pin(reconcile(object, scoped)),
            |object, error, scoped: Arc<ScopedReconciler>| after_error(&object, error, &scoped),
            Arc::new(ScopedReconciler {
                reconciler: Arc::clone(&reconciler),
                monitors: monitors_now,
                accounts: store.clone(),
                discovery_until: Instant::now() + DISCOVERY,
            }),
            store,
            queue.take_until(cancel.clone().cancelled_owned()),
            // As many reconciles as there are accounts: what they do at once is bounded step by step.
            controller::Config::default().debounce(DEBOUNCE),
        )
        // The error policy logs errors; an object that is not found was deleted.
        .for_each(|_| std::future::ready(()));
        let follow = cancel.run_until_cancelled(follower.follow());
        let secrets = async {
            if let Some(lists) = self.secret_lists {
                let watch = triggers::secrets(reconciler, client, scope, lists, names);
                cancel.run_until_cancelled(watch).await;
            }
        };
        let too_long = async {
            cancel.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            _ = async { tokio::join!(follow, reconciles, secrets) } => {}
            () = too_long => tracing::warn!("aborting unfinished writes: the API server does not respond"),
        }
    }
}
