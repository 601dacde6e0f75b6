//! What a reconcile does with an account's Secrets, on an API server of a few lines.

use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::account::Account;
use crate::cloud::error::Unreachable;
use crate::cloud::http::Policy;
use crate::cloud::{Cloud, CloudError, Providers};
use crate::collector::{ClientHistory, Connect, Registry, Supervisor};
use crate::controller::ScrapeService;
use crate::controller::events::EventPublisher;
use crate::controller::initial::Startup;
use crate::controller::monitors::CrdDiscovery;
use crate::controller::scope::Scope;
use crate::limits::MemoryBudget;
use crate::replicas::Membership;

/// No cloud is queried here.
struct Nowhere;

impl Connect for Nowhere {
    fn connect(&self, _: &Account, _: &ClientHistory) -> Result<Arc<dyn Cloud>, CloudError> {
        Err(Unreachable::Dns(None).into())
    }
}

/// The operator's reconciler of one scope, and the API server that it calls.
pub(super) struct Operator {
    pub(super) scoped: Arc<ScopedReconciler>,
    pub(super) writer: Writer<WatchedAccount>,
    server: Arc<Mutex<Server>>,
    pub(super) startup: watch::Receiver<Startup>,
}

/// What the API server answers, and the calls that it received.
#[derive(Default)]
struct Server {
    calls: Vec<String>,
    /// The code of the answer to a read of a Secret; 200 where none is set.
    secrets: Option<u16>,
    /// Calls whose path contains this are never answered.
    hangs: Option<&'static str>,
}

impl Server {
    fn answer(&mut self, request: &Request<Body>) -> Response<Body> {
        let call = format!("{} {}", request.method(), request.uri().path());
        let is_secret = call.contains("/secrets/");
        let code = if is_secret { self.secrets.unwrap_or(200) } else { 200 };
        let body = match code {
            // "acme", twice
            200 if is_secret => {
                json!({"metadata": {"name": "acme"}, "data": {"username": "YWNtZQ==", "password": "YWNtZQ=="}})
            }
            200 => account("acme", "30s", 1),
            _ => {
                let reason = if code == 404 { "NotFound" } else { "Test" };
                json!({"status": "Failure", "message": "no", "reason": reason, "code": code})
            }
        };
        self.calls.push(call);
        Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap()
    }
}

impl Operator {
    fn new() -> Self {
        Self::among(Membership::alone())
    }

    /// The same that knows these replicas.
    pub(super) fn among(membership: Membership) -> Self {
        let server = Arc::new(Mutex::new(Server::default()));
        let answering = Arc::clone(&server);
        let api_server = tower::service_fn(move |request: Request<Body>| {
            let mut server = answering.lock().unwrap();
            let answer = server.answer(&request);
            let hangs = server.hangs.is_some_and(|path| request.uri().path().contains(path));
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let client = Client::new(api_server, "default");
        let (metrics, registry) = (Metrics::new(), Arc::new(Registry::default()));
        let (transitions, _) = mpsc::channel(1);
        let supervisor =
            Supervisor::new(Arc::new(Nowhere), Arc::clone(&registry), Arc::clone(&metrics), transitions);
        let service =
            ScrapeService { namespace: String::new(), name: String::new(), labels: [].into(), port: 80 };
        let discovery = Arc::new(CrdDiscovery::new(client.clone(), Outage::of_api_server()));
        let (started, startup) = watch::channel(Startup::Listing);
        let reconciler = Reconciler {
            secrets: SecretReader::new(client.clone(), Providers::ALL, Arc::clone(&metrics)),
            collection: Collection {
                providers: Providers::ALL,
                supervisor: Arc::new(supervisor),
                registry,
                policy: Policy::default(),
                unreported: Mutex::default(),
            },
            monitors: MonitorWriter {
                client: client.clone(),
                providers: Providers::ALL,
                service,
                auto: true,
                discovery,
            },
            status: StatusWriter::new(client.clone()),
            events: EventPublisher::new(client, None),
            initial: InitialAccounts::new(vec![Scope::Cluster], started),
            retries: Retries::default(),
            writers: Shares::thirds(WRITERS),
            peers: Peers::none().of(membership),
            stop: CancellationToken::new(),
            api_server: Outage::of_api_server(),
            metrics,
        };
        let (accounts, writer) = reflector::store();
        let scoped = ScopedReconciler {
            reconciler: Arc::new(reconciler),
            monitors: watch::channel(Monitors::NotInstalled).1,
            accounts,
            discovery_until: Instant::now(),
        };
        Self { scoped: Arc::new(scoped), writer, server, startup }
    }

    /// Reconciles an account as its object is now. Returns how many Secrets were read.
    pub(super) async fn reconcile(&mut self, account: &serde_json::Value) -> usize {
        self.outcome(account).await.unwrap();
        self.server.lock().unwrap().calls.iter().filter(|call| call.contains("/secrets/")).count()
    }

    /// The same where it may fail.
    async fn outcome(&mut self, account: &serde_json::Value) -> Result<Action, ReconcileError> {
        self.outcome_of(serde_json::from_value(account.clone()).unwrap()).await
    }

    async fn outcome_of(&mut self, object: WatchedAccount) -> Result<Action, ReconcileError> {
        self.writer.apply_watcher_event(&watcher::Event::Apply(object.clone()));
        self.server.lock().unwrap().calls.clear();
        reconcile(Arc::new(object), Arc::clone(&self.scoped)).await
    }

    /// Sets the code of the API server's answers to reads of Secrets.
    fn answer_secrets_with(&self, code: Option<u16>) {
        self.server.lock().unwrap().secrets = code;
    }

    /// No call whose path contains this is answered from now on.
    pub(super) fn hang(&self, path: &'static str) {
        self.server.lock().unwrap().hangs = Some(path);
    }

    /// Uses up the rate of later reads.
    async fn exhaust_the_rate(&mut self) {
        let mut number = 0;
        loop {
            let name = format!("other-{number}");
            self.reconcile(&account(&name, "30s", 1)).await;
            if self.reconcile(&account(&name, "30s", 2)).await == 0 {
                return;
            }
            number += 1;
        }
    }

    pub(super) fn reconciler(&self) -> &Reconciler {
        &self.scoped.reconciler
    }

    /// What the last reconcile wrote.
    pub(super) fn writes(&self) -> Vec<String> {
        let calls = &self.server.lock().unwrap().calls;
        calls.iter().filter(|call| !call.starts_with("GET")).cloned().collect()
    }

    fn registry(&self) -> &Registry {
        &self.scoped.reconciler.collection.registry
    }

    /// The cloud that is queried for an account, where it is collected.
    fn cloud(&self, name: &str) -> Option<String> {
        let entry = self.registry().get(&AccountId::new("team-a", name))?;
        Some(entry.account.connection.provider.endpoint().to_string())
    }

    /// The interval at which an account is collected, where it is.
    pub(super) fn interval(&self, name: &str) -> Option<Duration> {
        let entry = self.registry().get(&AccountId::new("team-a", name))?;
        Some(entry.account.schedule.interval)
    }

    /// Reason and message of an account in the list of all.
    pub(super) fn listed(&self, name: &str) -> (&'static str, String) {
        let account = self.registry().listed(&AccountId::new("team-a", name)).unwrap();
        (account.reason(), account.message())
    }
}

/// An account without a ServiceMonitor.
pub(super) fn account(name: &str, interval: &str, generation: i64) -> serde_json::Value {
    json!({
        "apiVersion": "caas-operator.io/v1alpha1",
        "kind": "CaasAccount",
        "metadata": {"name": name, "namespace": "team-a", "uid": name, "generation": generation},
        "spec": {
            "provider": {"alauda": {"endpoint": "https://caas.example.com/v1/"}},
            "credentials": {"secretRef": {"name": "acme"}},
            "collection": {"interval": interval},
            "serviceMonitor": {"mode": "Never"},
        },
    })
}

#[tokio::test(start_paused = true)]
async fn a_changed_spec_does_not_wait_for_the_rate_and_neither_does_a_new_account() {
    let mut operator = Operator::new();
    assert_eq!(operator.reconcile(&account("acme", "30s", 1)).await, 1);
    operator.exhaust_the_rate().await;

    let before = Instant::now();
    assert_eq!(operator.reconcile(&account("acme", "10s", 2)).await, 0, "it is queued");
    assert_eq!(operator.interval("acme"), Some(Duration::from_secs(10)));
    assert_eq!(operator.reconcile(&account("late", "30s", 1)).await, 1);
    assert_eq!(operator.interval("late"), Some(Duration::from_secs(30)));
    assert_eq!(before.elapsed(), Duration::ZERO);

    let (granted, mut grants) = mpsc::channel(100);
    let grant = operator.scoped.reconciler.secrets.grant(granted);
    assert!(tokio::time::timeout(Duration::from_secs(1), grant).await.is_err());
    let mut named = Vec::new();
    while let Some(id) = grants.recv().await {
        named.push(id);
    }
    assert!(named.contains(&AccountId::new("team-a", "acme")), "{named:?}");
    assert_eq!(operator.reconcile(&account("acme", "10s", 2)).await, 1);
    assert_eq!(operator.reconcile(&account("acme", "10s", 2)).await, 0, "once");
}

#[tokio::test(start_paused = true)]
async fn an_account_whose_secret_cannot_be_read_is_listed_as_pending() {
    let mut operator = Operator::new();
    operator.reconcile(&account("acme", "30s", 1)).await;
    operator.answer_secrets_with(Some(500));
    operator.outcome(&account("unreadable", "30s", 1)).await.unwrap_err();
    let (reason, message) = operator.listed("unreadable");
    assert_eq!(reason, "Pending");
    assert!(message.starts_with("Secret team-a/acme has not been read yet. "), "{message}");

    operator.outcome(&account("acme", "10s", 2)).await.unwrap_err();
    assert!(operator.interval("acme").is_some(), "collection goes on with the last reading");
}

#[tokio::test(start_paused = true)]
async fn another_cloud_is_never_sent_what_a_secret_held_before_the_account_named_it() {
    let mut operator = Operator::new();
    operator.reconcile(&account("acme", "30s", 1)).await;
    let first = operator.cloud("acme");
    assert!(first.is_some());

    let another = "https://another.example.com/v1/";
    let mut moved = account("acme", "30s", 2);
    moved["spec"]["provider"]["alauda"]["endpoint"] = json!(another);
    operator.answer_secrets_with(Some(500));
    operator.outcome(&moved).await.unwrap_err();
    assert_eq!(operator.cloud("acme"), first);
    operator.answer_secrets_with(None);
    assert_eq!(operator.reconcile(&moved).await, 1);
    assert_eq!(operator.cloud("acme").as_deref(), Some(another));
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_was_there_is_read_once_more_before_its_absence_counts() {
    for (code, reason) in [(404, "SecretNotFound"), (403, "SecretForbidden")] {
        let mut operator = Operator::new();
        operator.reconcile(&account("acme", "30s", 1)).await;
        operator.answer_secrets_with(Some(code));
        assert_eq!(operator.reconcile(&account("acme", "30s", 2)).await, 1);
        assert!(operator.interval("acme").is_some(), "{code}");
        assert_eq!(operator.reconcile(&account("acme", "30s", 2)).await, 0, "not at once");

        // It was there again in time.
        tokio::time::sleep(RECHECKED).await;
        operator.answer_secrets_with(None);
        assert_eq!(operator.reconcile(&account("acme", "30s", 2)).await, 1);
        assert!(operator.interval("acme").is_some(), "{code}");

        operator.answer_secrets_with(Some(code));
        assert_eq!(operator.reconcile(&account("acme", "30s", 3)).await, 1);
        tokio::time::sleep(RECHECKED).await;
        assert_eq!(operator.reconcile(&account("acme", "30s", 3)).await, 1);
        assert_eq!((operator.interval("acme"), operator.listed("acme").0), (None, reason));
    }
}

#[tokio::test(start_paused = true)]
async fn what_secrets_hold_is_charged_to_their_accounts_and_one_that_does_not_fit_is_not_collected() {
    // Room for what two accounts keep of a Secret.
    let memory = MemoryBudget::new(1_000);
    let mut operator = Operator::new();
    for name in ["first", "second", "third"] {
        let mut object: WatchedAccount = serde_json::from_value(account(name, "30s", 1)).unwrap();
        object.charge = Some(Arc::new(Mutex::new(memory.holder("team-a", name).charge())));
        operator.outcome_of(object).await.unwrap();
    }
    let is_collected = |name| operator.interval(name).is_some();
    assert_eq!(["first", "second", "third"].map(is_collected), [true, true, false]);
    let held = memory.held();
    assert!((500..=1_000).contains(&held), "{held} bytes");
    let cut = memory.holder("team-a", "third").is_cut().expect("it is dropped by the watch");
    assert!((250..500).contains(&cut.needed), "{cut}");

    operator.reconciler().remove(&AccountId::new("team-a", "first"));
    operator.reconciler().remove(&AccountId::new("team-a", "third"));
    assert_eq!(memory.held(), held / 2);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_too_large_is_told_so_once_and_collected_no_longer() {
    let mut operator = Operator::new();
    operator.reconcile(&account("acme", "30s", 1)).await;
    assert!(operator.interval("acme").is_some());

    let mut large = account("acme", "30s", 1);
    large["metadata"]["annotations"] = json!({"a": "x".repeat(64 << 10)});
    operator.reconcile(&large).await;
    assert_eq!((operator.interval("acme"), operator.listed("acme").0), (None, "ObjectTooLarge"));
    let path = "/namespaces/team-a/caasaccounts/acme/status";
    let written = operator.writes();
    assert!(
        written.len() == 2 && written[0].ends_with(path) && written[1].contains("/events"),
        "{written:?}"
    );

    large["status"] = json!({"conditions": [{"type": "Collecting", "reason": "ObjectTooLarge"}]});
    operator.reconcile(&large).await;
    assert_eq!(operator.writes(), [""; 0]);
    operator.reconcile(&account("acme", "30s", 1)).await;
    assert!(operator.interval("acme").is_some(), "it is smaller again");
}

/// A little longer than the time until a lost Secret is read once more.
const RECHECKED: Duration = Duration::from_secs(6);

#[tokio::test(start_paused = true)]
async fn a_lost_secret_counts_after_five_seconds_however_often_it_is_read_meanwhile() {
    let mut operator = Operator::new();
    operator.reconcile(&account("acme", "30s", 1)).await;
    operator.answer_secrets_with(Some(404));
    for generation in 2..6 {
        assert_eq!(operator.reconcile(&account("acme", "30s", generation)).await, 1);
        assert!(operator.interval("acme").is_some(), "edit {generation}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(operator.reconcile(&account("acme", "30s", 5)).await, 1);
    assert_eq!((operator.interval("acme"), operator.listed("acme").0), (None, "SecretNotFound"));
}

#[tokio::test(start_paused = true)]
async fn the_start_is_over_only_when_each_secret_has_been_read() {
    let mut operator = Operator::new();
    operator.scoped.reconciler.initial.listed(&Scope::Cluster, [AccountId::new("team-a", "acme")]);
    operator.answer_secrets_with(Some(500));
    operator.outcome(&account("acme", "30s", 1)).await.unwrap_err();
    assert_eq!(*operator.startup.borrow(), Startup::Reading);

    operator.answer_secrets_with(None);
    operator.reconcile(&account("acme", "30s", 1)).await;
    assert_eq!(*operator.startup.borrow(), Startup::HandedOver);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_was_never_there_is_reported_at_once() {
    let mut operator = Operator::new();
    operator.answer_secrets_with(Some(404));
    operator.reconcile(&account("acme", "30s", 1)).await;
    assert_eq!(operator.listed("acme").0, "SecretNotFound");
}

#[tokio::test(start_paused = true)]
async fn what_has_not_changed_stays_in_memory_once() {
    let mut operator = Operator::new();
    let id = AccountId::new("team-a", "acme");
    let mut held = Vec::new();
    for generation in [1, 2] {
        let acme = account("acme", "30s", generation);
        assert_eq!(operator.reconcile(&acme).await, 1);
        let acme: CaasAccount = serde_json::from_value(acme).unwrap();
        let secrets = &operator.scoped.reconciler.secrets;
        held.push(secrets.dereference(&acme, &id, false, None).await.unwrap().unwrap().credentials().clone());
    }
    assert!(Arc::ptr_eq(&held[0], &held[1]));
}

#[tokio::test(start_paused = true)]
async fn nothing_of_the_secrets_of_a_suspended_account_is_kept() {
    let mut operator = Operator::new();
    operator.reconcile(&account("acme", "30s", 1)).await;
    assert_eq!(operator.scoped.reconciler.secrets.ids().len(), 1);
    let mut suspended = account("acme", "30s", 2);
    suspended["spec"]["suspend"] = json!(true);
    assert_eq!(operator.reconcile(&suspended).await, 0);
    assert_eq!((operator.scoped.reconciler.secrets.ids().len(), operator.interval("acme")), (0, None));
}

#[tokio::test(start_paused = true)]
async fn no_write_delays_a_first_reading() {
    let mut operator = Operator::new();
    let reconciler = Arc::clone(&operator.scoped.reconciler);
    let share = reconciler.writers.of("team-a");
    let _busy = share.acquire(WRITERS).await;
    let acme = account("acme", "30s", 1);
    let waiting = tokio::time::timeout(Duration::from_secs(1), operator.outcome(&acme)).await;
    assert!(waiting.is_err(), "the status was written");
    assert!(operator.interval("acme").is_some());
}

#[tokio::test(start_paused = true)]
async fn events_that_are_not_answered_delay_no_status() {
    let mut operator = Operator::new();
    operator.hang("/events");
    for number in 0..2 * WRITERS {
        let object: WatchedAccount =
            serde_json::from_value(account(&format!("acme-{number}"), "30s", 1)).unwrap();
        operator.writer.apply_watcher_event(&watcher::Event::Apply(object.clone()));
        tokio::spawn(reconcile(Arc::new(object), Arc::clone(&operator.scoped)));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let server = operator.server.lock().unwrap();
    let written = server.calls.iter().filter(|call| call.ends_with("/status")).count();
    assert_eq!(written, 2 * WRITERS, "{:?}", server.calls);
    let events = server.calls.iter().filter(|call| call.contains("/events")).count();
    assert!((1..WRITERS).contains(&events), "{events} at once");
}

#[tokio::test(start_paused = true)]
async fn writes_that_hang_in_one_namespace_delay_none_of_another() {
    let mut operator = Operator::new();
    let tenant = operator.scoped.reconciler.writers.of("tenant");
    let mut writing = Vec::new();
    for _ in 0..WRITERS {
        let tenant = tenant.clone();
        writing.push(tokio::spawn(async move {
            let _permit = tenant.acquire(1).await;
            std::future::pending::<()>().await;
        }));
    }
    tokio::task::yield_now().await;
    let acme = account("acme", "30s", 1);
    let reconciled = tokio::time::timeout(Duration::from_secs(1), operator.outcome(&acme)).await;
    reconciled.expect("a status is written").unwrap();
    writing.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn what_waits_ends_with_the_operator_and_a_write_under_way_does_not() {
    let soon = Duration::from_millis(1);
    for (hangs, is_write) in [("/secrets/", false), ("/events", false), ("/status", true)] {
        let mut operator = Operator::new();
        operator.hang(hangs);
        let (acme, stop) = (account("acme", "30s", 1), operator.reconciler().stop.clone());
        let mut reconcile = Box::pin(operator.outcome(&acme));
        assert!(tokio::time::timeout(soon, &mut reconcile).await.is_err(), "{hangs} is not answered");
        stop.cancel();
        let ended = tokio::time::timeout(soon, reconcile).await;
        assert_eq!(ended.is_err(), is_write, "{hangs}");
    }
    // One that waits for its turn to write.
    let mut operator = Operator::new();
    let stop = operator.reconciler().stop.clone();
    let _busy = operator.reconciler().writers.of("team-a").acquire(WRITERS).await;
    let acme = account("acme", "30s", 1);
    let mut reconcile = Box::pin(operator.outcome(&acme));
    assert!(tokio::time::timeout(soon, &mut reconcile).await.is_err());
    stop.cancel();
    tokio::time::timeout(soon, reconcile).await.expect("it ends").unwrap();
    assert_eq!(operator.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_reconcile_holds_little_memory() {
    let operator = Operator::new();
    let object: WatchedAccount = serde_json::from_value(account("acme", "30s", 1)).unwrap();
    let waiting = reconcile(Arc::new(object), Arc::clone(&operator.scoped));
    // Ten thousand accounts wait at once after a start.
    assert!(size_of_val(&waiting) <= 6 * 1024, "{} bytes", size_of_val(&waiting));
}
