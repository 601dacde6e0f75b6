//! A real Prometheus scrapes the program, and the 2015 queries return what is true in the simulated cloud.

use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::blocks::{blocks, page};
use crate::demo::{Demo, addresses};
use crate::process::{Process, finished, program, until};
use crate::servers;
use crate::support::{account_is, ask, cloud, get, get_json, served};

/// The legacy gauges, their modern names, their fields in the simulated cloud, and the factor to the modern unit.
const GAUGES: [(&str, &str, &str, f64); 4] = [
    ("cpu_cumulative_usage", "caas_instance_cpu_usage_seconds_total", "cpu_nanoseconds", 1e-9),
    ("cpu_utilization", "caas_instance_cpu_utilization_ratio", "cpu_percent", 1e-2),
    ("memory_usage", "caas_instance_memory_usage_bytes", "memory_bytes", 1.0),
    ("memory_utilization", "caas_instance_memory_utilization_ratio", "memory_percent", 1e-2),
];

/// A Prometheus that finds the accounts through `/sd`: the job that `docs/standalone.md` shows first, at another address.
pub(crate) fn through_discovery(base: &str) -> String {
    let mut found = blocks(&page("docs/standalone.md").unwrap()).unwrap();
    found.retain(|block| block.section == "Prometheus" && block.text.contains("http_sd_configs"));
    let (accounts, own) = found[0].text.split_once("  - job_name: caas-operator\n").unwrap();
    assert!(accounts.contains("http://localhost:9104/sd") && own.contains("static_configs"), "{accounts}");
    accounts.replace("http://localhost:9104", base).replace("refresh_interval: 30s", "refresh_interval: 5s")
}

/// A Prometheus with a single static target.
fn static_target(base: &str) -> String {
    let address = base.trim_start_matches("http://");
    format!(
        "scrape_configs:\n  - job_name: alauda\n    scrape_interval: 2s\n    scrape_timeout: 2s\n    \
         static_configs:\n      - targets: ['{address}']\n"
    )
}

/// A running Prometheus with its folder.
pub(crate) struct Prometheus {
    base: String,
    process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one, and waits until it has scraped so many targets.
    pub(crate) async fn start(configuration: &str, targets: usize) -> Self {
        let prometheus = Self::run(configuration, &[]).await;
        until("Prometheus has scraped all targets", async || {
            let body = ask(&format!("{}/api/v1/targets?state=active", prometheus.base)).await?.1;
            let answer: Value = serde_json::from_str(&body).ok()?;
            let active = answer["data"]["activeTargets"].as_array()?;
            (active.len() == targets && active.iter().all(|target| target["health"] == "up")).then_some(())
        })
        .await;
        prometheus
    }

    /// Starts one that scrapes nothing and takes what others write to it, at the address that is returned.
    pub(crate) async fn receiver() -> (Self, String) {
        Self::receiving("--web.enable-remote-write-receiver", "/api/v1/write").await
    }

    /// The same for what is pushed by OTLP to the base URL that is returned.
    pub(crate) async fn otlp_receiver() -> (Self, String) {
        Self::receiving("--web.enable-otlp-receiver", "/api/v1/otlp").await
    }

    async fn receiving(option: &str, path: &str) -> (Self, String) {
        let prometheus = Self::run("", &[option]).await;
        until("Prometheus is ready", async || {
            let (status, _) = ask(&format!("{}/-/ready", prometheus.base)).await?;
            (status == 200).then_some(())
        })
        .await;
        let address = format!("{}{path}", prometheus.base);
        (prometheus, address)
    }

    async fn run(configuration: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, configuration).unwrap();
        let mut check = Command::new(servers::server("promtool"));
        check.args(["check", "config"]).arg(&file);
        let checked = finished(check).await;
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

        // It does not accept port 0, so a free port is found just before.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(servers::server("prometheus"));
        let option = |name: &str, value: &Path| format!("--{name}={}", value.display());
        command.args([
            option("config.file", &file),
            option("storage.tsdb.path", &folder.path().join("data")),
            format!("--web.listen-address={address}"),
            "--log.level=warn".to_owned(),
        ]);
        command.args(more);
        Self { base: format!("http://{address}"), process: Process::start(command), _folder: folder }
    }

    /// The series that a query finds at a time: labels and value.
    pub(crate) async fn query(&self, promql: &str, time: f64) -> Vec<(BTreeMap<String, String>, f64)> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("query", promql)
            .append_pair("time", &time.to_string())
            .finish();
        let answer = get_json(&format!("{}/api/v1/query?{query}", self.base)).await;
        let series = answer["data"]["result"].as_array().unwrap().iter();
        series
            .map(|one| {
                let value = one["value"][1].as_str().unwrap().parse().unwrap();
                (serde_json::from_value(one["metric"].clone()).unwrap(), value)
            })
            .collect()
    }

    /// Ends it, and asserts that it ends well.
    pub(crate) async fn stop(mut self) {
        self.process.signal("TERM");
        assert!(self.process.ended().await.success(), "{}", self.process.err());
    }
}

/// Seconds since the epoch.
pub(crate) fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * other.abs()
}

/// What one query answered, one value an instance or one in all, as it is shown.
fn shown(promql: &str, answer: &[f64]) -> String {
    format!("  {promql}\n    => {answer:?}")
}

/// The truth about a service's instances: from the name to the point at the time of the newest sample.
async fn truth(
    prometheus: &Prometheus,
    simulated: &str,
    account: &str,
    service: &str,
    time: f64,
) -> BTreeMap<String, Value> {
    let promql =
        format!(r#"caas_instance_sample_timestamp_seconds{{account="{account}",service_name="{service}"}}"#);
    let mut points = BTreeMap::new();
    for (labels, stamp) in prometheus.query(&promql, time).await {
        let all =
            get_json(&format!("{simulated}/_sim/truth?time={stamp}&account=acme&service={service}")).await;
        let instances = all["accounts"]["acme"][0]["instances"].as_array().unwrap().clone();
        let one = instances.into_iter().find(|one| one["uuid"] == labels["instance_id"].as_str()).unwrap();
        points.insert(labels["instance_name"].clone(), one["point"].clone());
    }
    points
}

/// Asks the article's queries about one service of an account, with old and with modern names, and holds the answers against the
/// truth; nothing where they differ, as they do when a scrape came between.
///
/// `instance` is the label that names the instance on the article's gauges.
async fn answers(prometheus: &Prometheus, simulated: &str, account: &str, instance: &str) -> Option<String> {
    let (service, time) = ("kibana", now());
    let modern_only = format!(r#"account="{account}","#);
    let points = truth(prometheus, simulated, account, service, time).await;
    assert_eq!(points.len(), 5);
    let mut all = Vec::new();
    for (article, modern, field, unit) in GAUGES {
        let names = [
            (article, "service", "", instance, 1.0),
            (modern, "service_name", &modern_only, "instance_name", unit),
        ];
        for (name, label, more, instance, unit) in names {
            let of_instances = format!(r#"{name}{{{more}{label}="{service}"}}"#);
            let answer = prometheus.query(&of_instances, time).await;
            let is_true = |(labels, value): &(BTreeMap<String, String>, f64)| {
                let point = labels.get(instance).and_then(|name| points.get(name));
                point.is_some_and(|point| close(*value, point[field].as_f64().unwrap() * unit))
            };
            if answer.len() != points.len() || !answer.iter().all(is_true) {
                return None;
            }
            all.push(shown(&of_instances, &answer.iter().map(|(_, value)| *value).collect::<Vec<_>>()));

            let summed = format!("sum by ({label}) ({of_instances})");
            let answer = prometheus.query(&summed, time).await;
            let sum: f64 = points.values().map(|point| point[field].as_f64().unwrap() * unit).sum();
            if answer.len() != 1 || !close(answer[0].1, sum) {
                return None;
            }
            all.push(shown(&summed, &[answer[0].1]));
        }
    }
    Some(all.join("\n"))
}

/// The demo without churn, and the addresses of its server and its cloud.
pub(crate) async fn demo() -> (Demo, String, String) {
    let mut demo = Demo::with(&["--listen-cloud", "127.0.0.1:0", "--churn", "0"]);
    let all = addresses(&demo.greeting().await);
    let base = all.iter().find_map(|address| address.strip_suffix("/sd")).unwrap().to_owned();
    let (simulated, _) = all[0].split_once("/v1/").unwrap();
    let simulated = simulated.to_owned();
    (demo, base, simulated)
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn prometheus_answers_the_2015_queries_on_the_demo_through_discovery() {
    let (demo, base, simulated) = demo().await;
    let targets = get_json(&format!("{base}/sd")).await.as_array().unwrap().len();
    let prometheus = Prometheus::start(&through_discovery(&base), targets).await;

    let said = until("correct answers", async || answers(&prometheus, &simulated, "acme", "instance").await);
    println!("Prometheus on the demo, through /sd:\n{}", said.await);

    let time = now();
    let by_service = prometheus.query("sum by (service) (memory_usage)", time).await;
    assert_eq!(by_service.len(), 20, "one sum a service of the account that has the article's names");
    println!("  sum by (service) (memory_usage)\n    => {} services", by_service.len());
    let everything = prometheus.query(r#"{__name__=~".+"}"#, time).await;
    for (labels, _) in &everything {
        assert!(!labels.keys().any(|label| label.starts_with("exported_")), "{labels:?}");
        let account = &labels["namespace"];
        assert!(account.starts_with("team-"), "{labels:?}");
        assert!(labels.contains_key("team"), "the target's constant label: {labels:?}");
    }
    let up = prometheus.query("up", time).await;
    let scraped: Vec<_> =
        up.iter().map(|(labels, value)| (&*labels["job"], &*labels["instance"], *value)).collect();
    println!("  up\n    => {scraped:?}");
    assert_eq!(scraped.len(), targets);
    prometheus.stop().await;
    demo.ends_cleanly_by("TERM").await;
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn prometheus_answers_the_2015_queries_on_a_single_account() {
    let cloud = cloud("secret", 20, 5).await;
    let arguments = ["standalone", "--alauda-endpoint", &cloud.url(), "--listen", "127.0.0.1:0"];
    let mut command = program(&arguments);
    command.env("ALAUDA_USERNAME", "acme").env("ALAUDA_PASSWORD", "secret");
    let mut process = Process::start(command);
    let base = served(&mut process).await;
    account_is(&base, "alauda", |one| one["reason"] == "Collected").await;
    let prometheus = Prometheus::start(&static_target(&base), 1).await;

    // The article's configuration has no honor_labels: the gauges' `instance` is renamed, its queries do not use it.
    let simulated = cloud.url().replace("/v1/", "");
    let said = until("correct answers", async || {
        answers(&prometheus, &simulated, "alauda", "exported_instance").await
    });
    println!("Prometheus on standalone with one account:\n{}", said.await);
    prometheus.stop().await;
    process.signal("TERM");
    assert_eq!(process.ended().await.code(), Some(0));
    cloud.stop().await;
}

/// The exit code and output of promtool for a body.
async fn lint(body: &str) -> (Option<i32>, String) {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(body.as_bytes()).unwrap();
    input.rewind().unwrap();
    let mut tool = Command::new(servers::server("promtool"));
    tool.args(["check", "metrics"]).stdin(input);
    let output = finished(tool).await;
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn promtool_has_no_complaint_about_the_demos_metrics() {
    let (_demo, base, _) = demo().await;
    for path in ["/metrics", "/accounts/team-a/acme/metrics", "/accounts/team-b/globex/metrics"] {
        assert_eq!(lint(&get(&format!("{base}{path}")).await).await, (Some(0), String::new()), "{path}");
    }
    // The article's names break conventions, which old dashboards need: they only have to be readable.
    let (code, words) = lint(&get(&format!("{base}/accounts/team-a/acme/metrics/legacy")).await).await;
    assert!(matches!(code, Some(0 | 3)), "{words}");
}
