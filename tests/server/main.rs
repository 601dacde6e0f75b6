//! What leaves a registry that is filled by hand: HTTP responses, a file for each kind, and pushes by OTLP.

// Clippy allows unwrap and panic in tests, but not in the helpers of an integration test.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../support/accounts.rs"]
mod accounts;
#[path = "../support/http.rs"]
mod http_support;
#[allow(dead_code)]
#[path = "../support/otlp.rs"]
mod otlp_endpoint;
#[path = "../support/pages.rs"]
mod pages;
#[path = "../support/servers.rs"]
mod servers;

mod discovery;
mod filters;
mod health;
mod host;
mod json;
mod lists;
mod otlp;
mod own;
mod page;
mod replicas;
mod scrape;
mod uncollected;

use std::io::Read;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use accounts::{account, uncollected};
use bytes::Bytes;
use caas_operator::account::{AccountId, Names, Problem};
use caas_operator::api::Reason;
use caas_operator::cloud::CloudError;
use caas_operator::collector::demanded::Demanded;
use caas_operator::collector::health::Health;
use caas_operator::collector::history::History;
use caas_operator::collector::registry::{Registry, Snapshot};
use caas_operator::exposition::{Bodies, Body, Options, Renderer};
use caas_operator::replicas::peers::Peers;
use caas_operator::server::{AllowedHosts, Context, Limits, PageOptions, router};
use caas_operator::telemetry::Metrics;
use flate2::read::GzDecoder;
use http_support::{Served, client, serve};
use pages::{ALL, acme};
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, Response, StatusCode};

const METRICS: &str = "/accounts/team-a/acme/metrics";

/// The values of `acme`, rendered, after a collection that ended just now.
fn snapshot(options: &Options, health: Health) -> Arc<Snapshot> {
    let mut values = acme();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    (values.gauges.last_collection, values.gauges.last_success) = (now, Some(now));
    let bodies = Renderer::default().render(&values, options).bodies;
    let history = History::default();
    Arc::new(Snapshot {
        bodies,
        values,
        history,
        series: 0,
        health,
        collected_at: SystemTime::now(),
        demanded: Demanded::default(),
    })
}

/// `team-a/acme` serves both names, `team-b/modern` the modern ones, `team-c/new` has not been collected yet; two others
/// cannot be.
fn registry() -> Arc<Registry> {
    let registry = Registry::default();
    for (namespace, name, names, legacy, health) in [
        ("team-a", "acme", Names::Both, true, Health::Collected),
        ("team-b", "modern", Names::Modern, false, Health::Failed(CloudError::LoginRejected)),
    ] {
        let account = account(namespace, name, names);
        registry.put(Arc::clone(&account));
        registry.publish(&account, snapshot(&Options { legacy, ..ALL }, health));
    }
    registry.put(account("team-c", "new", Names::Legacy));
    for (name, names, problem) in [("broken", Names::Both, broken()), ("resting", Names::Modern, resting())] {
        registry.mark_uncollected(uncollected("team-d", name, names, problem));
    }
    Arc::new(registry)
}

fn broken() -> Problem {
    Problem::new(Reason::SecretNotFound, "Secret team-d/broken does not exist: create it.")
}

fn resting() -> Problem {
    Problem::new(
        Reason::Suspended,
        "CaasAccount team-d/resting is suspended: set spec.suspend to false to collect it.",
    )
}

async fn started(append_account: Option<AccountId>) -> (Served, Arc<Registry>) {
    started_within(Limits::default(), append_account).await
}

async fn started_within(limits: Limits, append_account: Option<AccountId>) -> (Served, Arc<Registry>) {
    started_with(limits, append_account, PageOptions::default()).await
}

async fn started_with(
    limits: Limits,
    append_account: Option<AccountId>,
    page: PageOptions,
) -> (Served, Arc<Registry>) {
    let registry = registry();
    let context = Context {
        registry: Arc::clone(&registry),
        metrics: Metrics::new(),
        append_account,
        allowed_hosts: AllowedHosts::default(),
        page,
        peers: Peers::none(),
    };
    (serve(router(context), limits).await, registry)
}

/// The body that a client without gzip gets.
fn plain(body: &Body) -> Bytes {
    let mut text = Vec::new();
    GzDecoder::new(&*body.gzip).read_to_end(&mut text).unwrap();
    text.into()
}

fn bodies(registry: &Registry) -> Bodies {
    registry.get(&AccountId::new("team-a", "acme")).unwrap().snapshot.unwrap().bodies.clone()
}

async fn ask(served: &Served, method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Response {
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
    client().request(method, served.url(path)).headers(headers).send().await.unwrap()
}

async fn get(served: &Served, path: &str) -> Response {
    ask(served, Method::GET, path, &[]).await
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn unknown_paths_and_accounts_are_answered_with_one_line_that_says_so() {
    let (served, _) = started(None).await;
    for (method, path, status, says) in [
        (Method::GET, "/accounts/team-a/nobody/metrics", StatusCode::NOT_FOUND, "no such account"),
        (Method::GET, "/accounts/team-a/nobody/metrics/legacy", StatusCode::NOT_FOUND, "no such account"),
        (Method::GET, "/accounts/team-a/nobody", StatusCode::NOT_FOUND, "no such account"),
        (
            Method::GET,
            "/accounts/team-c/new/metrics",
            StatusCode::SERVICE_UNAVAILABLE,
            "not been collected yet",
        ),
        (
            Method::GET,
            "/accounts/team-c/new/metrics/legacy",
            StatusCode::SERVICE_UNAVAILABLE,
            "not been collected",
        ),
        (Method::GET, "/nowhere", StatusCode::NOT_FOUND, "no such path"),
        (Method::GET, "/accounts/", StatusCode::NOT_FOUND, "no such path"),
        (Method::POST, METRICS, StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD"),
        (Method::DELETE, "/accounts", StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD"),
    ] {
        let response = ask(&served, method.clone(), path, &[]).await;
        assert_eq!(response.status(), status, "{method} {path}");
        let allow = (status == StatusCode::METHOD_NOT_ALLOWED).then_some("GET,HEAD");
        assert_eq!(header(&response, "allow"), allow, "{method} {path}");
        let line = response.text().await.unwrap();
        assert!(line.contains(says) && line.ends_with('\n') && line.lines().count() == 1, "{path}: {line:?}");
    }
}

#[tokio::test]
async fn no_response_contains_credentials() {
    let (served, _) = started(Some(AccountId::new("team-a", "acme"))).await;
    for path in
        ["/", "/services", "/instances", "/accounts", "/accounts/team-a/acme", "/sd", "/metrics", METRICS]
    {
        assert!(!get(&served, path).await.text().await.unwrap().contains("canary"), "{path}");
    }
}
