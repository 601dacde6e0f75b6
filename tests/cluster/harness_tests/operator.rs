//! Running the operator.

use anyhow::ensure;

use crate::harness::{Calls, ControlPlane, Operator, OperatorOptions, Proxy, SOON, until};

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_operator_runs_until_it_is_told_to_stop() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("operator-stops").await?;
    let proxy = Proxy::start(plane).await?;
    let options = OperatorOptions {
        namespaces: vec![namespace.name().to_owned()],
        kubeconfig: Some(proxy.kubeconfig(&plane.admin()?)?),
        ..OperatorOptions::default()
    };

    let mut operator = Operator::start(plane, options).await?;

    let (code, metrics) = operator.scrape("/metrics").await?;
    assert_eq!(code, 200);
    assert!(metrics.contains("caas_operator"), "{metrics}");
    assert!(operator.resident_kib()? > 1024);
    assert_eq!(operator.exited()?, None);
    let accounts = Calls::new("watch", "caasaccounts.caas-operator.io").of(&format!("{}/", namespace.name()));
    until(SOON, "the operator to watch its namespace through the proxy", async || {
        let seen = proxy.seen(&Calls::all());
        ensure!(proxy.open_watches(&accounts) == 1, "the proxy saw {seen:?}");
        Ok(())
    })
    .await;

    assert_eq!(operator.stop(SOON).await?, 0);
    assert!(!operator.logs().is_empty());
    assert!(operator.health("/livez").await.is_err());
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_killed_operator_is_gone_at_once() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("operator-killed").await?;
    let namespaces = vec![namespace.name().to_owned()];
    let mut operator =
        Operator::start(plane, OperatorOptions { namespaces, ..OperatorOptions::default() }).await?;
    operator.kill().await?;
    assert_eq!(operator.exited()?, Some(137));
    assert!(operator.health("/livez").await.is_err());
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_operator_that_ends_before_it_is_ready_is_reported_with_its_log() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let args = vec!["--no-such-option".to_owned()];

    let started = Operator::start(plane, OperatorOptions { args, ..OperatorOptions::default() }).await;

    let error = started.err().map(|error| format!("{error:#}")).unwrap_or_default();
    assert!(error.contains("before it was ready"), "{error}");
    assert!(error.contains("'--no-such-option'"), "{error}");
    Ok(())
}
