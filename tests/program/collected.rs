//! One account collected from a simulated cloud by the real client and the real collector, in this process and at
//! intervals shorter than a manifest may have.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use caas_operator::account::{Account, AccountId, Connection, Exposition, Names, Origin, Schedule};
use caas_operator::cloud::alauda::{self, AlaudaAccount};
use caas_operator::cloud::http::{AccountLimits, Capacity, Http, Policy};
use caas_operator::cloud::{Credentials, ProviderAccount, ServiceFilter};
use caas_operator::collector::registry::Snapshot;
use caas_operator::collector::{HttpClouds, Registry, Supervisor};
use caas_operator::exposition::Body;
use caas_operator::simulator::{Running, Settings};
use caas_operator::telemetry::Metrics;
use flate2::read::GzDecoder;

use crate::exposition::{Family, Labels, parse_text};
use crate::process::until;
use crate::support::{client, cloud_with, metrics};

/// The password of every cloud here.
pub(crate) const PASSWORD: &str = "secret";
/// How often accounts are collected here.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);

/// A supervisor with its registry and metrics.
pub(crate) struct Runtime {
    pub(crate) supervisor: Supervisor,
    pub(crate) registry: Arc<Registry>,
    metrics: Arc<Metrics>,
}

/// User `acme` of the provider at this endpoint, with this password.
pub(crate) fn provider(endpoint: &str, password: &str) -> Arc<dyn ProviderAccount> {
    provider_with(endpoint, password, Duration::from_secs(100), Duration::from_secs(30))
}

/// The same with another window of measurements, and another time that it ends before now.
pub(crate) fn provider_with(
    endpoint: &str,
    password: &str,
    metrics_window: Duration,
    metrics_lag: Duration,
) -> Arc<dyn ProviderAccount> {
    Arc::new(AlaudaAccount {
        settings: alauda::Settings {
            endpoint: endpoint.parse().unwrap(),
            namespace: "acme".into(),
            metrics_window,
            metrics_lag,
        },
        credentials: Credentials::Password { username: "acme".into(), password: password.into() },
    })
}

/// An account of this name at this cloud.
pub(crate) fn account(name: &str, cloud: &Running) -> Account {
    Account {
        id: AccountId::new("team-a", name),
        uid: format!("uid-of-{name}"),
        connection: Connection {
            provider: provider(&cloud.url(), PASSWORD),
            ca_bundle: None,
            limits: AccountLimits {
                request_timeout: Duration::from_secs(1),
                max_concurrent: 8,
                requests_per_second: 100_000,
            },
        },
        schedule: Schedule { interval: INTERVAL, stale_after: Duration::from_secs(2) },
        selection: ServiceFilter::default(),
        exposition: Exposition { names: Names::Both, source_timestamps: false, max_series: 100_000 },
        targets: Vec::new(),
        origin: Origin::default(),
    }
}

impl Runtime {
    /// A runtime without accounts.
    pub(crate) fn new() -> Self {
        Self::with_capacity(Capacity::default())
    }

    /// The same where all accounts together may hold no more than this.
    pub(crate) fn with_capacity(capacity: Capacity) -> Self {
        // Installs the process's TLS provider.
        let _ = client();
        let policy = Policy {
            allow_cidrs: vec!["127.0.0.0/8".parse().unwrap()],
            allow_http: true,
            ..Policy::default()
        };
        let (registry, metrics) = (Arc::new(Registry::default()), Metrics::new());
        let connect =
            Arc::new(HttpClouds::new(Http::new(policy).with_capacity(capacity), Arc::clone(&metrics)));
        // Nothing receives transitions here.
        let (transitions, _) = tokio::sync::mpsc::channel(1);
        let supervisor = Supervisor::new(connect, Arc::clone(&registry), Arc::clone(&metrics), transitions);
        Self { supervisor, registry, metrics }
    }

    /// Waits until the newest snapshot of an account fulfils a condition.
    pub(crate) async fn until(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&Snapshot) -> bool,
    ) -> Arc<Snapshot> {
        let id = AccountId::new("team-a", name);
        until(&format!("{name}: {what}"), async || {
            self.registry.get(&id)?.snapshot.filter(|snapshot| holds(snapshot))
        })
        .await
    }

    /// Waits until the newest snapshot of an account has this reason.
    pub(crate) async fn until_reason(&self, name: &str, reason: &str) -> Arc<Snapshot> {
        self.until(name, reason, |snapshot| snapshot.health.reason().as_str() == reason).await
    }

    /// Waits for that many further cycles of an account.
    pub(crate) async fn cycles(&self, name: &str, count: usize) {
        let current = self.registry.get(&AccountId::new("team-a", name)).and_then(|entry| entry.snapshot);
        let mut last = current.map(|snapshot| snapshot.collected_at);
        for _ in 0..count {
            let newest =
                self.until(name, "one more cycle", |snapshot| Some(snapshot.collected_at) != last).await;
            last = Some(newest.collected_at);
        }
    }

    /// The sum of the own series whose lines contain all of these parts.
    pub(crate) fn count(&self, parts: &[&str]) -> f64 {
        metrics(&self.metrics.render(), parts).sum()
    }

    /// All own metrics.
    pub(crate) fn own(&self) -> String {
        self.metrics.render()
    }
}

/// One account, `acme`, of one cloud.
pub(crate) struct Collected {
    pub(crate) runtime: Runtime,
    pub(crate) cloud: Running,
}

impl Collected {
    /// A cloud of four services with two instances each that begins with a fault, collected by an account that is
    /// changed as asked.
    pub(crate) async fn with(fault: &str, change: impl FnOnce(&mut Account)) -> Self {
        let faults = vec![fault.parse().unwrap()];
        Self::of(cloud_with(PASSWORD, 4, 2, Settings { faults, ..Settings::default() }).await, change)
    }

    /// The same without a fault, after its first collection.
    pub(crate) async fn healthy(change: impl FnOnce(&mut Account)) -> Self {
        let all = Self::of(cloud_with(PASSWORD, 4, 2, Settings::default()).await, change);
        let collected = all.until_reason("Collected").await;
        assert_eq!((collected.counts(), samples(&collected)), ((4, 8), 8));
        all
    }

    /// An account of this cloud.
    pub(crate) fn of(cloud: Running, change: impl FnOnce(&mut Account)) -> Self {
        let runtime = Runtime::new();
        let mut account = account("acme", &cloud);
        change(&mut account);
        runtime.supervisor.put(account);
        Self { runtime, cloud }
    }

    /// Sets a fault in place of all others.
    pub(crate) fn fault(&self, fault: &str) {
        self.cloud.clear_faults();
        self.cloud.set_fault(fault.parse().unwrap()).unwrap();
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        self.runtime.until("acme", what, holds).await
    }

    pub(crate) async fn until_reason(&self, reason: &str) -> Arc<Snapshot> {
        self.runtime.until_reason("acme", reason).await
    }

    /// Stops everything.
    pub(crate) async fn stop(self) {
        self.runtime.supervisor.stop().await;
        self.cloud.stop().await;
    }
}

/// How many instances have a sample.
pub(crate) fn samples(snapshot: &Snapshot) -> usize {
    let instances = snapshot.values.services.iter().flat_map(|service| &service.instances);
    instances.filter(|instance| instance.sample.is_some()).count()
}

/// A body as text.
pub(crate) fn unpacked(body: &Body) -> String {
    let mut text = String::new();
    GzDecoder::new(&body.gzip[..]).read_to_string(&mut text).unwrap();
    text
}

/// The text body, read strictly.
pub(crate) fn families(snapshot: &Snapshot) -> Vec<Family> {
    parse_text(&unpacked(&snapshot.bodies.text)).unwrap()
}

/// The labels of each series of a family.
pub(crate) fn series(snapshot: &Snapshot, name: &str) -> Vec<Labels> {
    let families = families(snapshot);
    let family = families.into_iter().find(|family| family.name == name);
    family.map_or_else(Vec::new, |family| family.samples.into_iter().map(|sample| sample.labels).collect())
}

/// The value of the family's only series.
pub(crate) fn value(snapshot: &Snapshot, name: &str) -> f64 {
    let family = families(snapshot).into_iter().find(|family| family.name == name).unwrap();
    assert_eq!(family.samples.len(), 1);
    family.samples[0].value
}
