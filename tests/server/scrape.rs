//! The series of an account: formats, encodings, and freshness.

use std::sync::Arc;

use caas_operator::account::AccountId;
use caas_operator::collector::health::Health;
use caas_operator::exposition::Options;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING};
use reqwest::{Method, StatusCode};

use crate::pages::ALL;
use crate::{METRICS, ask, bodies, get, header, plain, snapshot, started};

const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
    text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

#[tokio::test]
async fn a_scrape_gets_the_format_and_encoding_that_it_requests() {
    let (served, registry) = started(None).await;
    let kept = bodies(&registry);
    let (text, openmetrics) = (
        "text/plain; version=0.0.4; charset=utf-8",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    );
    for (accept, encoding, content_type, body) in [
        ("*/*", "", text, plain(&kept.text)),
        ("*/*", "gzip;q=0", text, plain(&kept.text)),
        ("*/*", "gzip", text, kept.text.gzip.clone()),
        (PROMETHEUS, "", openmetrics, plain(&kept.openmetrics)),
        (PROMETHEUS, "gzip", openmetrics, kept.openmetrics.gzip.clone()),
    ] {
        let requested = [(ACCEPT, accept), (ACCEPT_ENCODING, encoding)];
        let response = ask(&served, Method::GET, METRICS, &requested).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "content-type"), Some(content_type));
        assert_eq!(header(&response, "content-encoding"), (encoding == "gzip").then_some("gzip"));
        assert_eq!(header(&response, "vary"), Some("Accept, Accept-Encoding"));
        assert_eq!(response.bytes().await.unwrap(), body);
    }
}

#[tokio::test]
async fn head_gets_the_headers_of_get_and_no_body() {
    let (served, _) = started(None).await;
    for path in [METRICS, "/accounts/team-a/acme/metrics/legacy", "/accounts", "/sd", "/metrics", "/"] {
        let (head, get) = (ask(&served, Method::HEAD, path, &[]).await, get(&served, path).await);
        assert_eq!(head.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&head, "content-type"), header(&get, "content-type"), "{path}");
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
    }
    let head = ask(&served, Method::HEAD, METRICS, &[]).await;
    let length = get(&served, METRICS).await.bytes().await.unwrap().len();
    assert_eq!(header(&head, "content-length"), Some(&*length.to_string()));
}

#[tokio::test]
async fn legacy_names_are_served_if_the_account_enables_them() {
    let (served, registry) = started(None).await;
    let response = get(&served, "/accounts/team-a/acme/metrics/legacy").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(response.bytes().await.unwrap(), plain(&bodies(&registry).legacy.unwrap()));

    let response = get(&served, "/accounts/team-b/modern/metrics/legacy").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(response.text().await.unwrap().contains("spec.metrics.names"));
}

#[tokio::test]
async fn a_removed_account_is_gone_at_once_and_a_new_snapshot_is_served_at_once() {
    let (served, registry) = started(None).await;
    let account = registry.get(&AccountId::new("team-b", "modern")).unwrap().account;
    let next = snapshot(&Options { modern: false, ..ALL }, Health::Collected);
    registry.publish(&account, Arc::clone(&next));
    let body = get(&served, "/accounts/team-b/modern/metrics").await.bytes().await.unwrap();
    assert_eq!(body, plain(&next.bodies.text));

    registry.remove(&account.id);
    assert_eq!(get(&served, "/accounts/team-b/modern/metrics").await.status(), StatusCode::NOT_FOUND);
}
