//! One real Prometheus scrapes the demo's accounts at every cloud, and the same questions are answered for all of them.
//! Whatever cloud the demo has is covered: nothing here names one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use caas_operator::simulator::providers;
use serde_json::Value;

use crate::grafana::{filled, query, targets};
use crate::process::until;
use crate::prometheus::{Prometheus, demo, now, through_discovery};
use crate::support::get_json;

/// What people ask of instances and services whatever their cloud is.
const QUESTIONS: [&str; 5] = [
    "caas_instance_memory_utilization_ratio",
    "caas_instance_memory_usage_bytes",
    "(rate(caas_instance_cpu_usage_seconds_total[4m]) or caas_instance_cpu_usage_cores)",
    "caas_service_running_instances",
    "caas_service_state == 1",
];

/// The series of a question with the provider of each.
fn by_provider(question: &str) -> String {
    format!("({question}) * on (account_namespace, account) group_left (provider) caas_account_info")
}

/// Panels that are empty where all is well, and while no rule is evaluated.
const EMPTY_WHERE_ALL_IS_WELL: [&str; 2] = ["Services with missing instances", "Firing alerts"];

/// A Prometheus that finds the accounts through `/sd`, and scrapes the operator's own metrics too.
async fn prometheus(base: &str) -> Prometheus {
    let accounts = get_json(&format!("{base}/sd")).await.as_array().unwrap().len();
    let address = base.trim_start_matches("http://");
    let own = format!(
        "  - job_name: caas-operator\n    scrape_interval: 2s\n    scrape_timeout: 2s\n    static_configs:\n      \
         - targets: ['{address}']\n"
    );
    Prometheus::start(&(through_discovery(base) + &own), accounts + 1).await
}

/// The namespaces of each provider's accounts.
async fn namespaces(prometheus: &Prometheus) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (labels, _) in prometheus.query("caas_account_info", now()).await {
        all.entry(labels["provider"].clone()).or_default().push(labels["account_namespace"].clone());
    }
    all
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn one_prometheus_answers_the_same_questions_for_every_cloud_of_the_demo() {
    let (demo, base, _) = demo().await;
    let prometheus = prometheus(&base).await;
    let simulated = providers();
    let with_demo = simulated.iter().filter(|provider| provider.demo().is_some());
    let shown: BTreeSet<&str> = with_demo.map(|provider| provider.name()).collect();
    let namespaces = namespaces(&prometheus).await;
    assert_eq!(namespaces.keys().map(String::as_str).collect::<BTreeSet<_>>(), shown);

    for question in QUESTIONS {
        let promql = format!("count by (provider) ({})", by_provider(question));
        let answer = until(&promql, async || {
            let answer = prometheus.query(&promql, now()).await;
            (answer.len() == shown.len()).then_some(answer)
        })
        .await;
        let counts: Vec<_> = answer.iter().map(|(labels, count)| (&*labels["provider"], *count)).collect();
        println!("{promql}\n  => {counts:?}");
    }
    top_ten(&prometheus).await;
    prometheus.stop().await;
    demo.ends_cleanly_by("TERM").await;
}

/// The ten instances of all clouds that use most of their memory are those with the greatest values.
async fn top_ten(prometheus: &Prometheus) {
    let (everything, time) = (by_provider("caas_instance_memory_utilization_ratio"), now());
    let mut all: Vec<f64> =
        prometheus.query(&everything, time).await.into_iter().map(|(_, value)| value).collect();
    all.sort_by(|one, other| other.total_cmp(one));
    assert!(all.len() > 10 && all.iter().all(|value| (0.0..2.0).contains(value)), "{all:?}");

    let promql = format!("topk(10, {everything})");
    let answer = prometheus.query(&promql, time).await;
    println!("{promql}");
    for (labels, value) in &answer {
        let name = |label: &str| labels.get(label).map_or("", String::as_str);
        println!("  {value:.3} {} {} {}", name("provider"), name("application"), name("instance_name"));
    }
    assert_eq!(answer.iter().map(|(_, value)| *value).collect::<Vec<_>>(), all[..10]);
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_dashboard_of_all_clouds_has_an_answer_for_each_cloud_of_the_demo() {
    let (demo, base, _) = demo().await;
    let prometheus = prometheus(&base).await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/caas-operator/dashboards/clouds.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut answered = 0;
    for (provider, namespaces) in namespaces(&prometheus).await {
        for (panel, target) in targets(&dashboard) {
            let values = [("namespace", namespaces[0].as_str()), ("cluster", ".*"), ("top", "10")];
            let promql = filled(query(target), values);
            let ask = async || prometheus.query(&promql, now()).await;
            if EMPTY_WHERE_ALL_IS_WELL.contains(&panel) {
                ask().await;
                continue;
            }
            until(&format!("{provider}: {panel}: {promql}"), async || {
                ask().await.iter().any(|(_, value)| !value.is_nan()).then_some(())
            })
            .await;
            answered += 1;
        }
        println!("{provider}: every query of {} is answered", dashboard["title"]);
    }
    assert!(answered >= 2 * 20, "{answered}");
    prometheus.stop().await;
    demo.ends_cleanly_by("TERM").await;
}
