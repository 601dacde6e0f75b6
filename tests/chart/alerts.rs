//! The alerts: each fires and resolves (`promtool test rules`), and leads to a runbook that exists.

use std::collections::BTreeSet;
use std::fs;

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

#[test]
#[ignore = "needs the real servers: run make test"]
fn every_alert_fires_and_resolves() {
    let folder = tempfile::tempdir().unwrap();
    let objects = render(&ENABLED);
    // YAML includes JSON.
    let rules = only(&objects, "PrometheusRule")["spec"].to_string();
    fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    let tests = files(&project("tests/chart/rules"));
    let copies: Vec<_> = tests.iter().map(|test| folder.path().join(test.file_name().unwrap())).collect();
    for (test, copy) in tests.iter().zip(&copies) {
        fs::copy(test, copy).unwrap();
    }

    let output = run(
        "promtool",
        ["test".as_ref(), "rules".as_ref()]
            .into_iter()
            .chain(copies.iter().map(AsRef::as_ref))
            .collect::<Vec<&std::ffi::OsStr>>(),
    );

    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), errors(&output));
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() {
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
        assert!(test.contains("exp_labels") && test.contains("exp_alerts: []"), "{name}");
    }
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn every_alert_tells_what_happened_and_leads_to_its_runbook() {
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
                && page.contains("## Look")
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
        "--set=prometheusRule.alerts.CaasInstanceCpuHigh.ratio=0.75",
        "--set=prometheusRule.alerts.CaasInstanceCpuHigh.for=1h",
        "--set=prometheusRule.alerts.CaasInstanceCpuHigh.severity=info",
        "--set=prometheusRule.alerts.CaasInstanceMemoryHigh.enabled=false",
    ]);
    let rule = only(&objects, "PrometheusRule");
    let find = |name: &str| alerts(rule).into_iter().find(|alert| alert["alert"] == name);
    let cpu = find("CaasInstanceCpuHigh").unwrap();
    assert_eq!(text(cpu, "/expr"), r#"caas_instance_cpu_utilization_ratio{job="clouds"} > 0.75"#);
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
