//! What a cloud has asked of one replica holds for the one that goes on with the account, which asks the first over HTTP.

use std::sync::Arc;

use caas_operator::account::{Account, Origin};
use caas_operator::limits::MemoryBudget;
use caas_operator::replicas::peers::Peers;
use caas_operator::replicas::{Member, Membership, SeenLease};
use caas_operator::server::{self, AllowedHosts, Context, PageOptions};
use caas_operator::telemetry::Metrics;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::collected::{Collected, Runtime};

/// The account `acme` of this version of its Secret.
fn version(account: &mut Account, secret: &str) {
    account.origin = Origin { generation: Some(1), secret: Some(secret.into()) };
}

/// Another replica that goes on with the account `acme`, of this version of its Secret, from what this one tells.
async fn moved(collected: &Collected, secret: &str) -> Runtime {
    let context = Context {
        registry: Arc::clone(&collected.runtime.registry),
        metrics: Metrics::new(),
        append_account: None,
        allowed_hosts: AllowedHosts::default(),
        page: PageOptions::default(),
        peers: Peers::none(),
    };
    let bound = server::bind(([127, 0, 0, 1], 0).into(), "--listen").await.unwrap();
    let member = |name: &str, address: String| Member { name: name.into(), address: address.into() };
    let lease = SeenLease {
        member: member("before", bound.addr().to_string()),
        uid: "1".to_owned(),
        version: "1".to_owned(),
    };
    let stop = CancellationToken::new();
    let serving = tokio::spawn(bound.serve(server::router(context), stop.clone()));
    let membership = Membership::joining(member("next", "127.0.0.1:1".to_owned()), Metrics::new());
    membership.update(|view| view.listed(vec![lease], Instant::now()));
    let mut account = crate::collected::account("acme", &collected.cloud);
    version(&mut account, secret);
    let told =
        Peers::new(membership, MemoryBudget::default()).account(&account.id, &account.uid).await.unwrap();
    stop.cancel();
    serving.await.unwrap();
    let next = Runtime::new();
    next.supervisor.put_inheriting(account, told.inherited("alauda"));
    next
}

#[tokio::test]
async fn credentials_that_one_replica_was_refused_are_not_tried_by_the_next_unless_the_secret_has_changed() {
    let collected = Collected::with("reject-login", |account| version(account, "7")).await;
    collected.until_reason("LoginRejected").await;
    collected.runtime.supervisor.stop().await;
    collected.cloud.reset_counts();

    let next = moved(&collected, "7").await;
    next.until_reason("acme", "LoginRejected").await;
    next.cycles("acme", 3).await;
    assert_eq!(collected.cloud.counts().total, 0, "nothing is sent");
    next.supervisor.stop().await;

    collected.cloud.clear_faults();
    let next = moved(&collected, "8").await;
    next.until_reason("acme", "Collected").await;
    next.supervisor.stop().await;
    collected.stop().await;
}

#[tokio::test]
async fn while_a_cloud_wants_silence_the_next_replica_sends_nothing_whatever_the_secret() {
    let collected = Collected::healthy(|account| version(account, "7")).await;
    collected.fault("429=600");
    collected.until_reason("RateLimited").await;
    collected.runtime.supervisor.stop().await;
    collected.cloud.clear_faults();
    collected.cloud.reset_counts();
    for secret in ["7", "8"] {
        let next = moved(&collected, secret).await;
        next.until_reason("acme", "RateLimited").await;
        next.cycles("acme", 3).await;
        assert_eq!(collected.cloud.counts().total, 0, "nothing is sent");
        next.supervisor.stop().await;
    }
    collected.stop().await;
}
