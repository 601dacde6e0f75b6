//! A ServiceMonitor is removed when the spec no longer asks for it.

use anyhow::ensure;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{fixture, monitor, no_monitor};
use crate::fixture::{DEADLINE, MONITORS, value};
use crate::harness::{Operator, OperatorOptions, Proxy, until};

/// How often accounts were reconciled so far.
async fn reconciles(operator: &Operator) -> anyhow::Result<f64> {
    let (_, body) = operator.scrape("/metrics").await?;
    // It is counted when it has ended, and until then there is no such series.
    Ok(value(&body, "caas_operator_reconciles_total{result=\"ok\"}").unwrap_or_default())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn switched_off_it_goes_also_without_our_label() -> anyhow::Result<()> {
    let fixture = fixture("unlabelled").await?;
    let proxy = Proxy::start(fixture.namespace.cluster()).await?;
    let kubeconfig = Some(proxy.kubeconfig(&fixture.namespace.cluster().admin()?)?);
    let mut operator = fixture.start_operator().await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    operator.stop(DEADLINE).await?;
    let unlabelled = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}});
    fixture.monitors().patch("caas-acme", &PatchParams::default(), &Patch::Merge(&unlabelled)).await?;
    fixture.patch("acme", json!({"spec": {"serviceMonitor": {"mode": "Never"}}})).await?;

    let options = OperatorOptions { kubeconfig, ..fixture.options() };
    let operator = Operator::start(fixture.namespace.cluster(), options).await?;
    fixture.until_reason("acme", "ServiceMonitorReady", "Disabled").await;
    assert!(fixture.monitors().get_opt("caas-acme").await?.is_none(), "reported as removed, but still there");

    // It is not read again at each reconcile.
    let requests = || proxy.count(&fixture.call("get", MONITORS, "caas-acme"));
    let times = requests();
    assert!(times > 0);
    for note in ["look", "once more", "and again"] {
        let before = reconciles(&operator).await?;
        fixture.patch("acme", json!({"metadata": {"annotations": {"note": note}}})).await?;
        until(DEADLINE, "another reconcile", async || {
            ensure!(reconciles(&operator).await? > before, "none yet");
            Ok(())
        })
        .await;
    }
    assert_eq!(requests(), times);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn it_goes_when_it_is_switched_off_and_while_the_account_is_suspended() -> anyhow::Result<()> {
    let fixture = fixture("switched-off").await?;
    let _operator = fixture.start_operator().await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    for (path, off, on, ready) in [
        ("serviceMonitor", json!({"mode": "Never"}), json!({"mode": "Auto"}), "Collected"),
        ("suspend", json!(true), json!(false), "Suspended"),
    ] {
        fixture.patch("acme", json!({"spec": {path: off}})).await?;
        fixture.until_reason("acme", "ServiceMonitorReady", "Disabled").await;
        fixture.until_reason("acme", "Ready", ready).await;
        no_monitor(&fixture).await;
        fixture.patch("acme", json!({"spec": {path: on}})).await?;
        fixture.until_ready("acme").await;
        monitor(&fixture, "it to come again", |_| true).await;
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_operator_that_makes_none_removes_its_own_and_leaves_those_that_accounts_insist_on()
-> anyhow::Result<()> {
    let fixture = fixture("no-monitors").await?;
    let mut operator = fixture.start_operator().await?;
    fixture.account("acme").await?;
    fixture.account_with("insists", json!({"serviceMonitor": {"mode": "Always"}})).await?;
    for account in ["acme", "insists"] {
        fixture.until_ready(account).await;
    }
    monitor(&fixture, "the first operator's", |_| true).await;
    operator.stop(DEADLINE).await?;

    let mut options = fixture.options();
    options.args.push("--no-service-monitors".to_owned());
    let mut operator = Operator::start(fixture.namespace.cluster(), options).await?;
    let message = fixture.until_reason("acme", "ServiceMonitorReady", "Disabled").await;
    assert!(message.contains("--no-service-monitors") && message.contains("/sd"), "{message}");
    assert!(fixture.monitors().get_opt("caas-acme").await?.is_none(), "reported as removed, but still there");
    assert_eq!(fixture.condition("acme", "Ready").await?.status, "True");
    fixture.account("late").await?;
    fixture.until_ready("late").await;
    assert!(fixture.monitors().get_opt("caas-late").await?.is_none());
    assert!(fixture.monitors().get_opt("caas-insists").await?.is_some());
    assert_eq!(fixture.condition("insists", "ServiceMonitorReady").await?.reason, "Applied");
    // They are found there all the same.
    let (_, list) = operator.scrape("/sd").await?;
    for account in ["acme", "late", "insists"] {
        assert!(list.contains(&fixture.path(account)), "{account}: {list}");
    }
    operator.stop(DEADLINE).await?;

    let _operator = fixture.start_operator().await?;
    monitor(&fixture, "it to come again", |_| true).await;
    fixture.until_reason("acme", "ServiceMonitorReady", "Applied").await;
    Ok(())
}
