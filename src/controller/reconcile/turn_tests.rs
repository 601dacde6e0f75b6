//! What a reconcile does while an account's Secrets are not read, on an API server of a few lines.

use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use futures::FutureExt;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher;
use serde_json::json;
use tokio::sync::{Notify, mpsc, watch};

use super::*;
use crate::account::Account;
use crate::cloud::error::Unreachable;
use crate::cloud::http::Policy;
use crate::cloud::{Cloud, CloudError};
use crate::collector::{Connect, Registry, Supervisor};
use crate::controller::ScrapeService;
use crate::controller::events::Announcer;
use crate::controller::history::History;
use crate::controller::secrets::References;
use crate::controller::turns::{Later, Turns};
use crate::telemetry::Metrics;

/// No cloud is asked here.
struct Nowhere;

impl Connect for Nowhere {
    fn connect(&self, _: &Account) -> Result<Arc<dyn Cloud>, CloudError> {
        Err(Unreachable::Dns.into())
    }
}

/// One scope of the operator, and the calls that it made.
struct House {
    scoped: Arc<Scoped>,
    writer: Writer<Guarded>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl House {
    fn new() -> Self {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&calls);
        let api_server = tower::service_fn(move |request: Request<Body>| {
            let call = format!("{} {}", request.method(), request.uri().path());
            let code = if call.ends_with("/secrets/unreadable") { 500 } else { 200 };
            let answer = if call.contains("/secrets/") {
                // "acme", twice
                json!({"metadata": {"name": "acme"}, "data": {"username": "YWNtZQ==", "password": "YWNtZQ=="}})
            } else {
                account("acme", "30s", 1)
            };
            heard.lock().unwrap().push(call);
            let answer = Body::from(answer.to_string().into_bytes());
            std::future::ready(Ok::<_, Infallible>(Response::builder().status(code).body(answer).unwrap()))
        });
        let client = Client::new(api_server, "default");
        let (metrics, registry) = (Metrics::new(), Arc::new(Registry::default()));
        let (transitions, _) = mpsc::channel(1);
        let supervisor =
            Supervisor::new(Arc::new(Nowhere), Arc::clone(&registry), Arc::clone(&metrics), transitions);
        let service =
            ScrapeService { namespace: String::new(), name: String::new(), labels: [].into(), port: 80 };
        let (accounts, writer) = reflector::store();
        let context = Context {
            announcer: Announcer::new(Recorder::new(client.clone(), Reporter::from("tests"))),
            client,
            supervisor: Arc::new(supervisor),
            registry,
            metrics,
            policy: Policy::default(),
            service,
            owns: Arc::new(|_: &str| true),
            turns: Turns::default(),
            references: References::default(),
            look_for_monitors: Notify::new(),
            known: Mutex::default(),
            history: History::default(),
        };
        let scoped = Scoped {
            context: Arc::new(context),
            monitors: watch::channel(Monitors::NotInstalled).1,
            accounts,
            discovery: Instant::now(),
        };
        Self { scoped: Arc::new(scoped), writer, calls }
    }

    /// Reconciles an account as its object is now. Returns what came of it and how many Secrets were read.
    async fn reconcile(&mut self, account: serde_json::Value) -> (Action, usize) {
        let action = self.outcome(account).await.unwrap();
        let reads = self.calls.lock().unwrap().iter().filter(|call| call.contains("/secrets/")).count();
        (action, reads)
    }

    /// The same where it may fail.
    async fn outcome(&mut self, account: serde_json::Value) -> Result<Action, Error> {
        let object: Guarded = serde_json::from_value(account).unwrap();
        self.writer.apply_watcher_event(&watcher::Event::Apply(object.clone()));
        self.calls.lock().unwrap().clear();
        reconcile(Arc::new(object), Arc::clone(&self.scoped)).await
    }

    /// To reconcile an account again when its turn has come, which is not soon.
    async fn at_its_turn(&self, name: &str) -> Action {
        let Err(Later(turn)) = self.scoped.context.turns.come(&AccountId::new("team-a", name), false).await
        else {
            panic!("the turn of {name} is near")
        };
        Action::requeue(turn - Instant::now())
    }

    /// The cloud that is asked for an account, where it is collected.
    fn cloud(&self, name: &str) -> Option<String> {
        let entry = self.scoped.context.registry.get(&AccountId::new("team-a", name))?;
        Some(entry.account.connection.provider.endpoint().to_string())
    }

    /// Keeps the usual line busy for as many tenths of a second.
    fn others_come(&self, count: usize) {
        for number in 0..count {
            let other = AccountId::new("team-b", &number.to_string());
            let _ = self.scoped.context.turns.come(&other, false).now_or_never();
        }
    }

    /// The interval at which an account is collected, where it is.
    fn interval(&self, name: &str) -> Option<Duration> {
        let entry = self.scoped.context.registry.get(&AccountId::new("team-a", name))?;
        Some(entry.account.schedule.interval)
    }
}

/// An account without a ServiceMonitor.
fn account(name: &str, interval: &str, generation: i64) -> serde_json::Value {
    json!({
        "apiVersion": "caas-operator.io/v1alpha1",
        "kind": "CaasAccount",
        "metadata": {"name": name, "namespace": "team-a", "uid": name, "generation": generation},
        "spec": {
            "provider": {"alauda": {"endpoint": "https://caas.example.com/v1/"}},
            "credentials": {"secretRef": {"name": "acme"}},
            "collection": {"interval": interval},
            "serviceMonitor": {"enabled": false},
        },
    })
}

#[tokio::test(start_paused = true)]
async fn no_reconcile_waits_in_its_slot_for_a_far_turn() {
    let mut house = House::new();
    let (_, reads) = house.reconcile(account("acme", "30s", 1)).await;
    assert_eq!((reads, house.interval("acme")), (1, Some(Duration::from_secs(30))));

    house.others_come(1000);
    let before = Instant::now();
    // With the last reading all is done that needs no other.
    let (action, reads) = house.reconcile(account("acme", "10s", 2)).await;
    assert_eq!((reads, house.interval("acme")), (0, Some(Duration::from_secs(10))));
    assert_eq!(action, house.at_its_turn("acme").await);
    let (action, reads) = house.reconcile(account("late", "30s", 1)).await;
    assert_eq!((reads, house.interval("late")), (0, None));
    assert_eq!(action, house.at_its_turn("late").await);
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());

    tokio::time::sleep(Duration::from_secs(102)).await;
    for (name, interval) in [("acme", 10), ("late", 30)] {
        let (_, reads) = house.reconcile(account(name, &format!("{interval}s"), 2)).await;
        assert_eq!((reads, house.interval(name)), (1, Some(Duration::from_secs(interval))), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_whose_secret_is_not_read_yet_is_listed_as_pending() {
    let mut house = House::new();
    let listed = |house: &House, name: &str| {
        let account = house.scoped.context.registry.listed(&AccountId::new("team-a", name))?;
        Some((account.reason(), account.message()))
    };
    let naming_another = |name: &str, generation| {
        let mut account = account(name, "30s", generation);
        account["spec"]["credentials"]["secretRef"]["name"] = json!("unreadable");
        account
    };
    house.reconcile(account("acme", "30s", 1)).await;
    house.outcome(naming_another("unreadable", 1)).await.unwrap_err();
    house.others_come(1000);
    house.reconcile(account("late", "30s", 1)).await;

    for (name, secret) in [("unreadable", "team-a/unreadable"), ("late", "team-a/acme")] {
        let (reason, message) = listed(&house, name).unwrap();
        assert_eq!(reason, "Pending", "{name}");
        assert!(message.starts_with(&format!("Secret {secret} has not been read yet: ")), "{message}");
    }

    house.reconcile(naming_another("acme", 2)).await;
    assert!(
        house.interval("acme").is_some(),
        "one that is collected is so until there is something new to say"
    );
}

#[tokio::test(start_paused = true)]
async fn another_cloud_is_never_sent_what_a_secret_held_before_the_account_named_it() {
    let mut house = House::new();
    house.reconcile(account("acme", "30s", 1)).await;
    let first = house.cloud("acme");
    assert!(first.is_some());

    house.others_come(100);
    let another = "https://another.example.com/v1/";
    let mut moved = account("acme", "30s", 2);
    moved["spec"]["provider"]["alauda"]["endpoint"] = json!(another);
    let (_, reads) = house.reconcile(moved.clone()).await;
    assert_eq!((reads, house.cloud("acme")), (0, first), "it waits for its turn to read");

    tokio::time::sleep(Duration::from_secs(11)).await;
    let (_, reads) = house.reconcile(moved).await;
    assert_eq!((reads, house.cloud("acme").as_deref()), (1, Some(another)));
}

#[tokio::test(start_paused = true)]
async fn nothing_of_the_secrets_of_a_suspended_account_is_kept() {
    let mut house = House::new();
    house.reconcile(account("acme", "30s", 1)).await;
    let reading = |house: &House| {
        let known = house.scoped.context.known();
        known.values().any(|known| known.reading.is_some())
    };
    assert!(reading(&house));
    let mut suspended = account("acme", "30s", 2);
    suspended["spec"]["suspend"] = json!(true);
    let (_, reads) = house.reconcile(suspended).await;
    assert_eq!((reads, reading(&house), house.interval("acme")), (0, false, None));
}
