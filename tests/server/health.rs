//! The health port, and the stop.

use std::time::Duration;

use caas_operator::server::{Limits, Readiness, health_router};
use reqwest::{Method, StatusCode};

use crate::http_support::serve;
use crate::{ask, get};

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
    // It waits for nothing: not even for answers that might be under way.
    let limits = Limits { grace: Duration::from_secs(3600), ..Limits::default() };
    let served = serve(health_router(Readiness::default()), limits).await;
    assert_eq!(get(&served, "/livez").await.status(), StatusCode::OK);
    served.stop.cancel();
    tokio::time::timeout(Duration::from_secs(60), served.ended).await.unwrap().unwrap();
}
