//! A cloud for tests under virtual time: what a cycle brings is a function of the cycle's number.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::connect::Connect;
use super::registry::{Registry, Snapshot};
use super::supervisor::{Supervisor, Transition};
use crate::account::{Account, AccountId, Connection, Exposition, Names, Provider, Schedule};
use crate::cloud::alauda;
use crate::cloud::http::AccountLimits;
use crate::cloud::model::{
    Instance, InstanceFacts, Measurement, Reading, Sample, Scale, Service, ServiceFacts,
};
use crate::cloud::{Cloud, CloudError, Collection, Credentials, ServiceFilter};
use crate::telemetry::Metrics;

/// What one cycle does: how long it takes, and what comes of it.
pub(super) type Answer = (Duration, Result<Collection, CloudError>);

/// Clouds that all answer by one function of the cycle's number, counted from 0.
pub(super) struct FakeClouds {
    answer: Box<dyn Fn(u64) -> Answer + Send + Sync>,
    started: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
}

struct FakeCloud(Arc<FakeClouds>);

impl FakeClouds {
    pub(super) fn new(answer: impl Fn(u64) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { answer: Box::new(answer), started: Arc::default(), ended: Arc::default() })
    }

    /// Cycles that were begun.
    pub(super) fn started(&self) -> u64 {
        self.started.load(Ordering::SeqCst)
    }

    /// Cycles that were not cancelled.
    pub(super) fn ended(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }
}

/// `Connect` belongs to a shared value here, since a test looks at it as well.
pub(super) struct Shared(pub(super) Arc<FakeClouds>);

impl Connect for Shared {
    fn connect(&self, _: &Account) -> Result<Arc<dyn Cloud>, CloudError> {
        Ok(Arc::new(FakeCloud(Arc::clone(&self.0))))
    }
}

impl Cloud for FakeCloud {
    fn collect<'a>(&'a self, _: &'a ServiceFilter) -> BoxFuture<'a, Result<Collection, CloudError>> {
        async {
            let (takes, result) = (self.0.answer)(self.0.started.fetch_add(1, Ordering::SeqCst));
            tokio::time::sleep(takes).await;
            self.0.ended.fetch_add(1, Ordering::SeqCst);
            result
        }
        .boxed()
    }
}

/// A supervisor over fake clouds, with all that hangs on it.
pub(super) struct House {
    pub(super) supervisor: Supervisor,
    pub(super) registry: Arc<Registry>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) transitions: mpsc::Receiver<Transition>,
    pub(super) clouds: Arc<FakeClouds>,
}

impl House {
    pub(super) fn new(answer: impl Fn(u64) -> Answer + Send + Sync + 'static) -> Self {
        let clouds = FakeClouds::new(answer);
        let (registry, metrics) = (Arc::new(Registry::default()), Metrics::new());
        let (sender, transitions) = mpsc::channel(16);
        let connect = Arc::new(Shared(Arc::clone(&clouds)));
        let supervisor = Supervisor::new(connect, Arc::clone(&registry), Arc::clone(&metrics), sender);
        Self { supervisor, registry, metrics, transitions, clouds }
    }

    /// The newest snapshot of `team-a/acme`.
    pub(super) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.registry.get(&id()).and_then(|entry| entry.snapshot)
    }

    /// Waits until the newest snapshot holds what is asked for; virtual time passes meanwhile.
    pub(super) async fn until(&self, what: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        loop {
            if let Some(snapshot) = self.snapshot().filter(|snapshot| what(snapshot)) {
                return snapshot;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

pub(super) fn id() -> AccountId {
    AccountId::new("team-a", "acme")
}

/// An account of 30 s interval, 90 s of staleness and 10 s a request.
pub(super) fn account(uid: &str) -> Account {
    Account {
        id: id(),
        uid: uid.into(),
        connection: Connection {
            provider: Provider::Alauda(alauda::Settings {
                endpoint: "https://caas.example.com/v1/".parse().unwrap(),
                namespace: "acme".into(),
                metrics_window: Duration::from_secs(100),
                metrics_lag: Duration::from_secs(30),
            }),
            credentials: Credentials::Token("t".into()),
            ca_bundle: None,
            limits: AccountLimits {
                request_timeout: Duration::from_secs(10),
                max_concurrent: 4,
                requests_per_second: 50,
            },
        },
        schedule: Schedule { interval: Duration::from_secs(30), stale_after: Duration::from_secs(90) },
        selection: ServiceFilter::default(),
        exposition: Exposition { names: Names::Modern, source_timestamps: false, max_series: 1000 },
        targets: Vec::new(),
    }
}

/// One service `kibana` with one instance that uses this much memory.
pub(super) fn kibana(bytes: f64) -> Collection {
    let sample = Sample::at(0.0, &[(Measurement::MemoryUsage, Scale::Base, bytes)]);
    let facts = InstanceFacts { name: "kibana.0".into(), id: "a".into(), ..InstanceFacts::default() };
    Collection {
        services: vec![Service {
            facts: Arc::new(ServiceFacts { name: "kibana".into(), ..ServiceFacts::default() }),
            reading: Reading::default(),
            instances: Ok(vec![Instance { facts: Arc::new(facts), reading: Reading::measured(sample) }]),
        }],
        ..Collection::default()
    }
}

/// The memory of the one instance, where it is exposed.
pub(super) fn memory(snapshot: &Snapshot) -> Option<f64> {
    snapshot.values.services.first()?.instances.first()?.sample.as_ref()?.value(Measurement::MemoryUsage)
}
