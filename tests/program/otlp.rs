//! Pushes by OTLP: what arrives is what a scrape finds, at an endpoint of the test, in a real Prometheus and behind a real
//! collector, and an endpoint that fails holds up nothing.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use tempfile::TempDir;

use crate::blocks::{blocks, page};
use crate::exposition::{by_series, parse_text};
use crate::otlp_endpoint::{Endpoint, Reply, Series};
use crate::process::{Process, finished, program, until};
use crate::prometheus::{Prometheus, now};
use crate::servers::server;
use crate::support::{account, account_is, ask, cloud, get, get_json, metric, secret, served, standalone};

/// A standalone that collects one account and pushes each second.
struct Pushing {
    process: Process,
    base: String,
    cloud: String,
    folder: TempDir,
}

impl Pushing {
    async fn start(cloud: &str, endpoint: &str, variables: &[(&str, &str)]) -> Self {
        Self::each("1s", cloud, endpoint, variables).await
    }

    /// One that pushes with this interval.
    async fn each(interval: &str, cloud: &str, endpoint: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_account(folder.path(), cloud, "");
        let mut command = program(&standalone(folder.path()));
        command.args(["--otlp-endpoint", endpoint, "--otlp-interval", interval]);
        command.envs(variables.iter().copied());
        let mut process = Process::start(command);
        let base = served(&mut process).await;
        account_is(&base, "acme", |one| one["reason"] == "Collected").await;
        Self { process, base, cloud: cloud.to_owned(), folder }
    }

    /// Collects one service less from now on.
    fn exclude(&self, service: &str) {
        write_account(self.folder.path(), &self.cloud, &format!("services: {{exclude: ['{service}']}}"));
    }

    /// Deletes the account.
    fn delete(&self) {
        std::fs::remove_file(self.folder.path().join("acme.yaml")).unwrap();
    }

    /// What Prometheus would have after a scrape of the account: the labels of its target, and the series.
    async fn scraped(&self) -> Option<BTreeMap<Series, f64>> {
        let targets = get_json(&format!("{}/sd", self.base)).await;
        let labels = targets[0]["labels"].as_object().unwrap().iter();
        let target: BTreeMap<String, String> = labels
            .filter(|(name, _)| !name.starts_with("__"))
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(
            (&*target["job"], &*target["instance"], &*target["team"]),
            ("caas", "team-a/acme", "checkout")
        );
        let (status, body) = ask(&format!("{}/accounts/team-a/acme/metrics", self.base)).await?;
        (status == 200).then(|| series_of(&body, &target))
    }

    async fn own(&self) -> String {
        get(&format!("{}/metrics", self.base)).await
    }

    async fn stop(mut self) {
        self.process.signal("TERM");
        assert_eq!(self.process.ended().await.code(), Some(0), "{}", self.process.err());
    }
}

fn write_account(folder: &Path, cloud: &str, more: &str) {
    let spec = format!("metrics: {{labels: {{team: checkout}}}}\n  {more}");
    let manifests = format!("{}{}", secret("acme", "secret"), account("acme", "acme", cloud, &spec));
    std::fs::write(folder.join("acme.yaml"), manifests).unwrap();
}

/// A service that series have.
fn a_service(series: &BTreeMap<Series, f64>) -> String {
    series.keys().find_map(|(_, labels)| labels.get("service_name")).unwrap().clone()
}

/// The series of a body with these labels more; an empty label is the same as none.
fn series_of(body: &str, more: &BTreeMap<String, String>) -> BTreeMap<Series, f64> {
    let all = by_series(&parse_text(body).unwrap()).unwrap().into_values();
    all.map(|sample| {
        let labels = more.clone().into_iter().chain(sample.labels).filter(|(_, value)| !value.is_empty());
        ((sample.name, labels.collect()), sample.value)
    })
    .collect()
}

/// The families of accounts.
fn is_of_accounts(name: &str) -> bool {
    ["caas_account_", "caas_service_", "caas_instance_"].iter().any(|start| name.starts_with(start))
}

#[tokio::test]
async fn what_is_pushed_is_what_a_scrape_finds() {
    let cloud = cloud("secret", 3, 2).await;
    let (endpoint, url) = Endpoint::start(&[]).await;
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20canary,x-scope-orgid=team-a");
    let pushing = Pushing::start(&cloud.url(), &url, &[headers]).await;

    let number = until("the same series and values", async || {
        let scraped = pushing.scraped().await?;
        let mut pushed = endpoint.series();
        pushed.retain(|(name, _), _| is_of_accounts(name));
        (pushed == scraped).then_some(scraped.len())
    })
    .await;
    assert!(number > 100, "{number}");
    endpoint.look(|all| {
        let headers = &all[0].headers;
        assert_eq!(headers["content-type"], "application/x-protobuf");
        assert_eq!(
            (&headers["authorization"], &headers["x-scope-orgid"]),
            (&"Bearer canary".parse().unwrap(), &"team-a".parse().unwrap())
        );
        let metrics =
            all.iter().flat_map(|one| &one.message.resource_metrics).flat_map(|one| &one.scope_metrics);
        let metrics: Vec<_> = metrics.flat_map(|one| &one.metrics).collect();
        let of = |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap();
        let Some(Data::Sum(cpu)) = &of("caas_instance_cpu_usage_seconds_total").data else { panic!("a sum") };
        assert!(cpu.is_monotonic);
        for point in &cpu.data_points {
            assert!(0 < point.start_time_unix_nano && point.start_time_unix_nano < point.time_unix_nano);
        }
        let Some(Data::Histogram(requests)) = &of("caas_operator_api_request_duration_seconds").data else {
            panic!("a histogram")
        };
        let point = &requests.data_points[0];
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
    });
    until("all is counted", async || {
        let own = pushing.own().await;
        let requests = metric(&own, &["caas_operator_otlp_requests_total", "code=\"200\""]);
        let points = metric(&own, &["caas_operator_otlp_points_total", "accepted"]);
        let success = metric(&own, &["caas_operator_otlp_last_success_timestamp_seconds"]);
        (requests >= 1.0 && points >= 100.0 && success > 1e9).then_some(())
    })
    .await;
    assert!(!pushing.process.err().contains("canary"), "{}", pushing.process.err());
    pushing.stop().await;
}

#[tokio::test]
async fn a_request_is_sent_again_where_the_endpoint_asks_for_it_and_only_there() {
    let cloud = cloud("secret", 1, 1).await;
    let replies =
        [Reply::Status(503), Reply::Status(429), Reply::Status(400), Reply::Taken(3), Reply::Status(401)];
    let (endpoint, url) = Endpoint::start(&replies).await;
    // Two waits of a second fit into an interval, with much to spare on a busy machine.
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary");
    let pushing = Pushing::each("10s", &cloud.url(), &url, &[headers]).await;

    until("five answers and one more", async || endpoint.look(|all| (all.len() > 5).then_some(()))).await;
    endpoint.look(|all| assert!(all[0].body == all[1].body && all[1].body == all[2].body, "the same again"));
    let own = until("all are counted", async || {
        let own = pushing.own().await;
        (metric(&own, &["otlp_requests_total", "\"401\""]) > 0.0
            && metric(&own, &["otlp_requests_total", "\"200\""]) > 1.0)
            .then_some(own)
    })
    .await;
    for code in ["503", "429", "400", "401"] {
        assert_eq!(
            metric(&own, &["otlp_requests_total", &format!("\"{code}\"")]).to_bits(),
            1.0_f64.to_bits(),
            "{code}: {own}"
        );
    }
    let lost = metric(&own, &["otlp_points_total", "lost"]);
    let rejected = metric(&own, &["otlp_points_total", "rejected"]);
    // What is refused as a whole is sent again, each target alone: the endpoint takes the first one but for three points.
    assert!(lost > 10.0 && rejected.to_bits() == 3.0_f64.to_bits(), "{lost} {rejected}");
    let log = pushing.process.err();
    assert!(
        log.contains("metrics are not pushed by OTLP") && log.contains("metrics are pushed by OTLP"),
        "{log}"
    );
    assert!(!log.contains("canary"), "{log}");
    pushing.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_never_answers_holds_up_neither_collection_nor_scrapes() {
    let cloud = cloud("secret", 1, 1).await;
    let (endpoint, url) = Endpoint::start(&[Reply::Never; 100]).await;
    let pushing = Pushing::start(&cloud.url(), &url, &[]).await;
    until("a request", async || endpoint.look(|all| (!all.is_empty()).then_some(()))).await;

    let collected = async || {
        let body = get(&format!("{}/accounts/team-a/acme/metrics", pushing.base)).await;
        metric(&body, &["caas_account_last_collection_timestamp_seconds"])
    };
    let before = collected().await;
    until("two further collections", async || (collected().await > before + 6.0).then_some(())).await;
    until("the request is given up", async || {
        (metric(&pushing.own().await, &["otlp_requests_total", "timeout"]) > 0.0).then_some(())
    })
    .await;
    endpoint.look(|all| assert!(all.len() < 6, "one request at a time: {}", all.len()));
    pushing.stop().await;
}

#[tokio::test]
async fn the_proxy_that_the_environment_names_is_used_save_for_hosts_of_no_proxy() {
    let cloud = cloud("secret", 1, 1).await;
    // It takes requests for any host, as a proxy does.
    let (proxy, at) = Endpoint::start(&[]).await;
    let proxy_url = at.replace("http://", "http://ann:hunter2@");
    let variables = [("HTTP_PROXY", &*proxy_url), ("NO_PROXY", "127.0.0.1"), ("RUST_LOG", "trace")];
    let through = Pushing::start(&cloud.url(), "http://collector.invalid:4318", &variables).await;
    until("a request", async || proxy.look(|all| (!all.is_empty()).then_some(()))).await;
    proxy.look(|all| {
        assert_eq!(all[0].headers["host"], "collector.invalid:4318");
        assert!(all[0].headers.contains_key("proxy-authorization"));
    });
    let log = through.process.err();
    assert!(log.contains("collector.invalid") && !log.contains("hunter2") && !log.contains("YW5u"), "{log}");
    through.stop().await;

    let asked = proxy.look(<[_]>::len);
    let (direct, url) = Endpoint::start(&[]).await;
    let past = Pushing::start(&cloud.url(), &url, &variables).await;
    until("a request", async || direct.look(|all| (!all.is_empty()).then_some(()))).await;
    past.stop().await;
    assert_eq!(proxy.look(<[_]>::len), asked);
}

#[tokio::test]
async fn what_cannot_be_pushed_to_is_an_error_at_the_start_that_tells_no_header() {
    for (arguments, headers, expected) in [
        (&["--otlp-endpoint", "localhost:4318"][..], "", "use a base URL"),
        (&["--otlp-endpoint", "http://localhost:4318/v1/metrics"], "", "leave out /v1/metrics"),
        (&["--otlp-endpoint", "https://user:canary@localhost:4318"], "", "--otlp-endpoint"),
        (&["--otlp-endpoint", "http://localhost:4318"], "canary", "OTEL_EXPORTER_OTLP_HEADERS"),
        (&["--otlp-endpoint", "http://localhost:4318", "--otlp-ca-file", "/absent"], "", "--otlp-ca-file"),
        (&["--otlp-endpoint", "http://localhost:4318", "--otlp-interval", "1h"], "", "from 1s to 5m"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program(&standalone(folder.path()));
        command.args(arguments).env("OTEL_EXPORTER_OTLP_HEADERS", headers);
        let output = finished(command).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(expected), "{arguments:?}: {error}");
        assert!(!error.contains("canary"), "{error}");
    }
}

/// The block of this section of the page.
fn block(section: &str) -> String {
    let mut found = blocks(&page("docs/otlp.md").unwrap()).unwrap();
    found.retain(|block| block.section == section && block.language == "yaml");
    assert_eq!(found.len(), 1, "{section}");
    found.remove(0).text
}

fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn prometheus_has_the_series_that_a_scrape_finds() {
    let cloud = cloud("secret", 5, 3).await;
    let (prometheus, url) = Prometheus::otlp_receiver().await;
    let pushing = Pushing::start(&cloud.url(), &url, &[]).await;

    let shown = async || -> BTreeMap<Series, f64> {
        let found = prometheus.query(r#"{job="caas",__name__=~"caas_.+"}"#, now()).await;
        let series = found.into_iter();
        series.map(|(mut labels, value)| ((labels.remove("__name__").unwrap(), labels), value)).collect()
    };
    let all = until("the same series and values", async || {
        let shown = shown().await;
        (shown == pushing.scraped().await?).then_some(shown)
    })
    .await;
    println!("Prometheus' OTLP receiver: {} series, as a scrape finds them", all.len());
    let own = prometheus.query(r#"{job="caas-operator"}"#, now()).await;
    let names: BTreeSet<_> = own.iter().map(|(labels, _)| &*labels["__name__"]).collect();
    for name in [
        "caas_operator_build_info",
        "caas_operator_api_request_duration_seconds_bucket",
        "process_cpu_seconds_total",
    ] {
        assert!(names.contains(name), "{name}: {names:?}");
    }

    // Without a word about it, Prometheus would show them for 5 minutes, and the test would wait in vain.
    let began = Instant::now();
    pushing.exclude(&a_service(&all));
    let left = until("the series of a service end", async || {
        let shown = shown().await;
        (shown.len() < all.len() && shown == pushing.scraped().await?).then_some(shown.len())
    })
    .await;
    pushing.delete();
    until("all series of the account end", async || shown().await.is_empty().then_some(())).await;
    println!("{} series, then {left}, then none ended within {:?}", all.len(), began.elapsed());
    pushing.stop().await;
    prometheus.stop().await;
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_collector_exposes_the_series_that_a_scrape_finds() {
    let (receives, exposes) = (free_address(), free_address());
    let folder = tempfile::tempdir().unwrap();
    let collector = RefCell::new(collector(folder.path(), &receives, &exposes));
    let cloud = cloud("secret", 5, 3).await;
    let pushing = Pushing::start(&cloud.url(), &format!("http://{receives}"), &[]).await;

    let shown = async || {
        let ended = collector.borrow_mut().has_ended();
        assert!(ended.is_none(), "{}", collector.borrow().err());
        let (_, body) = ask(&format!("http://{exposes}/metrics")).await?;
        let is_wanted =
            |line: &&str| is_of_accounts(line.trim_start_matches("# HELP ").trim_start_matches("# TYPE "));
        let body: String = body.lines().filter(is_wanted).flat_map(|line| [line, "\n"]).collect();
        Some(series_of(&body, &BTreeMap::new()))
    };
    let all = until("the same series and values", async || {
        let shown = shown().await?;
        (shown == pushing.scraped().await?).then_some(shown)
    })
    .await;
    println!("OpenTelemetry Collector: {} series, as a scrape finds them", all.len());
    pushing.exclude(&a_service(&all));
    until("the series of a service end", async || {
        let shown = shown().await?;
        (shown.len() < all.len() && shown == pushing.scraped().await?).then_some(())
    })
    .await;
    pushing.delete();
    until("all series of the account end", async || shown().await?.is_empty().then_some(())).await;
    pushing.stop().await;
}

/// A collector with the configuration of the page.
fn collector(folder: &Path, receives: &str, exposes: &str) -> Process {
    let text =
        block("OpenTelemetry Collector").replace("0.0.0.0:4318", receives).replace("0.0.0.0:8889", exposes);
    let (file, quiet) = (folder.join("collector.yaml"), folder.join("quiet.yaml"));
    std::fs::write(&file, text).unwrap();
    // It serves its own metrics at a fixed port unless it is told not to.
    std::fs::write(&quiet, "service: {telemetry: {metrics: {level: none}}}\n").unwrap();
    let mut command = Command::new(server("otelcol"));
    command.args([file, quiet].map(|file| format!("--config={}", file.display())));
    Process::start(command)
}
