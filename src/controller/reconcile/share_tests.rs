//! What a reconcile does with an account by whose it is, on an API server of a few lines.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::secret_tests::{Operator, account};
use super::*;
use crate::replicas::{Member, Membership, SeenLease};
use crate::server::{self, AllowedHosts, PageOptions};

fn member(name: &str) -> Member {
    Member { name: name.into(), address: format!("{name}:8080").into() }
}

fn lease(name: &str) -> SeenLease {
    SeenLease { member: member(name), uid: name.to_owned(), version: "1".to_owned() }
}

/// An operator that has found another replica and is no member yet, and what it knows of both.
fn joining() -> (Operator, Membership) {
    let membership = Membership::joining(member("a"), Metrics::new());
    membership.update(|view| view.listed(vec![lease("b")], Instant::now()));
    (Operator::among(membership.clone()), membership)
}

/// The UID, which is the name too, of an account that is this replica's or another one's once it has joined.
fn uid(membership: &Membership, is_own: bool) -> String {
    (0..100).map(|number| format!("acme-{number}")).find(|uid| membership.would_own(uid) == is_own).unwrap()
}

/// How many accounts have moved here because this replica joined.
fn moves(operator: &Operator) -> u64 {
    operator.reconciler().metrics.account_moves.with_label_values(&["joined"]).get()
}

#[tokio::test(start_paused = true)]
async fn before_it_joins_a_replica_reads_the_secrets_of_what_it_will_own_and_collects_nothing() {
    let (mut operator, membership) = joining();
    let [own, other] = [true, false].map(|is_own| account(&uid(&membership, is_own), "30s", 1));
    assert_eq!((operator.reconcile(&own).await, operator.reconcile(&other).await), (1, 0));
    for name in [true, false].map(|is_own| uid(&membership, is_own)) {
        assert_eq!((operator.listed(&name).0, operator.interval(&name)), ("Unknown", None));
    }
    assert_eq!(operator.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn once_it_has_joined_it_collects_its_own_with_the_secrets_it_has_read_when_the_other_has_stopped() {
    let (mut operator, membership) = joining();
    let name = uid(&membership, true);
    operator.reconcile(&account(&name, "30s", 1)).await;
    membership.update(|view| view.renewed(Instant::now()));
    assert_eq!(operator.reconcile(&account(&name, "30s", 1)).await, 0, "they are read already");
    assert_eq!(operator.interval(&name), None, "the other one may still collect it");

    tokio::time::sleep(Duration::from_secs(6)).await;
    operator.reconcile(&account(&name, "30s", 1)).await;
    assert_eq!(operator.interval(&name), Some(Duration::from_secs(30)));
    assert_eq!(moves(&operator), 1);

    // Its Lease was deleted: the other one has taken over.
    membership.update(|view| view.listed(vec![lease("b")], Instant::now()));
    operator.reconcile(&account(&name, "30s", 1)).await;
    assert_eq!((operator.listed(&name).0, operator.interval(&name)), ("Unknown", None));
    assert_eq!(operator.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_an_account_ends_once_that_is_another_replicas() {
    let (soon, after) = (Duration::from_millis(1), Duration::from_secs(60));
    let is_of_both = joining().1;
    // A permit to write, or the answer to a call.
    for hangs in [None, Some("/secrets/"), Some("/status"), Some("/events")] {
        let membership = Membership::joining(member("a"), Metrics::new());
        membership.update(|view| view.renewed(Instant::now()));
        membership.update(|view| view.listed(vec![lease("a")], Instant::now()));
        tokio::time::sleep(after).await;
        let mut operator = Operator::among(membership.clone());
        let writers = operator.reconciler().writers.of("team-a");
        let permits = if hangs.is_none() { Some(writers.acquire(WRITERS).await) } else { None };
        if let Some(path) = hangs {
            operator.hang(path);
        }
        let other = account(&uid(&is_of_both, false), "30s", 1);
        let mut reconcile = Box::pin(operator.reconcile(&other));
        assert!(tokio::time::timeout(soon, &mut reconcile).await.is_err(), "it waits: {hangs:?}");
        membership.update(|view| view.renewed(Instant::now()));
        membership.update(|view| view.listed(vec![lease("a"), lease("b")], Instant::now()));
        tokio::time::timeout(soon, reconcile).await.expect("it ends at once");
        let may_write = hangs.is_some_and(|path| path != "/secrets/");
        assert!(may_write || operator.writes().is_empty(), "{hangs:?}");
        drop(permits);
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_was_deleted_is_listed_no_longer_whosever_it_was() {
    let (mut operator, membership) = joining();
    let name = uid(&membership, false);
    let mut deleted = account(&name, "30s", 1);
    operator.reconcile(&deleted).await;
    deleted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    operator.reconcile(&deleted).await;
    let id = AccountId::new("team-a", &name);
    assert!(operator.reconciler().collection.registry.listed(&id).is_none());
}

/// Serves what an operator knows of its accounts; returns the address.
async fn served(operator: &Operator) -> String {
    let context = server::Context {
        registry: Arc::clone(&operator.reconciler().collection.registry),
        metrics: Metrics::new(),
        append_account: None,
        allowed_hosts: AllowedHosts::default(),
        page: PageOptions::default(),
        peers: Peers::none(),
    };
    let bound = server::bind(([127, 0, 0, 1], 0).into(), "--listen").await.unwrap();
    let address = bound.addr().to_string();
    tokio::spawn(bound.serve(server::router(context), CancellationToken::new()));
    address
}

#[tokio::test]
async fn what_another_replica_goes_on_with_since_the_api_server_went_away_is_not_collected_twice() {
    let mut other = Operator::among(Membership::alone());
    let lease = SeenLease {
        member: Member { name: "b".into(), address: served(&other).await.into() },
        uid: "b".to_owned(),
        version: "1".to_owned(),
    };
    let membership = Membership::joining(member("a"), Metrics::new());
    let joined = Instant::now() - Duration::from_secs(10);
    membership.update(|view| view.listed(vec![lease], joined));
    let mut operator = Operator::among(membership.clone());
    let name = uid(&membership, true);
    let (id, account) = (AccountId::new("team-a", &name), account(&name, "30s", 1));
    other.reconcile(&account).await;
    operator.reconcile(&account).await;

    // It has joined, and has heard nothing of the API server since.
    membership.update(|view| view.renewed(joined));
    operator.reconcile(&account).await;
    assert_eq!(operator.interval(&name), None, "the other one says that it collects it");
    assert_eq!(moves(&operator), 0);

    other.reconciler().collection.list_elsewhere(None, &id, &name, false);
    operator.reconcile(&account).await;
    assert_eq!(operator.interval(&name), Some(Duration::from_secs(30)));
    assert_eq!(moves(&operator), 1);
}
