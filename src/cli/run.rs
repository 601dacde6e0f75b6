//! `caas-operator run`: the operator, in a pod or with a kubeconfig.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;
use kube::Config;
use thiserror::Error;
use tokio::sync::watch;

use super::chart::{self, AlreadyRuns};
use super::cluster::{self, ClusterError};
use super::memory::MemoryOptions;
use super::options::{HostOptions, Label, LinkOptions, List, PolicyOptions};
use super::otlp::{OtlpError, OtlpOptions};
use super::replicas::ReplicaOptions;
use super::runtime::{Listeners, Runtime, alongside};
use super::signals::stop_token;
use crate::cloud::Providers;
use crate::controller::{self, Scope, ScrapeService, Settings, Startup, Statuses, causes};
use crate::server::{AccountCondition, HostName, ListenError, PageOptions, ReadConditions};

/// The label by which ServiceMonitors find the operator's Service: its value is the Service's name.
pub(super) const SERVICE_LABEL: &str = "caas-operator.io/service";

/// Often enough to notice that etcd was restored; a list of thousands of accounts costs the API server little.
const RELIST_SECONDS: u64 = 300;

/// Arguments of `run`.
#[derive(ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Reconcile only the CaasAccounts of this namespace; can be repeated. Default: all namespaces
    #[arg(long = "namespace", value_name = "NAMESPACE", env = "CAAS_OPERATOR_NAMESPACE")]
    namespaces: Vec<List<Label>>,
    /// Watch Secrets (metadata only), so that changed Secrets are used immediately; requires list and watch on Secrets
    #[arg(long, env = "CAAS_OPERATOR_WATCH_SECRETS")]
    watch_secrets: bool,
    /// Create no ServiceMonitors for accounts whose serviceMonitor.mode is Auto, and remove existing ones. Use
    /// this if Prometheus discovers the accounts through /sd, because it would otherwise scrape each account twice
    #[arg(long, env = "CAAS_OPERATOR_NO_SERVICE_MONITORS")]
    no_service_monitors: bool,
    /// How often each watch lists anew. Hidden: tests shorten it, and nobody else has a reason to
    #[arg(long, hide = true, default_value_t = RELIST_SECONDS)]
    relist_seconds: u64,
    /// Use this context of the kubeconfig. Default: the current one, or the pod's own service account
    #[arg(long, value_name = "NAME", env = "CAAS_OPERATOR_CONTEXT")]
    context: Option<String>,
    /// Outside the cluster, run even if the chart's operator is running; the two must not share a namespace
    #[arg(long, env = "CAAS_OPERATOR_ALLOW_SECOND_OPERATOR")]
    allow_second_operator: bool,
    /// Address to serve metrics, accounts and /sd on
    #[arg(long, value_name = "ADDRESS", env = "CAAS_OPERATOR_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Address to serve /livez and /readyz on
    #[arg(long, value_name = "ADDRESS", env = "CAAS_OPERATOR_LISTEN_HEALTH", default_value = "0.0.0.0:8081")]
    listen_health: SocketAddr,
    /// Namespace of the Service through which Prometheus reaches the operator. Default: the pod's, or the context's
    #[arg(long, value_name = "NAMESPACE", env = "CAAS_OPERATOR_SERVICE_NAMESPACE")]
    service_namespace: Option<Label>,
    /// Name of that Service, which has the label caas-operator.io/service with its own name as the value
    #[arg(long, value_name = "NAME", env = "CAAS_OPERATOR_SERVICE_NAME", default_value = "caas-operator")]
    service_name: Label,
    /// Number of that Service's port named http
    #[arg(long, value_name = "PORT", env = "CAAS_OPERATOR_SERVICE_PORT", default_value_t = 8080)]
    service_port: u16,
    #[command(flatten)]
    hosts: HostOptions,
    #[command(flatten)]
    links: LinkOptions,
    #[command(flatten)]
    replicas: ReplicaOptions,
    #[command(flatten)]
    policy: PolicyOptions,
    #[command(flatten)]
    memory: MemoryOptions,
    #[command(flatten)]
    otlp: OtlpOptions,
}

const EXAMPLES: &str = "Examples:
  caas-operator run
  caas-operator run --namespace team-a --namespace team-b --allow-endpoint https://caas.example.com/";

/// Why the operator does not run.
#[derive(Debug, Error)]
pub(super) enum RunError {
    /// No way to the API server.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The settings do not make a client.
    #[error("cannot create a client for the API server: {}", causes(&**.0))]
    Client(#[from] Box<kube::Error>),
    /// The chart's operator runs.
    #[error(transparent)]
    AlreadyRuns(#[from] AlreadyRuns),
    /// An address is taken.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Nothing can be pushed.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    /// Nothing holds this replica's Lease any more.
    #[error(
        "this replica's Lease is not renewed any more, and other replicas take over: start it again, and report this"
    )]
    LeaseLost,
    /// Signals cannot be had.
    #[error("cannot receive signals: {0}")]
    Signals(#[from] io::Error),
}

/// Runs until SIGINT or SIGTERM.
pub(super) async fn run(args: Args) -> Result<(), RunError> {
    let stop = stop_token()?;
    let config = cluster::config(args.context.as_deref()).await?;
    if let Some(proxy) = cluster::proxy(&config)? {
        tracing::info!(%proxy, "the API server is reached through a proxy");
    }
    let pusher = args.otlp.pusher()?;
    let service = args.service(&config);
    // The name in ServiceMonitors, which Prometheus uses.
    let own_name = format!("{}.{}.svc", service.name, service.namespace).parse::<HostName>().ok();
    let allowed_hosts = args.hosts.clone().allowed(own_name);
    let namespaces: Vec<String> = List::values(args.namespaces).map(|Label(name)| name).collect();
    let client = controller::client(config).map_err(Box::new)?;
    if !chart::is_in_pod() {
        if !args.allow_second_operator {
            chart::ensure_none_runs(&client, &service).await?;
        }
        chart::warn_of_scrapes(&service);
    }
    let listeners = Listeners::bind(args.listen, Some(args.listen_health), allowed_hosts).await?;
    let (mut runtime, transitions) = Runtime::new(args.policy.policy(), args.memory.limits());
    let statuses = Statuses::default();
    runtime.page = PageOptions { conditions: Some(conditions(statuses.clone())), ..args.links.page() };
    let (group, port) = (&service.name, listeners.address().port());
    let replica = args.replicas.share(&client, group, port, &runtime.metrics);
    let membership = replica.membership().clone();
    runtime.peers = runtime.peers.of(membership.clone());
    let _pushing = runtime.push(pusher, &stop);
    let settings = Settings {
        client,
        scopes: Scope::of(&namespaces),
        watch_secrets: args.watch_secrets,
        relist: Duration::from_secs(args.relist_seconds),
        auto_service_monitors: !args.no_service_monitors,
        service,
        providers: Providers::ALL,
        policy: runtime.policy.clone(),
        peers: runtime.peers.clone(),
        // A pod's host name is its own name.
        instance: std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty()),
        supervisor: Arc::clone(&runtime.supervisor),
        registry: Arc::clone(&runtime.registry),
        statuses,
        memory: runtime.memory.clone(),
        metrics: Arc::clone(&runtime.metrics),
        transitions,
    };
    tracing::info!(address = %listeners.address(), ?namespaces, "the operator starts");
    let listed = runtime.readiness.expect("waiting for the list of CaasAccounts");
    let joining = replica.joining(runtime.readiness.expect("waiting for this replica's Lease"));
    let (startup, now) = watch::channel(Startup::Listing);
    // Where the operator stops before it comes so far, there is nothing to wait for.
    let reached = |stage: Startup| {
        let mut now = now.clone();
        async move { drop(now.wait_for(|now| *now >= stage).await) }
    };
    let (listing, prepared, handed_over) =
        (reached(Startup::Reading), reached(Startup::HandedOver), reached(Startup::HandedOver));
    let collected = runtime.readiness.expect_first_collections(Arc::clone(&runtime.registry), handed_over);
    let ready = async {
        let listing = async {
            listing.await;
            listed.set(true);
        };
        tokio::join!(listing, joining, collected);
    };
    let prepared = async {
        prepared.await;
        membership.prepared();
    };
    let reconcile = async {
        // Before that, every account would be another replica's.
        if stop.run_until_cancelled(membership.known()).await.is_some() {
            controller::run(settings, startup, stop.clone()).await;
        }
        Ok(())
    };
    let lost = replica.lost();
    let reconcile = async {
        tokio::select! {
            ended = reconcile => ended,
            () = lost => Err(RunError::LeaseLost),
        }
    };
    let work = Box::pin(alongside(
        Box::pin(reconcile),
        Box::pin(async {
            tokio::join!(ready, prepared);
        }),
    ));
    runtime.run(listeners, None, stop.clone(), work, replica.leave()).await
}

/// The conditions of an account for its page.
fn conditions(statuses: Statuses) -> ReadConditions {
    Arc::new(move |id| {
        let conditions = statuses.conditions(id).into_iter();
        let shown = conditions.map(|condition| AccountCondition {
            name: condition.type_,
            status: condition.status,
            reason: condition.reason,
            message: condition.message,
            // Whole seconds in the API, and small enough.
            since: condition.last_transition_time.0.as_second() as f64,
        });
        shown.collect()
    })
}

impl Args {
    fn service(&self, config: &Config) -> ScrapeService {
        let Label(name) = &self.service_name;
        let namespace = self.service_namespace.as_ref().map(|Label(namespace)| namespace);
        ScrapeService {
            namespace: namespace.unwrap_or(&config.default_namespace).clone(),
            name: name.clone(),
            labels: BTreeMap::from([(SERVICE_LABEL.to_owned(), name.clone())]),
            port: self.service_port,
        }
    }
}
