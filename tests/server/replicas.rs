//! Several replicas: what one tells of its accounts, and what the others make of it.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;

use caas_operator::account::AccountId;
use caas_operator::collector::Registry;
use caas_operator::collector::registry::Elsewhere;
use caas_operator::exposition::Renderer;
use caas_operator::limits::MemoryBudget;
use caas_operator::replicas::peers::{ACCOUNTS_PATH, Peers};
use caas_operator::replicas::remote::{Reader, RemoteAccount};
use caas_operator::replicas::{Member, Membership, SeenLease};
use caas_operator::server::{AllowedHosts, Context, Limits, PageOptions, router};
use caas_operator::telemetry::Metrics;
use reqwest::StatusCode;
use tokio::time::Instant;

use super::http_support::{Served, serve};
use super::{ALL, METRICS, get, plain, started};

/// What is told under a path, received in pieces of this many bytes.
fn read(told: &[u8], piece: usize) -> BTreeMap<AccountId, RemoteAccount> {
    let mut reader = Reader::default();
    told.chunks(piece).for_each(|piece| reader.read(piece).unwrap());
    reader.accounts()
}

#[tokio::test]
async fn what_a_replica_tells_of_an_account_renders_to_the_very_same_bodies() {
    let (served, registry) = started(None).await;
    let id = AccountId::new("team-a", "acme");
    let told = get(&served, &format!("{ACCOUNTS_PATH}/team-a/acme")).await.bytes().await.unwrap();
    let before = registry.get(&id).unwrap().snapshot.unwrap();
    for piece in [1, 100, told.len()] {
        let account = read(&told, piece).remove(&id).unwrap();
        assert_eq!(account.uid(), Some("uid-of-team-a-acme"));
        let inherited = account.inherited(before.values.provider).unwrap();
        assert!(inherited.was_collected && inherited.since_start >= inherited.since_success.unwrap());
        assert_eq!(inherited.snapshot.values, before.values);
        let bodies = Renderer::default().render(&inherited.snapshot.values, &ALL).bodies;
        assert_eq!(bodies.text.gzip, before.bodies.text.gzip);
        assert_eq!(bodies.openmetrics.gzip, before.bodies.openmetrics.gzip);
    }
}

#[tokio::test]
async fn all_accounts_are_told_of_and_what_cannot_be_read_is_an_error() {
    let (served, _) = started(None).await;
    let told = get(&served, ACCOUNTS_PATH).await.bytes().await.unwrap();
    let accounts = read(&told, 1000);
    let names: Vec<_> = accounts.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["team-a/acme", "team-b/modern", "team-c/new", "team-d/broken", "team-d/resting"]);
    let new = accounts[&AccountId::new("team-c", "new")].clone();
    assert!(new.inherited("alauda").is_none(), "it has not been collected yet");

    for wrong in ["{}\n", "{\"service\":{\"facts\":{}}}\n", "x\n", "\"end\"\n"] {
        assert!(Reader::default().read(wrong.as_bytes()).is_err(), "{wrong}");
    }
    let endless = vec![b' '; 1 << 20];
    assert!(Reader::default().read(&endless).is_err());
}

#[tokio::test]
async fn an_account_that_is_not_told_to_its_end_is_unknown() {
    let (served, _) = started(None).await;
    let told = get(&served, ACCOUNTS_PATH).await.text().await.unwrap();
    let (first, _) = told.split_once("\"end\"").unwrap();
    assert!(read(first.as_bytes(), 1000).is_empty());
    // What another version knows besides costs nothing else.
    let newer = told
        .replace("\"facts\":{", "\"facts\":{\"moon\":\"full\",")
        .replace("\"state\":\"running\"", "\"state\":\"dancing\"");
    assert_eq!(read(newer.as_bytes(), 1000).len(), 5);
    let unknown = told.replace("MemoryUsage", "MoonPhase");
    assert_eq!(read(unknown.as_bytes(), 1000).len(), 5);
}

/// A replica that is no member yet and knows accounts of another one, which has this address; and its metrics.
async fn beside(address: &str, accounts: &[&str]) -> (Served, Arc<Metrics>) {
    let metrics = Metrics::new();
    let registry = Registry::default();
    for account in accounts {
        let (namespace, name) = account.split_once('/').unwrap();
        registry.mark_elsewhere(Elsewhere {
            id: AccountId::new(namespace, name),
            uid: format!("uid-of-{namespace}-{name}"),
            provider: "alauda",
            targets: Vec::new(),
            is_suspended: false,
            is_coming: false,
            before: None,
            report: None,
        });
    }
    let context = Context {
        registry: Arc::new(registry),
        metrics: Arc::clone(&metrics),
        append_account: None,
        allowed_hosts: AllowedHosts::default(),
        page: PageOptions::default(),
        peers: Peers::new(other(address), MemoryBudget::default()),
    };
    (serve(router(context), Limits::default()).await, metrics)
}

#[tokio::test]
async fn forwarded_scrapes_are_counted_by_their_result_and_other_requests_are_not() {
    let (owner, registry) = started(None).await;
    let (served, metrics) = beside(&owner.address.to_string(), &["team-a/acme", "team-c/new"]).await;
    let count = |result: &str| metrics.forwarded_scrapes.with_label_values(&[result]).get();
    let scraped = get(&served, METRICS).await;
    assert_eq!(scraped.status(), StatusCode::OK);
    let body = registry.get(&AccountId::new("team-a", "acme")).unwrap().snapshot.unwrap();
    assert_eq!(scraped.bytes().await.unwrap(), plain(&body.bodies.text));
    assert_eq!(get(&served, &format!("{METRICS}/legacy")).await.status(), StatusCode::OK);
    assert_eq!(get(&served, "/accounts/team-a/acme").await.status(), StatusCode::OK);
    assert_eq!(count("answered"), 2, "a scrape, and one of legacy names");

    let not_yet = get(&served, "/accounts/team-c/new/metrics").await;
    assert_eq!(not_yet.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(count("not_here"), 1);

    // Nobody listens there any longer.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (served, metrics) = beside(&gone.to_string(), &["team-a/acme"]).await;
    let failed = get(&served, METRICS).await;
    assert_eq!(failed.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        failed.text().await.unwrap().contains("replica other collects this account and cannot be reached")
    );
    assert_eq!(metrics.forwarded_scrapes.with_label_values(&["unreachable"]).get(), 1);
    let own = get(&served, "/metrics").await.text().await.unwrap();
    assert!(own.contains("caas_operator_forwarded_scrapes_total{result=\"unreachable\"} 1"));
}

/// This replica's view of another one, which has this address and collects all accounts.
fn other(address: &str) -> Membership {
    let member = |name: &str, address: &str| Member { name: name.into(), address: address.into() };
    let membership = Membership::joining(member("here", "127.0.0.1:1"), Metrics::new());
    let lease = SeenLease { member: member("other", address), uid: "1".to_owned(), version: "1".to_owned() };
    membership.update(|view| view.listed(vec![lease], Instant::now()));
    membership
}

#[tokio::test]
async fn what_another_replica_tells_is_charged_while_it_is_kept_and_left_out_where_it_does_not_fit() {
    let (served, _) = started(None).await;
    let (id, uid) = (AccountId::new("team-a", "acme"), "uid-of-team-a-acme");
    let memory = MemoryBudget::new(1 << 20);
    let peers = Peers::new(other(&served.address.to_string()), memory.clone());
    let account = peers.account(&id, uid).await.unwrap();
    assert!(account.is_collected());
    assert_eq!(memory.held(), account.bytes());
    drop(account);
    assert_eq!(memory.held(), 0);
    let told = peers.accounts().await;
    assert_eq!(told.accounts.len(), 5);
    assert_eq!(memory.held(), told.accounts.values().map(RemoteAccount::bytes).sum::<usize>());
    drop(told);
    assert_eq!(memory.held(), 0);

    let full = MemoryBudget::new(1 << 20);
    let mut own = full.holder("team-a", "acme").charge();
    own.resize((1 << 20) - 100).unwrap();
    let peers = Peers::new(other(&served.address.to_string()), full.clone());
    assert!(peers.accounts().await.accounts.is_empty());
    assert!(!own.is_cut(), "nobody is cut for what a page shows");
    let small = MemoryBudget::new(100);
    let peers = Peers::new(other(&served.address.to_string()), small);
    assert!(peers.account(&id, uid).await.is_none());
}
