//! The dashboards: every panel has a description, and every query is valid and uses metrics that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use caas_operator::exposition::families::families;
use serde_json::{Value, json};

use crate::chart::{errors, files, folder, of_kind, project, render, run};
use crate::grafana::{self, asked, panels, query, targets, variables};

/// Metrics that come from Prometheus itself or from the process.
const OTHERS: [&str; 7] = [
    "up",
    "ALERTS",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
];

fn dashboards() -> Vec<(String, Value)> {
    let read = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
    };
    let all: Vec<_> = files(&folder().join("dashboards")).iter().map(|path| read(path)).collect();
    assert_eq!(all.len(), 3);
    all
}

/// Queries of panels, and the series that variables ask for.
fn queries(dashboard: &Value) -> Vec<String> {
    let of_panels = targets(dashboard).map(|(_, target)| query(target));
    let of_variables = variables(dashboard).iter().filter_map(asked).map(|(series, _label)| series);
    of_panels.chain(of_variables).map(str::to_owned).collect()
}

/// A query with every variable replaced by a word.
fn filled(query: &str, dashboard: &Value) -> String {
    let names = variables(dashboard).iter().map(|variable| variable["name"].as_str().unwrap());
    grafana::filled(query, names.map(|name| (name, "x")))
}

/// The names of metrics in a query: words before a brace, or that only metrics are called.
fn metrics(query: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut word = String::new();
    let mut quoted = false;
    for character in query.chars().chain([' ']) {
        if character == '"' {
            quoted = !quoted;
        }
        if !quoted && (character.is_ascii_alphanumeric() || character == '_') {
            word.push(character);
            continue;
        }
        if character == '{' || word.starts_with("caas_") {
            names.insert(word.clone());
        }
        word.clear();
    }
    names.remove("");
    names
}

/// All metrics that there are: of accounts from their table, of the operator from the files that define them.
fn known() -> BTreeSet<String> {
    let own: String = ["metrics", "account"]
        .map(|file| fs::read_to_string(project(&format!("src/telemetry/{file}.rs"))).unwrap())
        .concat();
    let is_name = |word: &&str| {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        word.starts_with("caas_operator_") && word.chars().all(is_letter)
    };
    let own = own.split('"').filter(is_name).flat_map(|name| {
        let histogram = name.ends_with("_seconds");
        std::iter::once(name.to_owned()).chain(histogram.then(|| format!("{name}_bucket")))
    });
    let of_accounts = families().iter().map(|family| family.name.to_owned());
    own.chain(of_accounts).chain(OTHERS.map(str::to_owned)).collect()
}

#[test]
fn every_panel_has_a_title_a_description_and_a_unit() {
    for (name, dashboard) in dashboards() {
        let mut seen = BTreeSet::new();
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{name}: {title}");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{name}: {title} has no unit");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{name}: {title}");
            assert!(seen.insert(panel["id"].to_string()), "{name}: {title} has another panel's id");
        }
        assert!(seen.len() > 10, "{name}");
    }
}

#[test]
fn every_dashboard_has_a_data_source_variable() {
    let mut identities = BTreeSet::new();
    for (name, dashboard) in dashboards() {
        assert!(identities.insert(dashboard["uid"].as_str().unwrap().to_owned()), "{name}");
        assert_eq!(variables(&dashboard)[0]["type"], "datasource", "{name}");
        for variable in variables(&dashboard) {
            assert!(
                variable["label"].is_string() && variable["description"].is_string(),
                "{name}: {variable}"
            );
        }
    }
}

#[test]
fn every_rate_spans_several_scrapes_even_a_minute_apart() {
    // Accounts are scraped each 30 seconds by default, and at least each minute. Without a minimal step, Grafana would take
    // four times the interval of its data source, in which there may be one scrape or none.
    let (mut rates, mut fixed) = (0, 0);
    for (name, dashboard) in dashboards() {
        for (_, target) in targets(&dashboard) {
            let query = query(target);
            for window in query.split('[').skip(1).map(|rest| rest.split(']').next().unwrap()) {
                if window == "$__rate_interval" {
                    assert_eq!(target["interval"], "1m", "{name}: {query}");
                    rates += 1;
                } else {
                    assert!(["15m", "1h"].contains(&window), "{name}: {query}");
                    fixed += 1;
                }
            }
        }
    }
    assert!(rates > 30 && fixed > 1, "{rates} {fixed}");
}

#[test]
fn every_query_asks_for_metrics_that_exist() {
    let known = known();
    for (name, dashboard) in dashboards() {
        for query in queries(&dashboard) {
            let asked = metrics(&filled(&query, &dashboard));
            assert!(!asked.is_empty(), "{name}: {query}");
            let unknown: Vec<_> = asked.difference(&known).collect();
            assert!(unknown.is_empty(), "{name}: {unknown:?} in {query}");
        }
    }
}

#[test]
fn every_metric_of_the_operator_and_of_accounts_is_on_a_dashboard() {
    // Shown by what is derived from them: the age of data, the version's table, the histograms' buckets.
    let elsewhere = [
        "caas_account_last_collection_timestamp_seconds",
        "caas_operator_api_request_duration_seconds",
        "caas_operator_reconcile_duration_seconds",
    ];
    // A family whose values no provider reads yet gets its panel with the provider.
    let alauda = fs::read_to_string(project(
        "tests/exposition/snapshots/exposition__snapshots__text_stays_as_it_is.snap",
    ))
    .unwrap();
    let unread: BTreeSet<_> = families()
        .iter()
        .map(|family| family.name)
        .filter(|name| !alauda.contains(&format!("# TYPE {name} ")))
        .collect();
    let shown: BTreeSet<_> = dashboards()
        .iter()
        .flat_map(|(_, dashboard)| queries(dashboard))
        .flat_map(|query| metrics(&query))
        .collect();
    let missing: Vec<_> = known()
        .into_iter()
        .filter(|name| {
            name.starts_with("caas_")
                && !shown.contains(name)
                && !elsewhere.contains(&name.as_str())
                && !unread.contains(name.as_str())
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn prometheus_can_parse_every_query() {
    let dashboards = dashboards();
    let rules: Vec<_> = dashboards
        .iter()
        .flat_map(|(_, dashboard)| queries(dashboard).into_iter().map(|query| filled(&query, dashboard)))
        .enumerate()
        .map(|(number, query)| json!({"record": format!("query:{number}"), "expr": query}))
        .collect();
    assert!(rules.len() > 80);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queries.yaml");
    fs::write(&file, json!({"groups": [{"name": "dashboards", "rules": rules}]}).to_string()).unwrap();

    let output = run("promtool", ["check", "rules", file.to_str().unwrap()]);

    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), errors(&output));
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn the_chart_hands_each_dashboard_to_grafana_unchanged() {
    let objects = render(&["--set", "dashboards.enabled=true"]);
    let found: Vec<(String, Value)> = of_kind(&objects, "ConfigMap")
        .flat_map(|object| {
            assert_eq!(object["metadata"]["labels"]["grafana_dashboard"], "1");
            object["data"].as_object().unwrap().iter()
        })
        .map(|(file, text)| {
            (
                file.trim_start_matches("caas-").to_owned(),
                serde_json::from_str(text.as_str().unwrap()).unwrap(),
            )
        })
        .collect();
    assert_eq!(found, dashboards());
}
