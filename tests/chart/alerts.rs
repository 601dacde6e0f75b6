//! The alerts: each fires and resolves (`promtool test rules`), and leads to a runbook that exists.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::chart::{errors, files, only, project, render, run};

const ENABLED: [&str; 2] = ["--set", "prometheusRule.enabled=true,serviceMonitor.enabled=true"];

fn alerts(rule: &Value) -> Vec<&Value> {
    let groups = rule["spec"]["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("{pointer} is missing in {value}"))
}

/// Runs `promtool test rules` on the rules that the chart renders with additional arguments.
fn promtool_passes(arguments: &[&str], tests: &[PathBuf]) {
    let folder = tempfile::tempdir().unwrap();
    let objects = render(&[&ENABLED, arguments].concat());
    // YAML includes JSON.
    let rules = only(&objects, "PrometheusRule")["spec"].to_string();
    fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    let copies: Vec<_> = tests.iter().map(|test| folder.path().join(test.file_name().unwrap())).collect();
    for (test, copy) in tests.iter().zip(&copies) {
        fs::copy(test, copy).unwrap();
    }

    let words = ["test".as_ref(), "rules".as_ref()].into_iter().chain(copies.iter().map(AsRef::as_ref));
    let output = run("promtool", words.collect::<Vec<&OsStr>>());

    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), errors(&output));
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn every_alert_fires_and_resolves() {
    promtool_passes(&[], &files(&project("tests/chart/rules")));
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn the_documented_values_for_long_intervals_suit_accounts_collected_every_hour() {
    let page = fs::read_to_string(project("docs/alerts.md")).unwrap();
    let (_, section) = page.split_once("## Long intervals").unwrap();
    let values = section.split("```").nth(1).and_then(|block| block.strip_prefix("yaml")).unwrap();
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    fs::write(file.path(), values).unwrap();
    promtool_passes(&["--values", file.path().to_str().unwrap()], &[project("tests/chart/hourly.yaml")]);
}

/// Whether a test in a file makes the alert fire and then expects it to resolve.
fn resolves(file: &Value) -> bool {
    file["tests"].as_array().unwrap().iter().any(|test| {
        let mut expected =
            test["alert_rule_test"].as_array().unwrap().iter().map(|at| at["exp_alerts"].as_array().unwrap());
        expected.by_ref().any(|alerts| !alerts.is_empty()) && expected.any(Vec::is_empty)
    })
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn every_alert_has_a_test_in_which_it_fires_and_then_resolves() {
    let objects = render(&ENABLED);
    let named: BTreeSet<_> = alerts(only(&objects, "PrometheusRule"))
        .iter()
        .map(|alert| text(alert, "/alert").to_owned())
        .collect();
    let tested: BTreeSet<_> = files(&project("tests/chart/rules"))
        .iter()
        .map(|test| test.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(named, tested);
    for name in &tested {
        let test = fs::read_to_string(project(&format!("tests/chart/rules/{name}.yaml"))).unwrap();
        assert!(
            test.lines().all(|line| !line.contains("alertname:") || line.contains(name)),
            "{name} tests another alert"
        );
        assert!(resolves(&serde_saphyr::from_str(&test).unwrap()), "{name} does not resolve");
    }
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn every_alert_has_a_summary_a_description_and_a_runbook() {
    let objects = render(&ENABLED);
    let alerts_page = fs::read_to_string(project("docs/alerts.md")).unwrap();
    let alerts = alerts(only(&objects, "PrometheusRule"));
    for alert in &alerts {
        let name = text(alert, "/alert");
        for pointer in ["/for", "/labels/severity", "/annotations/summary", "/annotations/description"] {
            assert!(!text(alert, pointer).is_empty(), "{name}");
        }
        let (_, runbook) = text(alert, "/annotations/runbook_url").split_once("/blob/main/").unwrap();
        assert_eq!(runbook, format!("docs/runbooks/{name}.md"));
        let page = fs::read_to_string(project(runbook)).unwrap();
        assert!(
            page.starts_with(&format!("# {name}\n"))
                && page.contains("## Diagnosis")
                && page.contains("## Causes"),
            "{runbook}"
        );
        assert!(
            alerts_page.contains(&format!("| `{name}` | {} |", text(alert, "/labels/severity"))),
            "{name} in docs/alerts.md"
        );
    }
    assert_eq!(files(&project("docs/runbooks")).len(), alerts.len(), "a runbook without an alert");
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn thresholds_labels_and_selectors_come_from_values() {
    let objects = render(&[
        "--set=prometheusRule.enabled=true",
        "--set-literal=prometheusRule.accountSelector=job=\"clouds\"",
        "--set-literal=prometheusRule.operatorSelector=job=\"own\"",
        "--set=prometheusRule.alertLabels.team=platform",
        "--set=prometheusRule.runbookUrl=https://runbooks.example.com/caas/",
        "--set=prometheusRule.alerts.CaasInstanceCpuHigh.cores=1.5",
        "--set=prometheusRule.alerts.CaasInstanceCpuHigh.window=20m",
        "--set=prometheusRule.alerts.CaasInstanceCpuHigh.for=1h",
        "--set=prometheusRule.alerts.CaasInstanceCpuHigh.severity=info",
        "--set=prometheusRule.alerts.CaasInstanceMemoryHigh.enabled=false",
    ]);
    let rule = only(&objects, "PrometheusRule");
    let find = |name: &str| alerts(rule).into_iter().find(|alert| alert["alert"] == name);
    let cpu = find("CaasInstanceCpuHigh").unwrap();
    assert_eq!(text(cpu, "/expr"), r#"rate(caas_instance_cpu_usage_seconds_total{job="clouds"}[20m]) > 1.5"#);
    assert_eq!(
        (text(cpu, "/for"), text(cpu, "/labels/severity"), text(cpu, "/labels/team")),
        ("1h", "info", "platform")
    );
    assert_eq!(
        text(cpu, "/annotations/runbook_url"),
        "https://runbooks.example.com/caas/CaasInstanceCpuHigh.md"
    );
    assert_eq!(text(find("CaasOperatorDown").unwrap(), "/expr"), r#"absent(up{job="own"} == 1)"#);
    assert!(find("CaasInstanceMemoryHigh").is_none());
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn every_alert_leads_to_its_dashboard_where_grafana_is_known() {
    let objects =
        render(&[&ENABLED[..], &["--set=prometheusRule.grafanaUrl=https://grafana.example.com/"]].concat());
    let uid = |name: &str| {
        let file = project(&format!("charts/caas-operator/dashboards/{name}.json"));
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        format!("https://grafana.example.com/d/{}", dashboard["uid"].as_str().unwrap())
    };
    let account =
        uid("account") + "?var-namespace={{ $labels.account_namespace }}&var-account={{ $labels.account }}";
    let service = account.clone() + "&var-service={{ $labels.service_name | urlquery }}";
    let instance = service.clone() + "&var-instance={{ $labels.instance_name | urlquery }}";
    for alert in alerts(only(&objects, "PrometheusRule")) {
        let name = text(alert, "/alert");
        let expected = match name {
            "CaasOperatorDown" | "CaasAccountsNotOwned" | "CaasOtlpPushFailing" => uid("operator"),
            _ if name.starts_with("CaasInstance") => instance.clone(),
            "CaasServiceInstancesMissing" => service.clone(),
            _ => account.clone(),
        };
        assert_eq!(text(alert, "/annotations/dashboard_url"), expected, "{name}");
    }
    let without = render(&ENABLED);
    assert!(!only(&without, "PrometheusRule").to_string().contains("dashboard_url"));
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn links_to_dashboards_take_names_as_they_are() {
    let file = project("tests/chart/dashboard_url.yaml");
    promtool_passes(&["--set=prometheusRule.grafanaUrl=https://grafana.example.com"], &[file]);
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn a_release_for_some_namespaces_alerts_only_on_their_accounts() {
    let objects = render(&[&ENABLED[..], &["--set=namespaces={team-a,team-b}"]].concat());
    let rule = only(&objects, "PrometheusRule");
    let memory = alerts(rule).into_iter().find(|alert| alert["alert"] == "CaasInstanceMemoryHigh").unwrap();
    let selector = r#"{job="caas",namespace=~"team-a|team-b"}"#;
    assert_eq!(text(memory, "/expr"), format!("caas_instance_memory_utilization_ratio{selector} > 0.9"));
}
