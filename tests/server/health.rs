//! The health port and the shutdown.

use std::sync::Arc;
use std::time::Duration;

use caas_operator::account::{AccountId, Names};
use caas_operator::cloud::CloudError;
use caas_operator::collector::health::Health;
use caas_operator::server::{Limits, Readiness, health_router};
use reqwest::{Method, StatusCode};
use tokio::time::Instant;

use crate::http_support::serve;
use crate::{ALL, account, ask, get, registry, snapshot};

#[tokio::test]
async fn readiness_says_what_is_missing_and_ends_with_the_shutdown() {
    let readiness = Readiness::default();
    let synced = readiness.expect("watches are synced");
    let served = serve(health_router(readiness.clone()), Limits::default()).await;
    let ready = async || {
        let response = get(&served, "/readyz").await;
        (response.status().as_u16(), response.text().await.unwrap())
    };

    assert_eq!(ready().await, (503, "not ready: watches are synced\n".into()));
    synced.set(true);
    assert_eq!(ready().await, (200, "ready\n".into()));
    readiness.stop();
    assert_eq!(ready().await, (503, "not ready: shutting down\n".into()));

    assert_eq!(get(&served, "/livez").await.status(), StatusCode::OK);
    assert_eq!(get(&served, "/").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(ask(&served, Method::POST, "/livez", &[]).await.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    // It does not wait for the grace period.
    let limits = Limits { grace: Duration::from_secs(3600), ..Limits::default() };
    let served = serve(health_router(Readiness::default()), limits).await;
    assert_eq!(get(&served, "/livez").await.status(), StatusCode::OK);
    served.stop.cancel();
    tokio::time::timeout(Duration::from_secs(60), served.ended).await.unwrap().unwrap();
}

/// The condition that `team-c/new` of the registry still has to meet.
const FIRST_COLLECTIONS: &str = "the first collections have ended";

#[tokio::test(start_paused = true)]
async fn a_process_is_ready_once_all_its_first_accounts_were_collected_and_stays_so() {
    let (readiness, registry) = (Readiness::default(), registry());
    let (hand_over, handed_over) = tokio::sync::oneshot::channel::<()>();
    let first = readiness.expect_first_collections(Arc::clone(&registry), async {
        let _ = handed_over.await;
    });
    let first = tokio::spawn(first);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(readiness.missing(), [FIRST_COLLECTIONS], "accounts are still handed over");
    hand_over.send(()).unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(readiness.missing(), [FIRST_COLLECTIONS], "one has not been collected yet");

    let new = registry.get(&AccountId::new("team-c", "new")).unwrap().account;
    registry.publish(&new, snapshot(&ALL, Health::Failed(CloudError::Status(500))));
    first.await.unwrap();
    assert!(readiness.missing().is_empty(), "one that failed to be collected has had its first cycle too");

    registry.put(account("team-c", "later", Names::Modern));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(readiness.missing().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_hangs_keeps_the_process_unready_for_a_minute_at_most() {
    let readiness = Readiness::default();
    let start = Instant::now();
    readiness.expect_first_collections(registry(), std::future::ready(())).await;
    assert!(readiness.missing().is_empty());
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn accounts_that_go_meanwhile_are_not_waited_for() {
    let registry = registry();
    let start = Instant::now();
    let first = tokio::spawn({
        let registry = Arc::clone(&registry);
        async move { registry.first_cycles_ended().await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    registry.remove(&AccountId::new("team-c", "new"));
    first.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 1);
}
