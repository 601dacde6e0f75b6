//! The ServiceMonitor CRD belongs to Prometheus Operator: it may be missing, be removed, or have another version.

use std::path::PathBuf;

use anyhow::Context;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{monitor, no_monitor};
use crate::fixture::{DEADLINE, Fixture};
use crate::harness::{ControlPlane, Operator, OperatorOptions};
use crate::servers::server;

fn crd_file() -> PathBuf {
    server("prometheus-operator-crds").join("monitoring.coreos.com_servicemonitors.yaml")
}

/// The CRD of Prometheus Operator before 0.47, without a field that we write.
fn older_crd() -> anyhow::Result<String> {
    let mut crd: Value = serde_saphyr::from_str(&std::fs::read_to_string(crd_file())?)?;
    let spec = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties");
    spec.and_then(Value::as_object_mut)
        .context("a schema")?
        .remove("keepDroppedTargets")
        .context("a field")?;
    Ok(crd.to_string())
}

/// A CRD that accepts objects that this program cannot read, as one of another version may.
fn lenient_crd() -> anyhow::Result<String> {
    let mut crd: Value = serde_saphyr::from_str(&std::fs::read_to_string(crd_file())?)?;
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
    plane.apply(&lenient_crd()?).await?;
    let fixture = Fixture::new(plane.namespace("unreadable").await?).await?;
    let mut operator = fixture.start_operator().await?;
    fixture.account("acme").await?;
    // Ready alone would not do: it also holds as long as the CRD that was just made is not discovered.
    fixture.until_reason("acme", "ServiceMonitorReady", "Applied").await;
    let edit = async |value: Value| {
        let patch = json!({"spec": {"keepDroppedTargets": value}});
        fixture.monitors().patch("caas-acme", &PatchParams::default(), &Patch::Merge(&patch)).await
    };
    for value in [json!(-1), json!("many")] {
        edit(value).await?;
        monitor(&fixture, "it to be put back", |it| it.data["spec"]["keepDroppedTargets"] == 1).await;
    }

    operator.stop(DEADLINE).await?;
    edit(json!("many")).await?;
    fixture.patch("acme", json!({"spec": {"serviceMonitor": {"mode": "Never"}}})).await?;
    let _operator = fixture.start_operator().await?;
    fixture.until_reason("acme", "ServiceMonitorReady", "Disabled").await;
    no_monitor(&fixture).await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_crd_that_is_missing_removed_or_too_old_is_reported_until_it_is_fixed_to_those_who_need_it()
-> anyhow::Result<()> {
    let plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    let fixture = Fixture::new(plane.namespace("crd").await?).await?;
    // The operator watches the whole cluster.
    let options = OperatorOptions { namespaces: Vec::new(), ..fixture.options() };
    let mut operator = Operator::start(&plane, options).await?;

    fixture.account("acme").await?;
    fixture.account_with("strict", json!({"serviceMonitor": {"mode": "Always"}})).await?;
    let missing = async || {
        fixture.until_reason("acme", "ServiceMonitorReady", "PrometheusOperatorNotInstalled").await;
        fixture.until_ready("acme").await;
        let message = fixture.until_reason("strict", "ServiceMonitorReady", "CRDNotInstalled").await;
        assert!(message.contains("mode to Auto"), "{message}");
        fixture.until_reason("strict", "Collecting", "Collected").await;
        fixture.until_reason("strict", "Ready", "CRDNotInstalled").await;
    };
    missing().await;
    for name in ["acme", "strict"] {
        fixture.until_scraped(&operator, name, 200).await;
    }
    // Discovery is queried every 10 s; an unchanged answer is not reported again.
    fixture.until_cycles(5).await;
    assert!(!fixture.warnings("acme").await?.iter().any(|reason| reason.contains("NotInstalled")));
    assert!(fixture.warnings("strict").await?.contains(&"CRDNotInstalled".to_owned()));
    assert_eq!(fixture.events("acme").await?.get("PrometheusOperatorNotInstalled"), Some(&1));
    assert_eq!(fixture.events("strict").await?.get("CRDNotInstalled"), Some(&1));

    plane.install_service_monitors().await?;
    fixture.until_reason("acme", "ServiceMonitorReady", "Applied").await;
    fixture.until_ready("strict").await;
    monitor(&fixture, "it to be written", |_| true).await;

    plane.remove_service_monitors().await?;
    missing().await;
    fixture.until_cycles(2).await;
    assert_eq!(operator.health("/readyz").await?.0, 200);
    fixture.until_scraped(&operator, "acme", 200).await;

    plane.apply(&older_crd()?).await?;
    let message = fixture.until_reason("acme", "ServiceMonitorReady", "Invalid").await;
    assert!(message.contains("0.47 or later"), "{message}");

    plane.install_service_monitors().await?;
    fixture.until_ready("acme").await;
    monitor(&fixture, "it to come again", |_| true).await;
    assert_eq!(operator.exited()?, None);
    Ok(())
}
