//! Endpoints with private addresses: refused before any connection.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use caas_operator::cloud::CloudError;
use caas_operator::cloud::error::{Refusal, Unreachable};
use caas_operator::cloud::http::resolve::Lookup;
use caas_operator::cloud::http::{ApiRequest, Http, Policy};
use caas_operator::telemetry::Metrics;
use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::support::{Account, Fake, json, limits, password, timeout_of, until};

/// Answers each lookup with its next list, and from then on with the last one.
struct Scripted {
    answers: Vec<Vec<&'static str>>,
    lookups: AtomicUsize,
    names: Mutex<Vec<String>>,
}

impl Scripted {
    fn new(answers: &[&[&'static str]]) -> Arc<Self> {
        Arc::new(Self {
            answers: answers.iter().map(|answer| answer.to_vec()).collect(),
            lookups: AtomicUsize::new(0),
            names: Mutex::default(),
        })
    }
}

impl Lookup for Scripted {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.names.lock().unwrap().push(host);
        let at = self.lookups.fetch_add(1, Ordering::Relaxed).min(self.answers.len() - 1);
        let addresses = self.answers[at].iter().map(|address| address.parse().unwrap()).collect();
        Box::pin(async move { Ok(addresses) })
    }
}

/// Answers with the address that it has at that time.
struct Moving(Mutex<[u8; 4]>);

impl Lookup for Moving {
    fn lookup(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let address = IpAddr::from(*self.0.lock().unwrap());
        Box::pin(async move { Ok(vec![address]) })
    }
}

/// Answers with loopback once it is open.
struct Gate {
    open: watch::Sender<bool>,
    names: Mutex<Vec<String>>,
}

impl Gate {
    fn closed() -> Arc<Self> {
        Arc::new(Self { open: watch::Sender::new(false), names: Mutex::default() })
    }

    fn lookups(&self) -> usize {
        self.names.lock().unwrap().len()
    }
}

impl Lookup for Gate {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.names.lock().unwrap().push(host);
        let mut open = self.open.subscribe();
        Box::pin(async move {
            open.wait_for(|open| *open).await.unwrap();
            Ok(vec![IpAddr::from([127, 0, 0, 1])])
        })
    }
}

fn strict(cidrs: &[&str]) -> Policy {
    let allow_cidrs = cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect();
    Policy { allow_cidrs, allow_http: true, ..Policy::default() }
}

const REFUSED: Result<(), CloudError> = Err(CloudError::EndpointRefused(Refusal::PrivateAddress));

#[tokio::test]
async fn no_spelling_of_loopback_is_connected_to() {
    let fake = Fake::healthy().await;
    let port = fake.address.port();
    let http = Http::with_lookup(strict(&[]), Scripted::new(&[&["127.0.0.1", "::1"]]));
    for host in [
        "127.0.0.1",
        "localhost",
        "localhost.",
        "innocent.example",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ] {
        let account = Account::new(&http, &format!("http://{host}:{port}/v1/"), limits(), None, password());
        assert_eq!(account.collect().await.map(|_| ()), REFUSED, "{host}");
    }
    assert_eq!(fake.connected(), 0);
}

#[tokio::test]
async fn an_endpoint_outside_the_allow_list_is_refused_before_its_name_is_looked_up() {
    let lookup = Scripted::new(&[&["8.8.8.8"]]);
    let policy =
        Policy { allow_endpoints: vec!["https://a.example/v1".parse().unwrap()], ..Policy::default() };
    let http = Http::with_lookup(policy, lookup.clone());
    for (endpoint, refusal) in [
        ("https://a.example.evil/v1/", Refusal::NotAllowed),
        ("https://a.example/v1evil/", Refusal::NotAllowed),
        ("http://a.example/v1/", Refusal::NotHttps),
        ("https://u:p@a.example/v1/", Refusal::NotAnEndpoint),
        ("https://a.example/v1/?x", Refusal::NotAnEndpoint),
    ] {
        let account = Account::new(&http, endpoint, limits(), None, password());
        assert_eq!(account.collect().await.err(), Some(refusal.into()), "{endpoint}");
    }
    assert_eq!(lookup.lookups.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_next_page_outside_the_endpoint_is_not_fetched() {
    let fake = Fake::with(|seen| match &*seen.path {
        "/v1/services/acme/" => Some(json(r#"{"next": "/admin/?page=2", "results": []}"#)),
        "/v1/services/acme/?page=2" => Some(json(r#"{"results": []}"#)),
        _ => None,
    })
    .await;
    let policy =
        Policy { allow_endpoints: vec![fake.endpoint().parse().unwrap()], ..strict(&["127.0.0.0/8"]) };
    let account = Account::new(&Http::new(policy), &fake.endpoint(), limits(), None, password());
    assert_eq!(account.collect().await.unwrap().cut_short, None);
    assert_eq!((fake.count("/admin"), fake.count("/v1/services/acme/?page=2")), (0, 1));
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_dialled() {
    let fake = Fake::healthy().await;
    let endpoint = format!("http://cloud.example:{}/v1/", fake.address.port());
    let lookup = Scripted::new(&[&["127.0.0.1"]]);
    let http = Http::with_lookup(strict(&["127.0.0.1/32"]), lookup.clone());
    let account = Account::new(&http, &endpoint, limits(), None, password());

    assert_eq!(account.collect().await.unwrap().failures(), (0, None));

    // A connection that was started and not needed may still be in progress; two that start together share a lookup.
    let looked_up = || lookup.lookups.load(Ordering::Relaxed);
    until("at most one lookup per connection", || looked_up() <= fake.connected()).await;
    assert!(lookup.names.lock().unwrap().iter().all(|name| name == "cloud.example"));
}

#[tokio::test]
async fn a_name_that_becomes_private_after_the_first_answer_is_refused() {
    // The server closes the connection after each answer, so each request needs a connection and a lookup.
    let fake = Fake::with(|seen| {
        let token = r#"{"token": "t"}"#;
        let head = format!("HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", token.len());
        seen.path.ends_with("token/").then(|| crate::support::Reply::Raw((head + token).into_bytes()))
    })
    .await;
    let endpoint = format!("http://cloud.example:{}/v1/", fake.address.port());
    // 127.0.0.1 plays the public address. The second address is not allowed, and the server would answer there too.
    let lookup = Scripted::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let account = Account::new(
        &Http::with_lookup(strict(&["127.0.0.1/32"]), lookup),
        &endpoint,
        limits(),
        None,
        password(),
    );

    assert_eq!(account.collect().await.map(|_| ()), REFUSED);

    assert_eq!(
        (fake.seen().len(), fake.connected()),
        (1, 1),
        "the login, and nothing after the name changed"
    );
}

#[tokio::test]
async fn of_several_addresses_only_the_allowed_ones_are_dialled() {
    let fake = Fake::healthy().await;
    let endpoint = format!("http://cloud.example:{}/v1/", fake.address.port());
    let lookup = Scripted::new(&[&["169.254.169.254", "10.0.0.1", "127.0.0.1", "::1"]]);
    let http = Http::with_lookup(strict(&["127.0.0.1/32"]), lookup);
    let account = Account::new(&http, &endpoint, limits(), None, password());
    assert_eq!(account.collect().await.unwrap().failures(), (0, None));
}

#[tokio::test]
async fn a_cloud_that_moves_is_found_at_its_new_address() {
    let old = Fake::healthy().await;
    let port = old.address.port();
    let listener = tokio::net::TcpListener::bind(("127.0.0.2", port)).await.unwrap();
    let new = Fake::listening(listener, |_| None);
    let moving = Arc::new(Moving(Mutex::new([127, 0, 0, 1])));
    let http = Http::with_lookup(strict(&["127.0.0.0/8"]), moving.clone());
    let endpoint = format!("http://cloud.example:{port}/v1/");
    let account = Account::new(&http, &endpoint, limits(), None, password());
    account.collect().await.unwrap();
    assert!(old.count("/metrics") == 3 && new.connected() == 0);

    *moving.0.lock().unwrap() = [127, 0, 0, 2];
    old.go_away();
    // The old server may still answer while it shuts down.
    let found = async {
        while new.count("/metrics") == 0 {
            let _ = account.collect().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), found).await.expect("found at its new address");
    let before = old.seen().len();
    assert_eq!(account.collect().await.unwrap().failures(), (0, None));
    assert_eq!(old.seen().len(), before);
}

#[tokio::test]
async fn connections_to_one_host_share_a_lookup_in_progress() {
    let fake = Fake::healthy().await;
    let gate = Gate::closed();
    let http = Http::with_lookup(strict(&["127.0.0.0/8"]), gate.clone());
    let endpoint = format!("http://cloud.example:{}/v1/", fake.address.port());
    let account = || Account::new(&http, &endpoint, timeout_of(600_000), None, password());
    let accounts: Vec<_> = std::iter::repeat_with(account).take(8).collect();
    // One cycle is cancelled while the name server does not answer.
    {
        let gone = account();
        tokio::select! {
            _ = gone.collect() => panic!("no address is known"),
            () = until("it is looked up", || gate.lookups() == 1) => {}
        }
    }
    let collecting = futures::future::join_all(accounts.iter().map(Account::collect));
    tokio::pin!(collecting);
    let all_ask = || accounts.iter().all(|one| one.metric(&["api_requests_in_flight"]) > 0.5);
    tokio::select! {
        _ = &mut collecting => panic!("no address is known"),
        () = until("all connect", all_ask) => {}
    }
    assert_eq!(gate.lookups(), 1);

    gate.open.send_replace(true);
    let collected = collecting.await;
    assert!(collected.iter().all(|one| one.as_ref().is_ok_and(|one| one.failures().0 == 0)), "{collected:?}");
    let before = gate.lookups();
    // An account with another CA bundle shares no connection with the first ones.
    let ca = rcgen::generate_simple_self_signed(vec!["cloud.example".to_owned()]).unwrap().cert.pem();
    let other = Account::new(&http, &endpoint, limits(), Some(ca.as_bytes()), password());
    other.collect().await.unwrap();
    assert!(gate.lookups() > before, "results are not cached");
}

#[tokio::test]
async fn a_name_without_addresses_cannot_be_resolved() {
    let http = Http::with_lookup(strict(&[]), Scripted::new(&[&[]]));
    let account = Account::new(&http, "http://nowhere.example/v1/", limits(), None, password());
    assert_eq!(account.collect().await, Err(Unreachable::Dns(None).into()));
}

#[tokio::test]
async fn an_error_names_the_host_of_the_endpoint_and_none_that_a_response_may_have_given() {
    let http = Http::with_lookup(strict(&[]), Scripted::new(&[&[], &[]]));
    let meter = Metrics::new().account("team-a", "acme");
    let client = http.account("team-a", limits(), None, meter).unwrap();
    let client = client.naming(&"http://nowhere.example/v1/".parse().unwrap());
    let failure = async |url: &str| {
        let request = ApiRequest::new("services", url.parse().unwrap(), 1);
        client.fetch(&request, |_| Ok::<(), CloudError>(())).await.unwrap_err()
    };
    let endpoint = failure("http://nowhere.example/v1/services").await;
    assert!(endpoint.summary().contains("its host nowhere.example cannot be resolved"), "{endpoint}");
    let other = failure("http://login.nowhere.example/").await;
    assert_eq!(other, Unreachable::Dns(None).into());
}
