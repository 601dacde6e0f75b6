//! What a client gets over HTTP from a registry that is filled by hand.

// Clippy's leave to unwrap in tests does not reach the helpers of an integration test.
#![allow(clippy::unwrap_used)]

#[path = "support/accounts.rs"]
mod accounts;
#[path = "support/http.rs"]
mod http_support;
#[path = "support/pages.rs"]
mod pages;
#[path = "support/servers.rs"]
mod servers;

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use accounts::{account, spec, uncollected};
use bytes::Bytes;
use caas_operator::account::{Account, AccountId, Names, Problem, targets};
use caas_operator::api::Reason;
use caas_operator::cloud::CloudError;
use caas_operator::cloud::model::{InstanceFacts, ServiceFacts};
use caas_operator::collector::health::Health;
use caas_operator::collector::registry::{Registry, Snapshot};
use caas_operator::exposition::page::AccountGauges;
use caas_operator::exposition::{Bodies, Body, Options, Renderer};
use caas_operator::server::{Context, Limits, Readiness, health_router, router};
use caas_operator::telemetry::Metrics;
use flate2::read::GzDecoder;
use http_support::{Served, client, serve};
use pages::{ALL, acme};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::ServiceExt;

const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
    text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
const METRICS: &str = "/accounts/team-a/acme/metrics";

/// The page of `acme`, rendered, after a collection that ended just now.
fn snapshot(options: &Options, health: Health) -> Arc<Snapshot> {
    let mut page = acme();
    page.gauges.last_success = Some(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64());
    let bodies = Renderer::default().render(&page, options).bodies;
    Arc::new(Snapshot { bodies, page, series: 0, health, collected_at: SystemTime::now() })
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
        registry.leave_out(uncollected("team-d", name, names, problem));
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
    let registry = registry();
    let context = Context { registry: Arc::clone(&registry), metrics: Metrics::new(), append_account };
    (serve(router(context), Limits::default()).await, registry)
}

/// What the rare client without gzip gets.
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
async fn a_scrape_gets_the_format_and_encoding_it_asks_for() {
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
        let asked = [(ACCEPT, accept), (ACCEPT_ENCODING, encoding)];
        let response = ask(&served, Method::GET, METRICS, &asked).await;
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
async fn legacy_names_are_served_where_the_account_wants_them() {
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
async fn what_is_not_there_is_answered_with_a_line_that_says_so() {
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

/// Replaces the age of data, which is how long the test took so far.
fn without_age(mut json: Value) -> String {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                if let Some(age) = fields.get_mut("ageSeconds") {
                    assert!((0.0..60.0).contains(&age.as_f64().unwrap()));
                    *age = "[age]".into();
                }
                fields.values_mut().for_each(walk);
            }
            Value::Array(values) => values.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut json);
    serde_json::to_string_pretty(&json).unwrap()
}

#[tokio::test]
async fn the_json_of_all_accounts_stays_as_it_is() {
    let (served, _) = started(None).await;
    insta::assert_snapshot!(without_age(get(&served, "/accounts").await.json().await.unwrap()));
}

#[tokio::test]
async fn the_json_of_one_account_stays_as_it_is() {
    let (served, _) = started(None).await;
    let account = get(&served, "/accounts/team-a/acme").await;
    insta::assert_snapshot!(without_age(account.json().await.unwrap()));

    let new: Value = get(&served, "/accounts/team-c/new").await.json().await.unwrap();
    assert_eq!((&new["account"]["reason"], &new["services"]), (&"Pending".into(), &Value::Array(vec![])));
}

#[tokio::test]
async fn a_large_accounts_json_is_made_as_fast_as_it_is_read() {
    const SERVICES: usize = 5;
    const INSTANCES: usize = 1000;
    let (served, registry) = started(None).await;
    let account = account("team-b", "modern", Names::Modern);
    // With names that make more of it than the buffers of two sockets hold.
    let instance = |number: usize| {
        let (name, id) = ("x".repeat(16 << 10), number.to_string());
        (InstanceFacts { name, id, started_at: None }, None)
    };
    let service = |number: usize| {
        let facts = ServiceFacts { name: number.to_string(), ..ServiceFacts::default() };
        (facts, (0..INSTANCES).map(instance).collect())
    };
    let page =
        pages::page("team-b", "modern", AccountGauges::default(), (0..SERVICES).map(service).collect());
    let kept = Arc::new(Snapshot {
        bodies: bodies(&registry),
        page,
        series: 0,
        health: Health::Collected,
        collected_at: SystemTime::now(),
    });
    let account = registry.get(&account.id).expect("the account").account;
    registry.publish(&account, Arc::clone(&kept));
    let unused = Arc::strong_count(&kept);
    let mut client = TcpStream::connect(served.address).await.unwrap();
    client.write_all(b"GET /accounts/team-b/modern HTTP/1.0\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 100];
    client.read_exact(&mut answer).await.unwrap();

    assert_eq!(Arc::strong_count(&kept), unused + 1, "while it is not read, the rest of it is not made");

    client.read_to_end(&mut answer).await.unwrap();
    let body = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let json: Value = serde_json::from_slice(&answer[body..]).unwrap();
    assert_eq!((&json["account"]["services"], &json["account"]["instances"]), (&5.into(), &5000.into()));
    let services = json["services"].as_array().unwrap();
    assert_eq!(services.len(), SERVICES);
    for (number, service) in services.iter().enumerate() {
        assert_eq!(service["name"], number.to_string());
        let ids = service["instances"].as_array().unwrap().iter().map(|instance| instance["id"].clone());
        assert!(ids.eq((0..INSTANCES).map(|number| Value::from(number.to_string()))));
    }
    assert_eq!(Arc::strong_count(&kept), unused);
}

#[tokio::test]
async fn discovery_names_every_path_of_every_account_at_the_address_that_was_asked() {
    let (served, _) = started(None).await;
    let groups = get(&served, "/sd").await.text().await.unwrap();
    let groups = groups.replace(&served.address.to_string(), "[host]");
    let groups: Value = serde_json::from_str(&groups).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&groups).unwrap());
}

#[tokio::test]
async fn an_account_collected_each_hour_is_scraped_each_minute() {
    let (served, registry) = started(None).await;
    let mut spec = spec(Names::Both);
    spec.collection.interval = "1h".parse().unwrap();
    let hourly = account("team-d", "hourly", Names::Both);
    let targets = targets(&hourly.id, &spec);
    registry.put(Arc::new(Account { targets, ..Account::clone(&hourly) }));

    let groups: Value = get(&served, "/sd").await.json().await.unwrap();
    let labels = groups.as_array().unwrap().iter().map(|group| &group["labels"]);
    let told: Vec<_> = labels
        .filter(|labels| labels["instance"] == "team-d/hourly")
        .map(|labels| (&labels["__scrape_interval__"], &labels["__scrape_timeout__"]))
        .collect();
    assert_eq!(told, [(&"1m".into(), &"10s".into()); 2]);
}

#[tokio::test]
async fn the_page_lists_accounts_and_paths() {
    let (served, _) = started(None).await;
    let response = get(&served, "/").await;
    assert_eq!(header(&response, "content-type"), Some("text/html; charset=utf-8"));
    assert!(header(&response, "content-security-policy").unwrap().contains("default-src 'none'"));
    // The age of the data is how long the test took so far.
    let page = response.text().await.unwrap();
    let without_age = page.split(" s</td>").map(|part| part.trim_end_matches(|c: char| c.is_ascii_digit()));
    insta::assert_snapshot!(without_age.collect::<Vec<_>>().join("[age]</td>"));
}

#[tokio::test]
async fn an_account_that_cannot_be_collected_is_listed_with_its_reason() {
    let (served, _) = started(None).await;
    let (sd, page) = (get(&served, "/sd").await, get(&served, "/").await);
    let (sd, page) = (sd.text().await.unwrap(), page.text().await.unwrap());
    let own = get(&served, "/metrics").await.text().await.unwrap();
    for (name, problem, scraped, legacy) in
        [("broken", broken(), true, 503), ("resting", resting(), false, 404)]
    {
        let (path, reason) = (format!("/accounts/team-d/{name}"), problem.reason.as_str());
        let metrics = get(&served, &format!("{path}/metrics")).await;
        assert_eq!(metrics.status(), StatusCode::SERVICE_UNAVAILABLE, "{name}");
        assert_eq!(metrics.text().await.unwrap(), format!("{}\n", problem.message));
        assert_eq!(get(&served, &format!("{path}/metrics/legacy")).await.status().as_u16(), legacy, "{name}");

        let detail: Value = get(&served, &path).await.json().await.unwrap();
        let said = ["reason", "message"].map(|field| detail["account"][field].as_str().unwrap());
        assert_eq!((said, &detail["services"]), ([reason, &problem.message], &Value::Array(vec![])));
        assert!(page.contains(&format!("team-d/{name}")) && page.contains(reason), "{page}");
        assert_eq!(sd.contains(&format!("\"{path}/metrics\"")), scraped, "{sd}");
        assert!(own.contains(&format!("caas_operator_accounts{{state=\"{reason}\"}} 1")), "{own}");
    }
}

#[tokio::test]
async fn no_answer_holds_credentials() {
    let (served, _) = started(Some(AccountId::new("team-a", "acme"))).await;
    for path in ["/", "/accounts", "/accounts/team-a/acme", "/sd", "/metrics", METRICS] {
        assert!(!get(&served, path).await.text().await.unwrap().contains("canary"), "{path}");
    }
}

#[tokio::test]
async fn own_metrics_stand_alone_unless_an_account_is_appended() {
    let (served, _) = started(None).await;
    let own = get(&served, "/metrics").await.text().await.unwrap();
    assert!(own.contains("caas_operator_build_info{") && !own.contains("caas_account_up"), "{own}");

    let (served, _) = started(Some(AccountId::new("team-c", "new"))).await;
    let own = get(&served, "/metrics").await.text().await.unwrap();
    assert!(
        own.contains("caas_operator_build_info{"),
        "before its first collection there is none of it: {own}"
    );
}

#[test]
fn own_metrics_are_made_on_threads_for_work() {
    // Of those threads there is one, and it has something else to do.
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let context = Context { registry: registry(), metrics: Metrics::new(), append_account: None };
        let (done, busy) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || busy.recv());
        let request = http::Request::get("/metrics").body(axum::body::Body::empty()).unwrap();
        let mut answer = std::pin::pin!(router(context).oneshot(request));

        assert!(futures::poll!(&mut answer).is_pending(), "nothing of it is made by the thread that serves");

        done.send(()).unwrap();
        busy.await.unwrap().unwrap();
        assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    });
}

#[tokio::test]
async fn an_appended_account_follows_the_own_metrics_with_modern_and_legacy_names() {
    let (served, _) = started(Some(AccountId::new("team-a", "acme"))).await;
    let response = get(&served, "/metrics").await;
    assert_eq!(header(&response, "content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let all = response.text().await.unwrap();
    for name in ["caas_operator_build_info{", "caas_account_up{", "cpu_cumulative_usage{service=\"kibana\""] {
        assert!(all.contains(name), "{name}: {all}");
    }
    let mut families = BTreeSet::new();
    for family in all.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        assert!(families.insert(family.to_owned()), "{family} stands twice");
    }
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn promtool_finds_nothing_to_say_of_own_metrics_with_an_account() {
    let (served, _) = started(Some(AccountId::new("team-a", "acme"))).await;
    let all = get(&served, "/metrics").await.text().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body");
    std::fs::write(&body, all).unwrap();
    let output = tokio::process::Command::new(servers::server("promtool"))
        .args(["check", "metrics"])
        .stdin(std::fs::File::open(&body).unwrap())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn a_gone_account_is_gone_at_once_and_a_new_snapshot_is_served_at_once() {
    let (served, registry) = started(None).await;
    let account = registry.get(&AccountId::new("team-b", "modern")).unwrap().account;
    let next = snapshot(&Options { modern: false, ..ALL }, Health::Collected);
    registry.publish(&account, Arc::clone(&next));
    let body = get(&served, "/accounts/team-b/modern/metrics").await.bytes().await.unwrap();
    assert_eq!(body, plain(&next.bodies.text));

    registry.remove(&account.id);
    assert_eq!(get(&served, "/accounts/team-b/modern/metrics").await.status(), StatusCode::NOT_FOUND);
}

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
