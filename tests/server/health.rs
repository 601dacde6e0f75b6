//! The health port and the shutdown.

use std::sync::Arc;
use std::time::Duration;

use caas_operator::account::{AccountId, Names};
use caas_operator::cloud::CloudError;
use caas_operator::collector::health::Health;
use caas_operator::server::{Limits, Liveness, Readiness, bind, health_router};
use reqwest::{Method, StatusCode};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::http_support::serve;
use crate::{ALL, account, ask, get, registry, snapshot};

#[tokio::test]
async fn readiness_says_what_is_missing_and_ends_with_the_shutdown() {
    let readiness = Readiness::default();
    let synced = readiness.expect("watches are synced");
    let served = serve(health_router(readiness.clone(), Liveness::default()), Limits::default()).await;
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
    let served = serve(health_router(Readiness::default(), Liveness::default()), limits).await;
    assert_eq!(get(&served, "/livez").await.status(), StatusCode::OK);
    served.stop.cancel();
    tokio::time::timeout(Duration::from_secs(60), served.ended).await.unwrap().unwrap();
}

/// The condition that `team-c/new` of the registry still has to meet.
const FIRST_COLLECTIONS: &str = "waiting for the first collections to end";

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

/// Asks for `/livez` from outside of any runtime.
fn livez(address: std::net::SocketAddr) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn health_is_answered_while_every_worker_is_busy_and_says_so_once_that_lasts_too_long() {
    const LONGEST_SILENCE: Duration = Duration::from_secs(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (liveness, stop) = (Liveness::new(LONGEST_SILENCE), CancellationToken::new());
    let (address, ended) = runtime.block_on(async {
        let bound = bind(([127, 0, 0, 1], 0).into(), "--listen-health").await.unwrap();
        let router = health_router(Readiness::default(), liveness.clone());
        (bound.addr(), bound.serve_on_own_thread("health", router, stop.clone()).unwrap())
    });
    runtime.spawn(async move { liveness.beat().await });
    let mut workers = Vec::new();
    for _ in 0..2 {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let (started, has_started) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            started.send(()).unwrap();
            // Blocks the thread, as work that computes does.
            let _ = wait.recv();
        });
        has_started.recv().unwrap();
        workers.push(release);
    }
    let asked = std::time::Instant::now();
    assert!(livez(address).starts_with("HTTP/1.1 200"), "busy workers are no reason to restart");
    assert!(asked.elapsed() < LONGEST_SILENCE);

    let until = |code: &str| {
        let begun = std::time::Instant::now();
        while !livez(address).starts_with(&format!("HTTP/1.1 {code}")) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{code} does not come");
        }
        begun.elapsed()
    };
    assert!(until("503") > LONGEST_SILENCE / 2);
    drop(workers);
    until("200");

    stop.cancel();
    runtime.block_on(ended).unwrap();
}
