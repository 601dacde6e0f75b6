//! Several replicas: what one tells of its accounts, and what the others make of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use caas_operator::account::{AccountId, Names};
use caas_operator::collector::Registry;
use caas_operator::collector::health::Health;
use caas_operator::collector::registry::Elsewhere;
use caas_operator::exposition::{Body, Renderer};
use caas_operator::limits::MemoryBudget;
use caas_operator::replicas::peers::{ACCOUNTS_PATH, Peers};
use caas_operator::replicas::remote::{Reader, RemoteAccount};
use caas_operator::replicas::{Member, Membership, SeenLease};
use caas_operator::server::{AllowedHosts, Context, Limits, PageOptions, router};
use caas_operator::telemetry::Metrics;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::StatusCode;
use tokio::time::Instant;

use super::accounts::account;
use super::http_support::{Served, serve};
use super::{ALL, METRICS, get, plain, snapshot, started};

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
        let uid = format!("uid-of-{namespace}-{name}");
        registry.mark_elsewhere(elsewhere(AccountId::new(namespace, name), &uid));
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

/// One of several replicas, which share `team-a/acme`.
struct Replica {
    me: Member,
    registry: Arc<Registry>,
    membership: Membership,
    served: Served,
}

/// The account that moves, and its UID.
const UID: &str = "uid-of-team-a-acme";

impl Replica {
    /// Of this name, which knows the account as another one's.
    async fn new(name: &str) -> Self {
        // The port is known only when it is served.
        let me = Member { name: name.into(), address: "127.0.0.1:1".into() };
        let membership = Membership::joining(me.clone(), Metrics::new());
        membership.prepared();
        let registry = Arc::new(Registry::default());
        registry.mark_elsewhere(acme_elsewhere());
        let context = Context {
            registry: Arc::clone(&registry),
            metrics: Metrics::new(),
            append_account: None,
            allowed_hosts: AllowedHosts::default(),
            page: PageOptions::default(),
            peers: Peers::new(membership.clone(), MemoryBudget::default()),
        };
        let served = serve(router(context), Limits::default()).await;
        let me = Member { address: served.address.to_string().into(), ..me };
        Self { me, registry, membership, served }
    }

    /// It sees these members, so many seconds ago; where it is one of them, it has joined.
    fn sees(&self, members: &[&Self], seconds_ago: u64) {
        let at = Instant::now() - Duration::from_secs(seconds_ago);
        let lease = |replica: &&Self| SeenLease {
            member: replica.me.clone(),
            uid: replica.me.name.to_string(),
            version: seconds_ago.to_string(),
        };
        self.membership.update(|view| {
            view.listed(members.iter().map(lease).collect(), at);
            // Its rounds have gone through since.
            (0..=seconds_ago).step_by(4).for_each(|second| view.succeeded(at + Duration::from_secs(second)));
            if members.iter().any(|replica| replica.me.name == self.me.name) {
                view.renewed(Instant::now());
            }
            view.tick(Instant::now());
        });
    }

    /// It collects the account from now on, and has nothing yet.
    fn takes(&self) {
        self.registry.put(account("team-a", "acme", Names::Both));
    }

    /// It has ended a cycle of the account, with this number in the body.
    fn collects(&self, number: u8) {
        let account = account("team-a", "acme", Names::Both);
        let mut snapshot = Arc::into_inner(snapshot(&ALL, Health::Collected)).unwrap();
        snapshot.bodies.text = Body { gzip: gzip(&[number]) };
        self.registry.put(Arc::clone(&account));
        self.registry.publish(&account, Arc::new(snapshot));
    }

    /// It has stopped.
    fn stops(&self) {
        self.registry.mark_elsewhere(acme_elsewhere());
    }

    /// The number in its answer to a scrape; the code of one that fails.
    async fn scraped(&self) -> Result<u8, u16> {
        let response = get(&self.served, METRICS).await;
        let code = response.status().as_u16();
        if code == 200 { Ok(response.bytes().await.unwrap()[0]) } else { Err(code) }
    }
}

fn acme_elsewhere() -> Elsewhere {
    elsewhere(AccountId::new("team-a", "acme"), UID)
}

/// An account that another replica collects.
fn elsewhere(id: AccountId, uid: &str) -> Elsewhere {
    Elsewhere {
        id,
        uid: uid.to_owned(),
        provider: "alauda",
        targets: Vec::new(),
        is_suspended: false,
        is_coming: false,
        before: None,
        report: None,
    }
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}

/// So many replicas: the owner of the account among all of them, the owner without that one, and so on.
async fn ranked<const N: usize>() -> [Replica; N] {
    let mut replicas = Vec::new();
    for number in 0..N {
        replicas.push(Replica::new(&format!("r{number}")).await);
    }
    let judge = Replica::new("judge").await;
    let mut ranked = Vec::new();
    while !replicas.is_empty() {
        judge.sees(&replicas.iter().collect::<Vec<_>>(), 0);
        let owner = judge.membership.owner(UID).unwrap();
        let index = replicas.iter().position(|replica| replica.me.name == owner.name).unwrap();
        ranked.push(replicas.remove(index));
    }
    ranked.try_into().ok().unwrap()
}

#[tokio::test]
async fn scrapes_find_what_the_earlier_owner_had_until_the_new_one_has_something_and_never_after() {
    let [new, old, third] = ranked().await;
    for replica in [&old, &third] {
        replica.sees(&[&old, &third], 40);
    }
    old.collects(1);
    // Long ago enough for the new one to have begun, as where thousands of accounts have moved.
    for replica in [&new, &old] {
        if replica.me == new.me {
            new.sees(&[&old, &third], 31);
        }
        replica.sees(&[&new, &old, &third], 30);
    }
    // The third one does not know yet that there is a new one.
    assert_eq!(third.scraped().await, Ok(1));
    third.sees(&[&new, &old, &third], 27);
    for has_reconciled in [false, true] {
        if has_reconciled {
            old.stops();
            new.takes();
        }
        for replica in [&new, &old, &third] {
            assert_eq!(replica.scraped().await, Ok(1), "{} {has_reconciled}", replica.me.name);
        }
    }
    new.collects(2);
    for replica in [&new, &old, &third] {
        assert_eq!(replica.scraped().await, Ok(2), "{}", replica.me.name);
    }
    // It has started anew under its name: what it had is forgotten, and what the earlier one has is older.
    let again = Replica::new(&new.me.name).await;
    again.takes();
    again.sees(&[&again, &old, &third], 1);
    for replica in [&old, &third] {
        replica.sees(&[&again, &old, &third], 1);
    }
    for replica in [&again, &old, &third] {
        assert_eq!(replica.scraped().await, Err(503), "{}", replica.me.name);
    }
}

#[tokio::test]
async fn what_an_earlier_owner_had_is_not_answered_where_the_owner_does_not_respond() {
    let [new, old, third] = ranked().await;
    let gone = Replica { me: Member { address: closed_address(), ..new.me.clone() }, ..new };
    for replica in [&old, &third] {
        replica.sees(&[&old, &third], 40);
        replica.sees(&[&gone, &old, &third], 30);
    }
    old.collects(1);
    for has_reconciled in [false, true] {
        if has_reconciled {
            old.stops();
        }
        for replica in [&old, &third] {
            assert_eq!(replica.scraped().await, Err(503), "{} {has_reconciled}", replica.me.name);
        }
    }
}

#[tokio::test]
async fn an_account_that_comes_back_is_not_answered_with_what_it_was_before_it_went() {
    for (has_left, had_any) in [(false, true), (true, true), (true, false)] {
        let [between, old, third] = ranked().await;
        between.sees(&[&old, &third], 41);
        for replica in [&between, &old, &third] {
            replica.sees(&[&old, &third], 40);
            replica.sees(&[&between, &old, &third], 30);
            // Its Lease is fresh or old when it goes.
            replica.sees(&[&between, &old, &third], if has_left { 7 } else { 20 });
        }
        old.collects(1);
        old.stops();
        if had_any {
            between.collects(2);
            between.stops();
        }
        for replica in [&between, &old, &third] {
            replica.sees(&[&old, &third], 3);
        }
        let newest = match (has_left, had_any) {
            (false, _) => Err(503),
            (true, true) => Ok(2),
            (true, false) => Ok(1),
        };
        for replica in [&old, &third] {
            assert_eq!(replica.scraped().await, newest, "{} {has_left} {had_any}", replica.me.name);
        }
        old.collects(3);
        for replica in [&old, &third] {
            assert_eq!(replica.scraped().await, Ok(3));
        }
    }
}

#[tokio::test]
async fn a_replica_that_has_not_seen_yet_who_left_gets_the_body_of_the_new_owner() {
    let [leaving, new, third] = ranked().await;
    for replica in [&leaving, &new, &third] {
        replica.sees(&[&leaving, &new, &third], 30);
        replica.sees(&[&leaving, &new, &third], 5);
    }
    leaving.collects(1);
    leaving.stops();
    leaving.membership.update(|view| view.left(Instant::now()));
    for replica in [&leaving, &new, &third] {
        assert_eq!(replica.scraped().await, Ok(1), "{}", replica.me.name);
    }
    new.sees(&[&new, &third], 2);
    assert_eq!(third.scraped().await, Ok(1));
    new.collects(2);
    for replica in [&leaving, &new, &third] {
        assert_eq!(replica.scraped().await, Ok(2), "{}", replica.me.name);
    }
}

// Of four that see the changes at different times, the last one has taken over: nobody is answered what the first one had.
#[tokio::test]
async fn where_several_leave_at_once_each_names_the_next_until_the_new_owner_is_found() {
    let [first, second, new, asking] = ranked().await;
    let all = [&first, &second, &new, &asking];
    for replica in all {
        replica.sees(&all, 0);
    }
    first.collects(1);
    first.stops();
    for replica in [&first, &second] {
        replica.membership.update(|view| view.left(Instant::now()));
    }
    second.sees(&[&new, &asking], 0);
    new.sees(&[&new, &asking], 0);
    new.collects(2);
    assert_eq!(new.scraped().await, Ok(2));
    // It asks the first, which names the second, which names the new owner.
    assert_eq!(asking.scraped().await, Ok(2));
}

// The second one was the owner for a moment, as the third saw it, and has never known.
#[tokio::test]
async fn where_two_leave_at_once_the_last_body_is_found_behind_the_one_that_never_had_any() {
    let [first, second, third] = ranked().await;
    for replica in [&first, &second, &third] {
        replica.sees(&[&first, &second, &third], 0);
    }
    first.collects(1);
    first.stops();
    for replica in [&first, &second] {
        replica.membership.update(|view| view.left(Instant::now()));
    }
    third.sees(&[&second, &third], 0);
    third.sees(&[&third], 0);
    for replica in [&first, &second, &third] {
        assert_eq!(replica.scraped().await, Ok(1), "{}", replica.me.name);
    }
    third.collects(2);
    assert_eq!(third.scraped().await, Ok(2));
}

// One that is cut off from the API server, and not from the cloud.
#[tokio::test]
async fn where_two_collect_an_account_since_one_cannot_renew_its_lease_all_answer_what_the_other_has() {
    let [cut_off, next, third] = ranked().await;
    let all = [&cut_off, &next, &third];
    for replica in all {
        replica.sees(&all, 40);
    }
    let renewed = Instant::now() - Duration::from_secs(10);
    cut_off.membership.update(|view| view.renewed(renewed));
    cut_off.collects(1);
    for replica in all {
        assert_eq!(replica.scraped().await, Ok(1), "{}: nobody has taken over", replica.me.name);
    }
    next.sees(&[&next, &third], 1);
    next.collects(2);
    cut_off.collects(3);
    // The third one does not know yet.
    for replica in all {
        assert_eq!(replica.scraped().await, Ok(2), "{}", replica.me.name);
    }
    third.sees(&[&next, &third], 0);
    assert_eq!(third.scraped().await, Ok(2));
    cut_off.membership.update(|view| view.renewed(Instant::now()));
    assert_eq!(cut_off.scraped().await, Ok(3), "it holds its Lease");
}

// As where the API server is away for all: the next owner has ended, or has started anew and knows no account.
#[tokio::test]
async fn what_is_collected_is_answered_where_the_next_owner_does_not_respond_or_knows_no_account() {
    for is_gone in [true, false] {
        let [cut_off, next, third] = ranked().await;
        let next = if is_gone {
            Replica { me: Member { address: closed_address(), ..next.me.clone() }, ..next }
        } else {
            next.registry.remove(&AccountId::new("team-a", "acme"));
            next
        };
        for replica in [&cut_off, &third] {
            replica.sees(&[&cut_off, &next, &third], 40);
        }
        cut_off.membership.update(|view| view.renewed(Instant::now() - Duration::from_secs(10)));
        cut_off.collects(1);
        for replica in [&cut_off, &third] {
            assert_eq!(replica.scraped().await, Ok(1), "{} {is_gone}", replica.me.name);
        }
    }
}

#[tokio::test]
async fn a_new_owner_is_told_what_the_live_one_before_had_long_after_it_could_begin() {
    let [new, old, third] = ranked().await;
    new.sees(&[&old, &third], 31);
    new.sees(&[&new, &old, &third], 30);
    old.collects(1);
    old.stops();
    assert!(new.membership.collects(UID));
    let peers = Peers::new(new.membership.clone(), MemoryBudget::default());
    let told = peers.account(&AccountId::new("team-a", "acme"), UID).await.expect("it is told");
    assert!(!told.is_collected() && told.inherited("alauda").is_some());
}

fn closed_address() -> Arc<str> {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string().into()
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
