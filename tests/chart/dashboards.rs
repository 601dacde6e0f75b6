//! The dashboards: every panel has a description, and every query is valid and uses metrics that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use caas_operator::exposition::families::families;
use serde_json::{Value, json};

use crate::chart::{errors, files, folder, of_kind, project, render, run};
use crate::grafana::{self, asked, listed, panels, query, targets, variables};

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

/// The annotations: what is drawn into every panel that shows time.
fn annotations(dashboard: &Value) -> &[Value] {
    dashboard["annotations"]["list"].as_array().unwrap()
}

/// Queries of panels and annotations, and the series that variables ask for.
fn queries(dashboard: &Value) -> Vec<String> {
    let of_panels = targets(dashboard).map(|(_, target)| query(target));
    let of_annotations = annotations(dashboard).iter().map(query);
    let of_variables = variables(dashboard).iter().filter_map(asked).map(|(series, _label)| series);
    of_panels.chain(of_annotations).chain(of_variables).map(str::to_owned).collect()
}

/// A query with every variable replaced by the value it opens with, or a word.
fn filled(query: &str, dashboard: &Value) -> String {
    let values = variables(dashboard)
        .iter()
        .map(|variable| (variable["name"].as_str().unwrap(), listed(variable).unwrap_or("x")));
    grafana::filled(query, values)
}

/// All links of a panel, in its defaults and of its columns, as text.
fn links(panel: &Value) -> Vec<&str> {
    let config = &panel["fieldConfig"];
    let overrides = config["overrides"].as_array().unwrap().iter();
    let properties = overrides.flat_map(|column| column["properties"].as_array().unwrap());
    let of_columns = properties.filter(|property| property["id"] == "links").map(|links| &links["value"]);
    std::iter::once(&config["defaults"]["links"])
        .chain(of_columns)
        .flat_map(|links| links.as_array().into_iter().flatten())
        .map(|link| link["url"].as_str().unwrap())
        .collect()
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
    let own: String = ["metrics", "account", "otlp"]
        .map(|file| fs::read_to_string(project(&format!("src/telemetry/{file}.rs"))).unwrap())
        .concat();
    let is_name = |word: &&str| {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        word.starts_with("caas_operator_") && word.chars().all(is_letter)
    };
    let own = own.split('"').filter(is_name).flat_map(|name| {
        let histogram = name.ends_with("_seconds") && !name.ends_with("_timestamp_seconds");
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
fn no_panel_draws_every_instance() {
    // A panel of time costs a line for each series, in Prometheus and in the browser.
    let one_each = ["caas_instance_", "caas_service_"];
    for (name, dashboard) in dashboards() {
        let open =
            dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] == "timeseries");
        let mut bounded = 0;
        for panel in open {
            for target in panel["targets"].as_array().unwrap() {
                let query = query(target);
                let of_each = one_each.iter().any(|prefix| query.contains(prefix));
                let summed = query.starts_with("sum by (state)");
                assert!(!of_each || summed || query.starts_with("topk($top, "), "{name}: {query}");
                bounded += usize::from(query.starts_with("topk($top, "));
            }
        }
        let top = variables(&dashboard).iter().find(|variable| variable["name"] == "top").and_then(listed);
        assert_eq!(bounded > 0, top.is_some(), "{name}");
    }
}

#[test]
fn every_query_keeps_to_the_clusters_that_are_chosen_and_works_without_any() {
    for (name, dashboard) in dashboards() {
        let cluster = variables(&dashboard).iter().find(|variable| variable["name"] == "cluster").unwrap();
        // Series without the label match too.
        assert_eq!((cluster["includeAll"].as_bool(), cluster["allValue"].as_str()), (Some(true), Some(".*")));
        for query in queries(&dashboard) {
            let selectors = query.matches('{').count();
            let chosen = query.matches("{cluster=~\"$cluster\"").count();
            let asks_for_clusters = asked(cluster).is_some_and(|(series, _)| series == query);
            assert!(asks_for_clusters || selectors == chosen && chosen > 0, "{name}: {query}");
        }
    }
}

#[test]
fn every_table_of_accounts_or_services_leads_on() {
    let linked = [("Firing alerts", 2), ("Services with missing instances", 2), ("Accounts", 1)];
    let within = [("Services", 1), ("Youngest instances", 2)];
    for (name, dashboard) in dashboards() {
        let tables: Vec<_> = panels(&dashboard)
            .filter(|panel| panel["type"] == "table")
            .map(|panel| (panel["title"].as_str().unwrap(), links(panel).len()))
            .collect();
        match name.as_str() {
            "clouds.json" => assert_eq!(tables, linked),
            "account.json" => assert_eq!(tables, within),
            _ => assert_eq!(tables, []),
        }
        // The columns that links take values from are there under these names.
        for panel in panels(&dashboard) {
            for link in links(panel) {
                assert!(link.starts_with("/d/caas-account?${datasource:queryparam}&"), "{name}: {link}");
                let columns =
                    link.split("${__data.fields.").skip(1).map(|rest| rest.split('}').next().unwrap());
                let renamed = panel["transformations"].to_string();
                for column in columns {
                    assert!(renamed.contains(&format!(":\"{column}\"")), "{name}: {column}");
                }
            }
        }
    }
}

#[test]
fn deploys_and_firing_alerts_are_annotations() {
    for (name, dashboard) in dashboards() {
        let all = annotations(&dashboard);
        let names: Vec<_> = all.iter().map(|it| it["name"].as_str().unwrap()).collect();
        let expected: &[&str] = match name.as_str() {
            "account.json" => &["Firing alerts", "New images"],
            "clouds.json" => &["Firing alerts"],
            _ => &["Firing alerts", "New versions"],
        };
        assert_eq!(names, expected, "{name}");
        assert!(all.iter().all(|it| it["enable"] == true && it["datasource"]["uid"] == "${datasource}"));
    }
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
