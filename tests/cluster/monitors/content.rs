//! What is in the ServiceMonitor, and that it stays so.

use std::collections::BTreeMap;

use anyhow::Context;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::{fixture, monitor};
use crate::fixture::Fixture;

/// The endpoint's relabelings.
fn relabelings(fixture: &Fixture, job: &str, labels: &[(&str, &str)]) -> Value {
    let set =
        |label: &str, value: &str| json!({"action": "replace", "targetLabel": label, "replacement": value});
    let namespace = fixture.namespace.name();
    let mut rules: Vec<_> = labels.iter().map(|(label, value)| set(label, value)).collect();
    let id = format!("{namespace}/acme");
    rules.extend([set("namespace", namespace), set("instance", &id), set("job", job)]);
    if job == "caas-legacy" {
        rules.push(set("account", "acme"));
    }
    rules.extend([
        set("__address__", "caas-operator.caas-system.svc:8080"),
        set("__tmp_hash", &id),
        json!({"action": "labeldrop", "regex": "pod|container|node|service|endpoint"}),
    ]);
    Value::Array(rules)
}

fn spec(endpoints: &Value) -> Value {
    json!({
        "endpoints": endpoints,
        "keepDroppedTargets": 1,
        "namespaceSelector": {"any": false, "matchNames": ["caas-system"]},
        "selector": {"matchLabels": {"caas-operator.io/service": "caas-operator"}},
    })
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn it_says_what_prometheus_operator_needs_and_follows_the_account() -> anyhow::Result<()> {
    let fixture = fixture("content").await?;
    let _operator = fixture.start_operator().await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;

    let found = fixture.monitors().get("caas-acme").await?;
    let path = fixture.path("acme");
    let endpoint = json!({"port": "http", "path": path, "interval": "5s", "scrapeTimeout": "5s",
        "relabelings": relabelings(&fixture, "caas", &[])});
    assert_eq!(found.data["spec"], spec(&json!([endpoint])));
    assert_eq!(
        found.labels().iter().collect::<Vec<_>>(),
        [(&"app.kubernetes.io/managed-by".to_owned(), &"caas-operator".to_owned())]
    );
    let account = fixture.accounts().get("acme").await?;
    let owners: Vec<_> = found.owner_references().iter().map(|it| (it.uid.clone(), it.controller)).collect();
    assert_eq!(owners, [(account.uid().context("a UID")?, Some(true))]);
    assert!(found.finalizers().is_empty() && account.finalizers().is_empty());

    let changes = json!({"spec": {
        "serviceMonitor": {"labels": {"release": "stack"}, "annotations": {"note": "ours"}, "scrapeTimeout": "3s"},
        "metrics": {"labels": {"team": "check$1out"}, "names": "Both"},
    }});
    fixture.patch("acme", changes).await?;
    let found = monitor(&fixture, "both endpoints", |it| {
        it.data["spec"]["endpoints"].as_array().is_some_and(|endpoints| endpoints.len() == 2)
    })
    .await;
    // Prometheus reads `$$` as `$`.
    let team = [("team", "check$$1out")];
    let modern = json!({"port": "http", "path": path, "interval": "5s", "scrapeTimeout": "3s",
        "relabelings": relabelings(&fixture, "caas", &team)});
    let legacy = json!({"port": "http", "path": format!("{path}/legacy"), "interval": "5s", "scrapeTimeout": "3s",
        "honorLabels": true, "relabelings": relabelings(&fixture, "caas-legacy", &team)});
    assert_eq!(found.data["spec"], spec(&json!([modern, legacy])));
    assert_eq!(found.labels().get("release").map(String::as_str), Some("stack"));
    assert_eq!(found.annotations().get("note").map(String::as_str), Some("ours"));

    fixture.patch("acme", json!({"spec": {"serviceMonitor": {"labels": null, "annotations": null}}})).await?;
    monitor(&fixture, "label and annotation to go", |it| {
        !it.labels().contains_key("release") && !it.annotations().contains_key("note")
    })
    .await;
    Ok(())
}

/// What an endpoint makes of its target, as the list at `/sd` would have it.
fn listed(endpoint: &Value) -> BTreeMap<&str, &str> {
    let field = |name: &str| endpoint[name].as_str().unwrap_or_default();
    let rules = endpoint["relabelings"].as_array().into_iter().flatten();
    let set = rules.filter_map(|rule| Some((rule["targetLabel"].as_str()?, rule["replacement"].as_str()?)));
    // The two differ in how Prometheus reaches the target.
    set.filter(|(label, _)| !label.starts_with("__"))
        .chain([
            ("__metrics_path__", field("path")),
            ("__scrape_interval__", field("interval")),
            ("__scrape_timeout__", field("scrapeTimeout")),
        ])
        .collect()
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_service_monitor_and_discovery_say_the_same_of_each_target() -> anyhow::Result<()> {
    let fixture = fixture("same-targets").await?;
    let operator = fixture.start_operator().await?;
    let spec = json!({
        "collection": {"interval": "10s500ms"},
        "metrics": {"names": "Both", "labels": {"team": "checkout"}},
        "serviceMonitor": {"scrapeTimeout": "7s"},
    });
    fixture.account_with("acme", spec).await?;
    fixture.until_ready("acme").await;

    let found = fixture.monitors().get("caas-acme").await?;
    let endpoints = found.data["spec"]["endpoints"].as_array().context("endpoints")?;
    let groups: Value = serde_json::from_str(&operator.scrape("/sd").await?.1)?;
    let groups = groups.as_array().context("groups")?;
    assert_eq!((endpoints.len(), groups.len()), (2, 2));
    for (endpoint, group) in endpoints.iter().zip(groups) {
        assert_eq!(json!(listed(endpoint)), group["labels"]);
        assert_eq!(listed(endpoint)["__scrape_timeout__"], "7s");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_edited_one_is_put_back_and_a_deleted_one_comes_again() -> anyhow::Result<()> {
    let fixture = fixture("edited").await?;
    let _operator = fixture.start_operator().await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    let wanted = fixture.monitors().get("caas-acme").await?;
    let label = "app.kubernetes.io/managed-by";

    let endpoint = wanted.data["spec"]["endpoints"][0].clone();
    let with = |key: &str, value: Value| {
        let mut endpoint = endpoint.clone();
        endpoint[key] = value;
        json!({"spec": {"endpoints": [endpoint]}})
    };
    for edit in [
        with("path", json!("/elsewhere")),
        with("honorLabels", json!(true)),
        with("scheme", json!("https")),
        with("relabelings", json!([{"action": "replace", "targetLabel": "job", "replacement": "mine"}])),
        json!({"spec": {"selector": {"matchLabels": {"app": "mine"}}}}),
        json!({"spec": {"selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}}),
        json!({"spec": {"namespaceSelector": {"any": true}}}),
        json!({"metadata": {"labels": {label: null}}}),
    ] {
        let edited =
            fixture.monitors().patch("caas-acme", &PatchParams::default(), &Patch::Merge(&edit)).await?;
        monitor(&fixture, &format!("{edit} to be put back"), |it| {
            it.resource_version() != edited.resource_version()
                && it.data["spec"] == wanted.data["spec"]
                && it.labels().contains_key(label)
        })
        .await;
    }
    fixture.monitors().delete("caas-acme", &DeleteParams::default()).await?;
    monitor(&fixture, "another one", |it| it.uid() != wanted.uid()).await;
    // Nothing is reported while it is as it should be.
    assert_eq!(fixture.events("acme").await?.get("Applied"), Some(&1));
    Ok(())
}
