//! The series of an account: formats, encodings, and freshness.

use std::sync::Arc;

use caas_operator::account::AccountId;
use caas_operator::collector::demanded::Demanded;
use caas_operator::collector::health::Health;
use caas_operator::collector::history::History;
use caas_operator::collector::registry::{Registry, Snapshot};
use caas_operator::exposition::{Bodies, Body, Options};
use caas_operator::server::Limits;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING};
use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http_support::Served;
use crate::pages::ALL;
use crate::{METRICS, ask, bodies, get, header, plain, snapshot, started, started_within};

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

/// More than the buffers of two sockets hold.
const LARGE: usize = 16 << 20;

/// Publishes a snapshot with a large body.
fn publish_large(registry: &Registry) {
    let entry = registry.get(&AccountId::new("team-a", "acme")).unwrap();
    let before = entry.snapshot.unwrap();
    let text = Body { gzip: vec![b'x'; LARGE].into() };
    let bodies = Bodies { text, ..before.bodies.clone() };
    let newest = Snapshot {
        bodies,
        values: before.values.clone(),
        history: History::default(),
        series: 0,
        health: before.health.clone(),
        collected_at: before.collected_at,
        demanded: Demanded::default(),
    };
    registry.publish(&entry.account, Arc::new(newest));
}

/// A scrape that has read the begin of its response.
async fn begun(served: &Served) -> TcpStream {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let head =
        format!("GET {METRICS} HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.read_exact(&mut [0; 100]).await.unwrap();
    stream
}

/// Whether the rest of its response comes.
async fn is_complete(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    // A reset is an error; the bytes before it count.
    let _ = stream.read_to_end(&mut rest).await;
    rest.len() >= LARGE
}

#[tokio::test]
async fn where_replaced_bodies_take_too_much_their_oldest_reader_is_cut_off_and_nobody_else() {
    let limits = Limits { replaced: LARGE + LARGE / 2, ..Limits::default() };
    let (served, registry) = started_within(limits, None).await;
    let mut readers = Vec::new();
    for _ in 0..3 {
        publish_large(&registry);
        readers.push(begun(&served).await);
    }
    let mut complete = Vec::new();
    for reader in readers {
        complete.push(is_complete(reader).await);
    }
    assert_eq!(complete, [false, true, true], "two bodies have been replaced, and one fits");
}
