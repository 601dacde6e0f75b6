//! A ServiceMonitor that the API server refuses is reported, and written once the cause is fixed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{fixture, monitor};
use crate::fixture::{Fixture, MONITORS};
use crate::harness::{Kubeconfig, Operator, OperatorOptions, Proxy};

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_label_that_the_api_server_refuses_is_reported_until_it_is_fixed() -> anyhow::Result<()> {
    let fixture = fixture("invalid").await?;
    let operator = fixture.start_operator().await?;
    // Our rules let this prefix pass; the API server knows that a DNS name has no empty part.
    let labels = json!({"serviceMonitor": {"labels": {"a..b/release": "stack"}}});
    fixture.account_with("acme", labels).await?;

    let message = fixture.until_reason("acme", "ServiceMonitorReady", "Invalid").await;
    assert!(message.contains("spec.serviceMonitor"), "{message}");
    fixture.until_reason("acme", "Collecting", "Collected").await;
    fixture.until_scraped(&operator, "acme", 200).await;

    fixture.patch("acme", json!({"spec": {"serviceMonitor": {"labels": {"a..b/release": null}}}})).await?;
    fixture.until_ready("acme").await;
    Ok(())
}

/// What a `ServiceAccount` of the namespace is granted, by the name of the role.
fn grant(fixture: &Fixture, role: &str, rules: &Value) -> Vec<Value> {
    let namespace = fixture.namespace.name();
    let api = "rbac.authorization.k8s.io";
    vec![
        json!({"apiVersion": format!("{api}/v1"), "kind": "Role", "metadata": {"name": role}, "rules": rules}),
        json!({"apiVersion": format!("{api}/v1"), "kind": "RoleBinding", "metadata": {"name": role},
            "roleRef": {"apiGroup": api, "kind": "Role", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": "caas-operator", "namespace": namespace}]}),
    ]
}

/// A kubeconfig of an operator that may do everything here but what concerns ServiceMonitors.
async fn without_monitors(fixture: &Fixture) -> anyhow::Result<Kubeconfig> {
    let rules = json!([
        {"apiGroups": ["caas-operator.io"], "resources": ["caasaccounts"], "verbs": ["list", "watch"]},
        {"apiGroups": ["caas-operator.io"], "resources": ["caasaccounts/status"], "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
    ]);
    apply(fixture, grant(fixture, "caas-operator", &rules)).await?;
    fixture.namespace.service_account("caas-operator").await
}

async fn apply(fixture: &Fixture, items: Vec<Value>) -> anyhow::Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    fixture.namespace.apply(&list.to_string()).await?.expect_ok();
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_forbidden_service_monitor_is_reported_while_collection_goes_on() -> anyhow::Result<()> {
    let fixture = fixture("forbidden").await?;
    let proxy = Proxy::start(fixture.namespace.cluster()).await?;
    let kubeconfig = proxy.kubeconfig(&without_monitors(&fixture).await?)?;
    let options = OperatorOptions { kubeconfig: Some(kubeconfig), ..fixture.options() };
    let operator = Operator::start(fixture.namespace.cluster(), options).await?;
    fixture.account("acme").await?;

    let message = fixture.until_reason("acme", "ServiceMonitorReady", "Forbidden").await;
    assert!(message.contains("servicemonitors.monitoring.coreos.com"), "{message}");
    fixture.until_reason("acme", "Collecting", "Collected").await;
    fixture.until_scraped(&operator, "acme", 200).await;
    assert_eq!(operator.health("/readyz").await?.0, 200);
    let requests = || proxy.count(&fixture.calls("*", MONITORS));
    let (before, since) = (requests(), Instant::now());
    fixture.until_cycles(3).await;
    let (more, bound) = (requests() - before, since.elapsed() + Duration::from_secs(5));
    assert!(Duration::from_secs(more.try_into()?) <= bound, "{more} calls in {:?}", since.elapsed());

    // Without a ServiceMonitor no permission is needed.
    fixture.account_with("none", json!({"serviceMonitor": {"mode": "Never"}})).await?;
    fixture.until_reason("none", "ServiceMonitorReady", "Disabled").await;
    assert_eq!(fixture.events("none").await?.get("Forbidden"), None);

    let verbs = json!(["get", "list", "watch", "create", "patch", "delete"]);
    let rules =
        json!([{"apiGroups": ["monitoring.coreos.com"], "resources": ["servicemonitors"], "verbs": verbs}]);
    apply(&fixture, grant(&fixture, "monitors", &rules)).await?;
    fixture.until_ready("acme").await;
    monitor(&fixture, "it to be written", |_| true).await;
    assert_eq!(fixture.events("acme").await?.get("Forbidden"), Some(&1));
    Ok(())
}
