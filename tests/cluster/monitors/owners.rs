//! Another ServiceMonitor of that name: somebody else's is left alone, a former account's is taken over.

use anyhow::Context;
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::stage;
use crate::harness::ControlPlane;
use crate::stage::Stage;

/// A ServiceMonitor of somebody else.
fn foreign(labels: &Value) -> anyhow::Result<DynamicObject> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor",
        "metadata": {"name": "caas-acme", "labels": labels},
        "spec": {"endpoints": [], "selector": {}},
    }))?)
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_foreign_one_of_that_name_is_not_taken_over() -> anyhow::Result<()> {
    for (hint, labels) in
        [("foreign", json!({})), ("foreign-marked", json!({"app.kubernetes.io/managed-by": "caas-operator"}))]
    {
        let stage = stage(hint).await?;
        let theirs = stage.monitors().create(&PostParams::default(), &foreign(&labels)?).await?;
        let operator = stage.operator().await?;
        stage.account("acme").await?;

        let message = stage.becomes("acme", "ServiceMonitorReady", "NotOwned").await;
        assert!(message.contains(&format!("{}/caas-acme", stage.namespace.name())), "{message}");
        stage.becomes("acme", "Collecting", "Collected").await;
        stage.becomes("acme", "Ready", "NotOwned").await;
        stage.scraped(&operator, "acme", 200).await;

        // To remove ours does not mean to remove theirs.
        let enabled = |enabled: bool| json!({"spec": {"serviceMonitor": {"enabled": enabled}}});
        stage.change("acme", enabled(false)).await?;
        stage.becomes("acme", "ServiceMonitorReady", "Disabled").await;
        stage.change("acme", enabled(true)).await?;
        stage.becomes("acme", "ServiceMonitorReady", "NotOwned").await;
        let stands = stage.monitors().get("caas-acme").await?;
        assert_eq!(stands.resource_version(), theirs.resource_version());

        stage.monitors().delete("caas-acme", &DeleteParams::default()).await?;
        stage.ready("acme").await;
        assert_ne!(stage.monitors().get("caas-acme").await?.uid(), theirs.uid());
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_monitor_of_a_former_account_of_that_name_is_taken_over_without_a_warning() -> anyhow::Result<()> {
    let mut plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    plane.install_service_monitors().await?;
    let stage = Stage::set(plane.namespace("former").await?).await?;
    let _operator = stage.operator().await?;
    stage.account("acme").await?;
    stage.ready("acme").await;
    // Somebody has edited the reference, and so writes it too: what an account leaves out then does not simply go.
    let mut owners = json!(stage.monitors().get("caas-acme").await?.owner_references());
    owners[0]["blockOwnerDeletion"] = json!(true);
    let edit = Patch::Merge(json!({"metadata": {"ownerReferences": owners}}));
    stage.monitors().patch("caas-acme", &PatchParams::default(), &edit).await?;

    plane.stop_controllers().await?;
    stage.delete("acme").await?;
    stage.account("acme").await?;
    stage.ready("acme").await;

    let uid = stage.accounts().get("acme").await?.uid().context("a UID")?;
    let stands = stage.monitors().get("caas-acme").await?;
    let owners: Vec<_> = stands.owner_references().iter().map(|owner| owner.uid.clone()).collect();
    assert_eq!(owners, [uid]);
    let events = stage.events("acme").await?;
    assert_eq!(
        (events.get("Applied"), events.get("NotOwned"), events.get("Invalid")),
        (Some(&2), None, None)
    );
    Ok(())
}
