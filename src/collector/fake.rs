//! A cloud for tests under virtual time: the outcome of a cycle is a function of its number.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::connect::{ClientHistory, Connect};
use super::cycle::Shared;
use super::health::Health;
use super::registry::{Registry, Snapshot};
use super::rendering::RenderPool;
use super::supervisor::Supervisor;
use super::transition::Transition;
use crate::account::{Account, AccountId, Connection, Exposition, Names, Origin, Schedule};
use crate::cloud::alauda::{self, AlaudaAccount};
use crate::cloud::http::{AccountLimits, RateShare};
use crate::cloud::model::{
    Instance, InstanceFacts, Measurement, Reading, Sample, Scale, Service, ServiceFacts,
};
use crate::cloud::{Cloud, CloudError, Collection, Credentials, ProviderAccount, ServiceFilter};
use crate::exposition::values::ServiceEntry;
use crate::limits::{ProcessLimits, Workers};
use crate::telemetry::{AccountMeter, Metrics};

/// How long one cycle takes, and its result.
pub(super) type Outcome = (Duration, Result<Collection, CloudError>);

/// Clouds that share one function from a cycle's number, counted from 0, to its outcome.
pub(super) struct FakeClouds {
    outcome: Box<dyn Fn(u64) -> Outcome + Send + Sync>,
    connected: Arc<AtomicU64>,
    started: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
    limited: OnceLock<Limited>,
    /// What they keep between cycles, in bytes.
    pub(super) kept: AtomicUsize,
}

/// A limit on requests that the clouds publish, and how many a cycle counts.
struct Limited {
    rate: RateShare,
    requests: Box<dyn Fn(u64) -> u64 + Send + Sync>,
    meter: AccountMeter,
}

struct FakeCloud(Arc<FakeClouds>);

impl FakeClouds {
    pub(super) fn new(outcome: impl Fn(u64) -> Outcome + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            outcome: Box::new(outcome),
            connected: Arc::default(),
            started: Arc::default(),
            ended: Arc::default(),
            limited: OnceLock::new(),
            kept: AtomicUsize::default(),
        })
    }

    /// Clients that were made.
    pub(super) fn connected(&self) -> u64 {
        self.connected.load(Ordering::SeqCst)
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

/// The clients of fake clouds, which a test reads as well.
pub(super) struct Connector(pub(super) Arc<FakeClouds>);

impl Connect for Connector {
    fn connect(&self, _: &Account, _: &ClientHistory) -> Result<Arc<dyn Cloud>, CloudError> {
        self.0.connected.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(FakeCloud(Arc::clone(&self.0))))
    }

    fn rate(&self, _: &Account) -> Option<RateShare> {
        Some(self.0.limited.get()?.rate.clone())
    }
}

impl Cloud for FakeCloud {
    fn collect<'a>(&'a self, _: &'a ServiceFilter) -> BoxFuture<'a, Result<Collection, CloudError>> {
        async {
            let cycle = self.0.started.fetch_add(1, Ordering::SeqCst);
            let (takes, result) = (self.0.outcome)(cycle);
            tokio::time::sleep(takes).await;
            if let Some(Limited { requests, meter, .. }) = self.0.limited.get() {
                (0..requests(cycle)).for_each(|_| meter.request("services", "200", Duration::ZERO));
            }
            self.0.ended.fetch_add(1, Ordering::SeqCst);
            result
        }
        .boxed()
    }

    fn kept_bytes(&self) -> usize {
        self.0.kept.load(Ordering::SeqCst)
    }

    fn forget(&self) {
        self.0.kept.store(0, Ordering::SeqCst);
    }
}

/// A supervisor over fake clouds.
pub(super) struct Fixture {
    pub(super) supervisor: Supervisor,
    pub(super) registry: Arc<Registry>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) transitions: mpsc::Receiver<Transition>,
    pub(super) clouds: Arc<FakeClouds>,
}

impl Fixture {
    pub(super) fn new(outcome: impl Fn(u64) -> Outcome + Send + Sync + 'static) -> Self {
        Self::rendering(RenderPool::new(Workers::default()), outcome)
    }

    /// One that renders in another way.
    pub(super) fn rendering(
        renders: RenderPool,
        outcome: impl Fn(u64) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        Self::with(ProcessLimits::default(), renders, outcome)
    }

    /// One within other limits.
    pub(super) fn within(
        limits: ProcessLimits,
        outcome: impl Fn(u64) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        Self::with(limits, RenderPool::new(Workers::default()), outcome)
    }

    fn with(
        limits: ProcessLimits,
        renders: RenderPool,
        outcome: impl Fn(u64) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        let clouds = FakeClouds::new(outcome);
        let (registry, metrics) = (Arc::new(Registry::default()), Metrics::new());
        let (sender, transitions) = mpsc::channel(16);
        let connect = Arc::new(Connector(Arc::clone(&clouds)));
        let shared = Shared::new(limits, connect, Arc::clone(&registry), Arc::clone(&metrics), sender);
        let supervisor = Supervisor::sharing(Shared { renders, ..shared });
        Self { supervisor, registry, metrics, transitions, clouds }
    }

    /// The clouds publish a limit, and `team-a/acme` sends so many requests in the cycle of a number. Called before any
    /// account is collected.
    pub(super) fn limit(&self, rate: RateShare, requests: impl Fn(u64) -> u64 + Send + Sync + 'static) {
        let meter = self.metrics.account("team-a", "acme");
        let limited = Limited { rate, requests: Box::new(requests), meter };
        assert!(self.clouds.limited.set(limited).is_ok(), "limited twice");
    }

    /// The health that was reported of `team-a/acme` last.
    pub(super) fn reported(&self) -> Option<Health> {
        self.registry.get(&id()).map(|entry| entry.reported)
    }

    /// How many transitions were reported since the last call.
    pub(super) fn count_transitions(&mut self) -> usize {
        std::iter::from_fn(|| self.transitions.try_recv().ok()).count()
    }

    /// The newest snapshot of `team-a/acme`.
    pub(super) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.registry.get(&id()).and_then(|entry| entry.snapshot)
    }

    /// Waits until the newest snapshot is as wanted; virtual time passes meanwhile.
    pub(super) async fn until(&self, what: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let deadline = Instant::now() + Duration::from_secs(24 * 3600);
        loop {
            let newest = self.snapshot();
            if let Some(snapshot) = newest.as_ref().filter(|snapshot| what(snapshot)) {
                return Arc::clone(snapshot);
            }
            let outcome = newest.as_ref().map(|snapshot| (snapshot.health.clone(), snapshot.counts()));
            assert!(Instant::now() < deadline, "not within a day: {outcome:?}");
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
            provider: provider(|_| {}),
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
        origin: Origin::default(),
    }
}

/// An account at an Alauda cloud, changed by `change`.
pub(super) fn provider(change: impl FnOnce(&mut AlaudaAccount)) -> Arc<dyn ProviderAccount> {
    let settings = alauda::Settings {
        endpoint: "https://caas.example.com/v1/".parse().unwrap(),
        namespace: "acme".into(),
        metrics_window: Duration::from_secs(100),
        metrics_lag: Duration::from_secs(30),
    };
    let mut account = AlaudaAccount { settings, credentials: Credentials::Token("t".into()) };
    change(&mut account);
    Arc::new(account)
}

/// The same account with other credentials.
pub(super) fn rotated() -> Arc<dyn ProviderAccount> {
    provider(|account| account.credentials = Credentials::Token("rotated".into()))
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
    memory_of(snapshot.values.services.first()?)
}

/// The memory of a service's one instance.
pub(super) fn memory_of(service: &ServiceEntry) -> Option<f64> {
    service.instances.first()?.sample.as_ref()?.value(Measurement::MemoryUsage)
}
