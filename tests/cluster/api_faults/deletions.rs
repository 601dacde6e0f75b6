//! An account is deleted in the midst of its work.

use anyhow::ensure;
use caas_operator::simulator::{Fault as CloudFault, FaultKind};
use k8s_openapi::api::core::v1::Namespace as NamespaceObject;
use kube::api::Api;
use serde_json::json;

use super::{Given, STATUS, given, seen};
use crate::harness::{ControlPlane, Fault, Proxy, Times, until};
use crate::stage::{MONITORS, PATIENCE, Stage};

/// What the operator has written about `acme`.
fn writes(stage: &Stage, proxy: &Proxy) -> usize {
    let status = proxy.count(&stage.call("patch", STATUS, "acme"));
    status + proxy.count(&stage.call("*", MONITORS, "caas-acme"))
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_deleted_while_it_is_collected_leaves_at_once_and_writes_nothing() -> anyhow::Result<()> {
    let Given { stage, proxy, operator } = given("deleted").await?;
    let witness = Stage::set(ControlPlane::shared().await.namespace("witness").await?).await?;
    // The cycle does not end by itself, which would be written.
    stage.account_with("acme", json!({"collection": {"requestTimeout": "5m"}})).await?;
    stage.ready("acme").await;
    stage.cloud.set_fault(CloudFault::new(FaultKind::Hang).on("metrics"))?;
    until(PATIENCE, "a cycle that waits for the cloud", async || {
        ensure!(stage.cloud.counts().in_flight > 0, "{:?}", stage.cloud.counts());
        Ok(())
    })
    .await;

    let before = writes(&stage, &proxy);
    stage.delete("acme").await?;
    stage.scraped(&operator, "acme", 404).await;
    until(PATIENCE, "the cycle to be given up", async || {
        ensure!(stage.cloud.counts().in_flight == 0, "{:?}", stage.cloud.counts());
        Ok(())
    })
    .await;
    stage.cloud.clear_faults();
    let asked = stage.cloud.counts().total;
    // Another account at another cloud says how time goes by.
    let spec = json!({"provider": {"alauda": {"endpoint": witness.cloud.url()}}});
    stage.account_with("witness", spec).await?;
    witness.cycles(4).await;
    assert_eq!(stage.cloud.counts().total, asked);
    assert_eq!(writes(&stage, &proxy), before);
    assert!(!operator.scrape("/metrics").await?.1.contains("account=\"acme\""));
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_deleted_while_its_secret_is_read_is_never_collected() -> anyhow::Result<()> {
    let Given { stage, proxy, operator } = given("deleted-early").await?;
    let witness = Stage::set(ControlPlane::shared().await.namespace("witness-early").await?).await?;
    let read = stage.call("get", "secrets", "acme");
    proxy.inject(read.clone(), Fault::Hold, Times::Always);
    stage.account("acme").await?;
    seen(&proxy, &read, 1).await;
    stage.delete("acme").await?;
    // Once a later account is known, the deletion is known.
    let spec = json!({"provider": {"alauda": {"endpoint": witness.cloud.url()}}});
    stage.account_with("witness", spec).await?;
    stage.ready("witness").await;
    proxy.heal();

    witness.cycles(3).await;
    assert_eq!(stage.cloud.counts().total, 0);
    assert_eq!(writes(&stage, &proxy), 0);
    assert_eq!(operator.scrape(&stage.path("acme")).await?.0, 404);
    assert!(!operator.logs().contains("could not be reconciled"));
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_deleted_with_its_namespace_hangs_on_nothing() -> anyhow::Result<()> {
    let Given { stage, proxy, operator } = given("namespace").await?;
    stage.account("acme").await?;
    stage.ready("acme").await;
    stage.namespace.delete().await?;
    stage.scraped(&operator, "acme", 404).await;
    until(PATIENCE, "the namespace to be gone", async || {
        let namespaces: Api<NamespaceObject> = Api::all(stage.namespace.client());
        ensure!(namespaces.get_opt(stage.namespace.name()).await?.is_none(), "it is still there");
        Ok(())
    })
    .await;
    println!("writes of the status: {}", proxy.count(&stage.calls("patch", STATUS)));
    assert_eq!(operator.health("/readyz").await?.0, 200);
    Ok(())
}
