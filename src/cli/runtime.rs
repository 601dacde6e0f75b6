//! The runtime of every command that collects: registry, supervisor and servers, started and stopped in order.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::files;
use crate::account::AccountId;
use crate::cloud::http::{Http, Policy};
use crate::collector::{HttpClouds, Registry, Supervisor, Transition};
use crate::limits::{MemoryBudget, ProcessLimits};
use crate::otlp::Pusher;
use crate::replicas::Membership;
use crate::replicas::peers::Peers;
use crate::server::{self, AllowedHosts, Bound, ListenError, Liveness, PageOptions, Readiness};
use crate::telemetry::Metrics;

/// The capacity of the channel of transitions. A collector that finds it full reports again after its next cycle.
const TRANSITIONS: usize = 1024;

/// The parts of a collecting process.
pub(super) struct Runtime {
    pub(super) registry: Arc<Registry>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) readiness: Readiness,
    pub(super) peers: Peers,
    pub(super) memory: MemoryBudget,
    pub(super) policy: Policy,
    /// What the pages show besides; nothing unless it is set.
    pub(super) page: PageOptions,
}

/// The bound addresses, not served yet.
pub(super) struct Listeners {
    main: Bound,
    health: Option<Bound>,
    allowed_hosts: AllowedHosts,
}

impl Listeners {
    /// Binds both addresses; an error names the option to change. The main port answers for the allowed hosts only.
    pub(super) async fn bind(
        main: SocketAddr,
        health: Option<SocketAddr>,
        allowed_hosts: AllowedHosts,
    ) -> Result<Self, ListenError> {
        let main = server::bind(main, "--listen").await?;
        let health = match health {
            Some(address) => Some(server::bind(address, "--listen-health").await?),
            None => None,
        };
        if let Some(health) = &health {
            tracing::info!(address = %health.addr(), "health on /livez and /readyz");
        }
        Ok(Self { main, health, allowed_hosts })
    }

    /// The address of the main port.
    pub(super) fn address(&self) -> SocketAddr {
        self.main.addr()
    }
}

impl Runtime {
    /// A runtime without accounts, and the transitions that its collectors will report.
    pub(super) fn new(policy: Policy, limits: ProcessLimits) -> (Self, mpsc::Receiver<Transition>) {
        if let Some(proxy) = &policy.proxy {
            tracing::info!(%proxy, "all clouds are reached through a proxy");
        }
        let (registry, metrics) = (Arc::new(Registry::default()), Metrics::new());
        let limits = ProcessLimits { files: Some(files::limit()), ..limits };
        let memory = limits.memory.clone();
        let peers = Peers::new(Membership::alone(), memory.clone());
        let clouds = HttpClouds::new(Http::new(policy.clone()).within(limits.clone()), Arc::clone(&metrics));
        let (sender, transitions) = mpsc::channel(TRANSITIONS);
        let supervisor =
            Supervisor::within(limits, Arc::new(clouds), Arc::clone(&registry), Arc::clone(&metrics), sender);
        let runtime = Self {
            registry,
            metrics,
            supervisor: Arc::new(supervisor),
            readiness: Readiness::default(),
            peers,
            memory,
            policy,
            page: PageOptions::default(),
        };
        (runtime, transitions)
    }

    /// Pushes with this from now on, in a task of its own, until `stop` or until the returned handle is dropped: after `stop`
    /// another replica may push newer values. An endpoint that hangs holds up nothing else.
    pub(super) fn push(
        &self,
        pusher: Option<Pusher>,
        stop: &CancellationToken,
    ) -> Option<AbortOnDropHandle<()>> {
        let (membership, stop) = (self.peers.membership().clone(), stop.clone());
        let (registry, metrics) = (Arc::clone(&self.registry), Arc::clone(&self.metrics));
        let memory = self.memory.clone();
        let run = |pusher: Pusher| async move {
            let rounds = pusher.run(registry, metrics, memory, move || membership.is_behind());
            stop.run_until_cancelled(rounds).await;
        };
        pusher.map(|pusher| AbortOnDropHandle::new(tokio::spawn(run(pusher))))
    }

    /// Serves and runs `work` until `stop`. Then the process becomes unready, the collectors end, `farewell` runs while scrapes
    /// are still answered, and those under way finish, in this order. `/metrics` also serves `append_account`. Returns the
    /// output of `work`.
    pub(super) async fn run<T>(
        &self,
        listeners: Listeners,
        append_account: Option<AccountId>,
        stop: CancellationToken,
        work: impl Future<Output = T>,
        farewell: impl Future<Output = ()>,
    ) -> T {
        let context = server::Context {
            registry: Arc::clone(&self.registry),
            metrics: Arc::clone(&self.metrics),
            append_account,
            allowed_hosts: listeners.allowed_hosts,
            page: self.page.clone(),
            peers: self.peers.clone(),
        };
        let (close, serving) = (CancellationToken::new(), TaskTracker::new());
        serving.spawn(listeners.main.serve(server::router(context), close.clone()));
        if let Some(health) = listeners.health {
            serve_health(health, &self.readiness, &serving, &close);
        }
        serving.close();

        let become_unready = async {
            stop.cancelled().await;
            self.readiness.stop();
        };
        let ended = async {
            let output = work.await;
            // Work that ends early, for example by an error, stops the rest as well.
            stop.cancel();
            output
        };
        let (output, ()) = tokio::join!(ended, become_unready);
        self.supervisor.stop().await;
        farewell.await;
        close.cancel();
        serving.wait().await;
        output
    }
}

/// Serves health on a thread of its own until `close`: work that keeps the main runtime busy must not delay its answers.
fn serve_health(health: Bound, readiness: &Readiness, serving: &TaskTracker, close: &CancellationToken) {
    let liveness = Liveness::default();
    let router = server::health_router(readiness.clone(), liveness.clone());
    let health = health.with_limits(server::Limits::health());
    match health.serve_on_own_thread("health", router, close.clone()) {
        Ok(ended) => {
            let close = close.clone();
            serving.spawn(async move {
                close.run_until_cancelled(liveness.beat()).await;
                // Ends in any case, whether by a value or without.
                let _ = ended.await;
            });
        }
        Err(error) => tracing::error!(%error, "health is not served: cannot start a thread for it"),
    }
}

/// Runs `work` to its end and `side_work` for as long.
pub(super) async fn alongside<T>(work: impl Future<Output = T>, side_work: impl Future<Output = ()>) -> T {
    let never = async {
        side_work.await;
        std::future::pending().await
    };
    tokio::select! {
        output = work => output,
        output = never => output,
    }
}
