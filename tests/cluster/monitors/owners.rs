//! A ServiceMonitor of that name exists already: somebody else's is left alone, a deleted account's is taken over.

use anyhow::Context;
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::fixture;
use crate::fixture::Fixture;
use crate::harness::ControlPlane;

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
        let fixture = fixture(hint).await?;
        let theirs = fixture.monitors().create(&PostParams::default(), &foreign(&labels)?).await?;
        let operator = fixture.start_operator().await?;
        fixture.account("acme").await?;

        let message = fixture.until_reason("acme", "ServiceMonitorReady", "NotOwned").await;
        assert!(message.contains(&format!("{}/caas-acme", fixture.namespace.name())), "{message}");
        fixture.until_reason("acme", "Collecting", "Collected").await;
        fixture.until_reason("acme", "Ready", "NotOwned").await;
        fixture.until_scraped(&operator, "acme", 200).await;

        // To remove ours does not mean to remove theirs.
        let mode = |mode: &str| json!({"spec": {"serviceMonitor": {"mode": mode}}});
        fixture.patch("acme", mode("Never")).await?;
        fixture.until_reason("acme", "ServiceMonitorReady", "Disabled").await;
        fixture.patch("acme", mode("Auto")).await?;
        fixture.until_reason("acme", "ServiceMonitorReady", "NotOwned").await;
        let found = fixture.monitors().get("caas-acme").await?;
        assert_eq!(found.resource_version(), theirs.resource_version());

        fixture.monitors().delete("caas-acme", &DeleteParams::default()).await?;
        fixture.until_ready("acme").await;
        assert_ne!(fixture.monitors().get("caas-acme").await?.uid(), theirs.uid());
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_monitor_of_a_former_account_of_that_name_is_taken_over_without_a_warning() -> anyhow::Result<()> {
    let mut plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    plane.install_service_monitors().await?;
    let fixture = Fixture::new(plane.namespace("former").await?).await?;
    let _operator = fixture.start_operator().await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    // Somebody has edited the reference, and so writes it too: what an account leaves out then does not simply go.
    let mut owners = json!(fixture.monitors().get("caas-acme").await?.owner_references());
    owners[0]["blockOwnerDeletion"] = json!(true);
    let edit = Patch::Merge(json!({"metadata": {"ownerReferences": owners}}));
    fixture.monitors().patch("caas-acme", &PatchParams::default(), &edit).await?;

    plane.stop_controllers().await?;
    fixture.delete("acme").await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;

    let uid = fixture.accounts().get("acme").await?.uid().context("a UID")?;
    let found = fixture.monitors().get("caas-acme").await?;
    let owners: Vec<_> = found.owner_references().iter().map(|owner| owner.uid.clone()).collect();
    assert_eq!(owners, [uid]);
    let events = fixture.events("acme").await?;
    assert_eq!(
        (events.get("Applied"), events.get("NotOwned"), events.get("Invalid")),
        (Some(&2), None, None)
    );
    Ok(())
}
