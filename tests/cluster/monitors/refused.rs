//! A ServiceMonitor that the API server refuses is told, and mended.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{monitor, stage};
use crate::harness::{Kubeconfig, Operator, OperatorOptions, Proxy};
use crate::stage::{MONITORS, Stage};

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_label_that_the_api_server_refuses_is_told_and_mended() -> anyhow::Result<()> {
    let stage = stage("invalid").await?;
    let operator = stage.operator().await?;
    // Our rules let this prefix pass; the API server knows that a DNS name has no empty part.
    let labels = json!({"serviceMonitor": {"labels": {"a..b/release": "stack"}}});
    stage.account_with("acme", labels).await?;

    let message = stage.becomes("acme", "ServiceMonitorReady", "Invalid").await;
    assert!(message.contains("spec.serviceMonitor"), "{message}");
    stage.becomes("acme", "Collecting", "Collected").await;
    stage.scraped(&operator, "acme", 200).await;

    stage.change("acme", json!({"spec": {"serviceMonitor": {"labels": {"a..b/release": null}}}})).await?;
    stage.ready("acme").await;
    Ok(())
}

/// What a `ServiceAccount` of the namespace is granted, by the name of the role.
fn grant(stage: &Stage, role: &str, rules: &Value) -> Vec<Value> {
    let namespace = stage.namespace.name();
    let api = "rbac.authorization.k8s.io";
    vec![
        json!({"apiVersion": format!("{api}/v1"), "kind": "Role", "metadata": {"name": role}, "rules": rules}),
        json!({"apiVersion": format!("{api}/v1"), "kind": "RoleBinding", "metadata": {"name": role},
            "roleRef": {"apiGroup": api, "kind": "Role", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": "caas-operator", "namespace": namespace}]}),
    ]
}

/// A kubeconfig of an operator that may do everything here but what concerns ServiceMonitors.
async fn without_monitors(stage: &Stage) -> anyhow::Result<Kubeconfig> {
    let rules = json!([
        {"apiGroups": ["caas-operator.io"], "resources": ["caasaccounts"], "verbs": ["list", "watch"]},
        {"apiGroups": ["caas-operator.io"], "resources": ["caasaccounts/status"], "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
    ]);
    apply(stage, grant(stage, "caas-operator", &rules)).await?;
    stage.namespace.service_account("caas-operator").await
}

async fn apply(stage: &Stage, items: Vec<Value>) -> anyhow::Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    stage.namespace.apply(&list.to_string()).await?.expect_ok();
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn what_is_forbidden_is_told_while_collection_goes_on_until_it_is_granted() -> anyhow::Result<()> {
    let stage = stage("forbidden").await?;
    let proxy = Proxy::start(stage.namespace.cluster()).await?;
    let kubeconfig = proxy.kubeconfig(&without_monitors(&stage).await?)?;
    let options = OperatorOptions { kubeconfig: Some(kubeconfig), ..stage.options() };
    let operator = Operator::start(stage.namespace.cluster(), options).await?;
    stage.account("acme").await?;

    let message = stage.becomes("acme", "ServiceMonitorReady", "Forbidden").await;
    assert!(message.contains("servicemonitors.monitoring.coreos.com"), "{message}");
    stage.becomes("acme", "Collecting", "Collected").await;
    stage.scraped(&operator, "acme", 200).await;
    assert_eq!(operator.health("/readyz").await?.0, 200);
    let asked = || proxy.count(&stage.calls("*", MONITORS));
    let (before, since) = (asked(), Instant::now());
    stage.cycles(3).await;
    let (more, bound) = (asked() - before, since.elapsed() + Duration::from_secs(5));
    assert!(Duration::from_secs(more.try_into()?) <= bound, "{more} calls in {:?}", since.elapsed());

    // Who wants none has nothing to grant.
    stage.account_with("none", json!({"serviceMonitor": {"enabled": false}})).await?;
    stage.becomes("none", "ServiceMonitorReady", "Disabled").await;
    assert_eq!(stage.events("none").await?.get("Forbidden"), None);

    let verbs = json!(["get", "list", "watch", "create", "patch", "delete"]);
    let rules =
        json!([{"apiGroups": ["monitoring.coreos.com"], "resources": ["servicemonitors"], "verbs": verbs}]);
    apply(&stage, grant(&stage, "monitors", &rules)).await?;
    stage.ready("acme").await;
    monitor(&stage, "it to be written", |_| true).await;
    assert_eq!(stage.events("acme").await?.get("Forbidden"), Some(&1));
    Ok(())
}
