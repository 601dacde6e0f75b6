//! Hours of collecting in virtual time: the real collector over real HTTP, against a simulated cloud with the same clock.
//!
//! Tokio's paused clock jumps ahead whenever all tasks wait, also where they wait for the network. A blocking task holds it
//! still for as long as the test runs; time then passes in steps, and each waits until no request is under way and nothing
//! is rendered.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caas_operator::account::admission::Admission;
use caas_operator::account::{Account, AccountId};
use caas_operator::cloud::Providers;
use caas_operator::collector::registry::Snapshot;
use caas_operator::collector::{HttpClouds, Registry, Supervisor};
use caas_operator::simulator::{Clock, Running};
use caas_operator::standalone::manifests;
use caas_operator::telemetry::Metrics;
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::task::{spawn_blocking, yield_now};
use tokio::time::{Instant, advance};

use super::lenient;

/// How often nothing may happen in a row until the cloud and its clients count as idle. Each time, all sockets are polled.
const IDLE: u32 = 16;

/// A clock that moves only when the test says so.
pub(crate) struct VirtualTime {
    start: Instant,
    _still: Sender<()>,
}

/// Runs a test whose clock stands still.
pub(crate) fn in_virtual_time(test: impl AsyncFnOnce(VirtualTime)) {
    let mut runtime = Builder::new_current_thread();
    // One blocking thread for the task that holds the clock, and one for all others, which therefore run in order.
    let runtime = runtime.enable_all().start_paused(true).max_blocking_threads(2).build().unwrap();
    runtime.block_on(async {
        let (still, held) = channel::<()>();
        // Ends when the sender is dropped.
        drop(spawn_blocking(move || held.recv()));
        test(VirtualTime { start: Instant::now(), _still: still }).await;
    });
}

impl VirtualTime {
    /// The same clock for a simulated cloud. It starts at the present time.
    pub(crate) fn clock(&self) -> Clock {
        let started_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let start = self.start;
        Clock::new(move || (started_at + start.elapsed()).as_secs_f64())
    }

    /// Lets so much time pass, in steps of a second.
    pub(crate) async fn pass(&self, time: Duration, cloud: &Running) {
        for _ in 0..time.as_secs() {
            idle(cloud).await;
            advance(Duration::from_secs(1)).await;
        }
        idle(cloud).await;
    }
}

/// Waits until the cloud gets no requests, and what was handed to the blocking thread before is done.
async fn idle(cloud: &Running) {
    let (mut quiet, mut before) = (0, cloud.counts());
    while quiet < IDLE {
        if quiet % (IDLE / 2) == 0 {
            spawn_blocking(|| ()).await.unwrap();
        }
        yield_now().await;
        let now = cloud.counts();
        quiet = if now.in_flight == 0 && now.total == before.total { quiet + 1 } else { 0 };
        before = now;
    }
}

/// Accounts of one login at a simulated cloud, collected as the program collects them.
pub(crate) struct Collectors {
    supervisor: Supervisor,
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
}

impl Collectors {
    /// Starts one account for each of these settings of the provider, named `a0` and so on. The endpoint is the cloud's, and
    /// the credentials are those of its first login.
    pub(crate) fn start(cloud: &Running, provider: &str, settings: &[Value]) -> Self {
        let (registry, metrics) = (Arc::new(Registry::default()), Metrics::new());
        let clouds = Arc::new(HttpClouds::new(lenient(), Arc::clone(&metrics)));
        let transitions = tokio::sync::mpsc::channel(1).0;
        let supervisor = Supervisor::new(clouds, Arc::clone(&registry), Arc::clone(&metrics), transitions);
        for account in accounts(cloud, provider, settings) {
            supervisor.put(account);
        }
        Self { supervisor, registry, metrics }
    }

    /// How many requests had this status code, or the reason that they have none.
    pub(crate) fn answered(&self, code: &str) -> u64 {
        let (name, code) = ("caas_operator_api_requests_total{", format!("code=\"{code}\""));
        let text = self.metrics.render();
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(&code));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// What is published of the account of this number.
    pub(crate) fn snapshot(&self, number: usize) -> Arc<Snapshot> {
        let entry = self.registry.get(&AccountId::new("team-a", &format!("a{number}"))).unwrap();
        entry.snapshot.expect("it was collected")
    }

    /// Ends them.
    pub(crate) async fn stop(self) {
        self.supervisor.stop().await;
    }
}

fn accounts(cloud: &Running, provider: &str, settings: &[Value]) -> Vec<Account> {
    let login = cloud.credentials().remove(0);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": "team-a"},
        "stringData": {"token": login.password, "username": login.username, "password": login.password},
    });
    let account = |(number, settings): (usize, &Value)| {
        let mut settings = settings.clone();
        settings["endpoint"] = cloud.url().into();
        json!({
            "apiVersion": "caas-operator.io/v1alpha1", "kind": "CaasAccount",
            "metadata": {"name": format!("a{number}"), "namespace": "team-a"},
            "spec": {"provider": {provider: settings}, "credentials": {"secretRef": {"name": "login"}}},
        })
    };
    let documents = std::iter::once(secret).chain(settings.iter().enumerate().map(account));
    let texts: Vec<String> = documents.map(|document| format!("---\n{document}\n")).collect();
    let file = manifests::parse(&Admission::new(Providers::ALL), "accounts.yaml", &texts.concat());
    let desired = manifests::desired(Providers::ALL, &[file], |_| Ok(()));
    assert!(desired.faults.is_empty() && desired.problems.is_empty(), "{:?}", desired.problems);
    desired.accounts
}
