//! The definition of ServiceMonitors is somebody else's: it may be missing, go, or be of another time.

use std::path::PathBuf;

use anyhow::Context;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{monitor, no_monitor};
use crate::harness::{ControlPlane, Operator, OperatorOptions};
use crate::servers::server;
use crate::stage::{PATIENCE, Stage};

fn definition() -> PathBuf {
    server("prometheus-operator-crds").join("monitoring.coreos.com_servicemonitors.yaml")
}

/// The definition as Prometheus Operator before 0.47 had it: without a field that we write.
fn older_definition() -> anyhow::Result<String> {
    let mut crd: Value = serde_saphyr::from_str(&std::fs::read_to_string(definition())?)?;
    let spec = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties");
    spec.and_then(Value::as_object_mut)
        .context("a schema")?
        .remove("keepDroppedTargets")
        .context("a field")?;
    Ok(crd.to_string())
}

/// A definition that takes what this program cannot read, as one of another time may.
fn lenient_definition() -> anyhow::Result<String> {
    let mut crd: Value = serde_saphyr::from_str(&std::fs::read_to_string(definition())?)?;
    let spec = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties");
    spec.context("a schema")?["keepDroppedTargets"] = json!({"x-kubernetes-int-or-string": true});
    Ok(crd.to_string())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn one_edited_into_what_cannot_be_read_is_put_back_and_is_removed_when_switched_off()
-> anyhow::Result<()> {
    let plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    plane.apply(&lenient_definition()?).await?;
    let stage = Stage::set(plane.namespace("unreadable").await?).await?;
    let mut operator = stage.operator().await?;
    stage.account("acme").await?;
    stage.ready("acme").await;
    let edit = async |value: Value| {
        let patch = json!({"spec": {"keepDroppedTargets": value}});
        stage.monitors().patch("caas-acme", &PatchParams::default(), &Patch::Merge(&patch)).await
    };
    for value in [json!(-1), json!("many")] {
        edit(value).await?;
        monitor(&stage, "it to be put back", |it| it.data["spec"]["keepDroppedTargets"] == 1).await;
    }

    operator.stop(PATIENCE).await?;
    edit(json!("many")).await?;
    stage.change("acme", json!({"spec": {"serviceMonitor": {"enabled": false}}})).await?;
    let _operator = stage.operator().await?;
    stage.becomes("acme", "ServiceMonitorReady", "Disabled").await;
    no_monitor(&stage).await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_definition_that_is_missing_or_goes_or_is_too_old_heals_without_a_restart() -> anyhow::Result<()> {
    let plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    let stage = Stage::set(plane.namespace("definition").await?).await?;
    // Of the whole cluster.
    let options = OperatorOptions { namespaces: Vec::new(), ..stage.options() };
    let mut operator = Operator::start(&plane, options).await?;

    stage.account("acme").await?;
    stage.becomes("acme", "ServiceMonitorReady", "CRDNotInstalled").await;
    stage.becomes("acme", "Collecting", "Collected").await;
    stage.scraped(&operator, "acme", 200).await;
    // Discovery is asked every 10 s; to be told once more is no news.
    stage.cycles(5).await;
    assert_eq!(stage.events("acme").await?.get("CRDNotInstalled"), Some(&1));

    plane.install_service_monitors().await?;
    stage.ready("acme").await;
    monitor(&stage, "it to be written", |_| true).await;

    plane.remove_service_monitors().await?;
    stage.becomes("acme", "ServiceMonitorReady", "CRDNotInstalled").await;
    stage.cycles(2).await;
    assert_eq!(operator.health("/readyz").await?.0, 200);
    stage.scraped(&operator, "acme", 200).await;

    plane.apply(&older_definition()?).await?;
    let message = stage.becomes("acme", "ServiceMonitorReady", "Invalid").await;
    assert!(message.contains("older"), "{message}");

    plane.install_service_monitors().await?;
    stage.ready("acme").await;
    monitor(&stage, "it to come again", |_| true).await;
    assert_eq!(operator.exited()?, None);
    Ok(())
}
