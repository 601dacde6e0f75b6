//! A ServiceMonitor goes when nobody wants it.

use anyhow::ensure;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{monitor, no_monitor, stage};
use crate::harness::{Operator, OperatorOptions, Proxy, until};
use crate::stage::{MONITORS, PATIENCE, value};

/// How often accounts were reconciled so far.
async fn reconciles(operator: &Operator) -> anyhow::Result<f64> {
    let (_, body) = operator.scrape("/metrics").await?;
    // It is counted when it has ended, and until then there is no such series.
    Ok(value(&body, "caas_operator_reconciles_total{result=\"ok\"}").unwrap_or_default())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn switched_off_it_goes_also_without_our_label() -> anyhow::Result<()> {
    let stage = stage("unlabelled").await?;
    let proxy = Proxy::start(stage.namespace.cluster()).await?;
    let kubeconfig = Some(proxy.kubeconfig(&stage.namespace.cluster().admin()?)?);
    let mut operator = stage.operator().await?;
    stage.account("acme").await?;
    stage.ready("acme").await;
    operator.stop(PATIENCE).await?;
    let unlabelled = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}});
    stage.monitors().patch("caas-acme", &PatchParams::default(), &Patch::Merge(&unlabelled)).await?;
    stage.change("acme", json!({"spec": {"serviceMonitor": {"enabled": false}}})).await?;

    let options = OperatorOptions { kubeconfig, ..stage.options() };
    let operator = Operator::start(stage.namespace.cluster(), options).await?;
    stage.becomes("acme", "ServiceMonitorReady", "Disabled").await;
    assert!(stage.monitors().get_opt("caas-acme").await?.is_none(), "it is told as gone and stands");

    // It is not asked for again each time that the account is looked at.
    let asked = || proxy.count(&stage.call("get", MONITORS, "caas-acme"));
    let times = asked();
    assert!(times > 0);
    for note in ["look", "once more", "and again"] {
        let before = reconciles(&operator).await?;
        stage.change("acme", json!({"metadata": {"annotations": {"note": note}}})).await?;
        until(PATIENCE, "another reconcile", async || {
            ensure!(reconciles(&operator).await? > before, "none yet");
            Ok(())
        })
        .await;
    }
    assert_eq!(asked(), times);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn it_goes_when_it_is_switched_off_and_while_the_account_is_suspended() -> anyhow::Result<()> {
    let stage = stage("switched-off").await?;
    let _operator = stage.operator().await?;
    stage.account("acme").await?;
    stage.ready("acme").await;
    for (path, off, on, ready) in [
        ("serviceMonitor", json!({"enabled": false}), json!({"enabled": true}), "Collected"),
        ("suspend", json!(true), json!(false), "Suspended"),
    ] {
        stage.change("acme", json!({"spec": {path: off}})).await?;
        stage.becomes("acme", "ServiceMonitorReady", "Disabled").await;
        stage.becomes("acme", "Ready", ready).await;
        no_monitor(&stage).await;
        stage.change("acme", json!({"spec": {path: on}})).await?;
        stage.ready("acme").await;
        monitor(&stage, "it to come again", |_| true).await;
    }
    Ok(())
}
