//! An account is deleted in the midst of its work.

use anyhow::ensure;
use caas_operator::simulator::{Fault as CloudFault, FaultKind};
use k8s_openapi::api::core::v1::Namespace as NamespaceObject;
use kube::api::Api;
use serde_json::json;

use super::{Given, STATUS, given, seen};
use crate::fixture::{DEADLINE, Fixture, MONITORS};
use crate::harness::{ControlPlane, Fault, Proxy, Times, until};

/// What the operator has written about `acme`.
fn writes(fixture: &Fixture, proxy: &Proxy) -> usize {
    let status = proxy.count(&fixture.call("patch", STATUS, "acme"));
    status + proxy.count(&fixture.call("*", MONITORS, "caas-acme"))
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_deleted_while_it_is_collected_leaves_at_once_and_writes_nothing() -> anyhow::Result<()> {
    let Given { fixture, proxy, operator } = given("deleted").await?;
    let witness = Fixture::new(ControlPlane::shared().await.namespace("witness").await?).await?;
    // The cycle does not end by itself, which would be written.
    fixture.account_with("acme", json!({"collection": {"requestTimeout": "5m"}})).await?;
    fixture.until_ready("acme").await;
    fixture.cloud.set_fault(CloudFault::new(FaultKind::Hang).on("metrics"))?;
    until(DEADLINE, "a cycle that waits for the cloud", async || {
        ensure!(fixture.cloud.counts().in_flight > 0, "{:?}", fixture.cloud.counts());
        Ok(())
    })
    .await;

    let before = writes(&fixture, &proxy);
    fixture.delete("acme").await?;
    fixture.until_scraped(&operator, "acme", 404).await;
    until(DEADLINE, "the cycle to be given up", async || {
        ensure!(fixture.cloud.counts().in_flight == 0, "{:?}", fixture.cloud.counts());
        Ok(())
    })
    .await;
    fixture.cloud.clear_faults();
    let requests = fixture.cloud.counts().total;
    // Cycles of another account at another cloud show that time has passed.
    let spec = json!({"provider": {"alauda": {"endpoint": witness.cloud.url()}}});
    fixture.account_with("witness", spec).await?;
    witness.until_cycles(4).await;
    assert_eq!(fixture.cloud.counts().total, requests);
    assert_eq!(writes(&fixture, &proxy), before);
    assert!(!operator.scrape("/metrics").await?.1.contains("account=\"acme\""));
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_deleted_while_its_secret_is_read_is_never_collected() -> anyhow::Result<()> {
    let Given { fixture, proxy, operator } = given("deleted-early").await?;
    let witness = Fixture::new(ControlPlane::shared().await.namespace("witness-early").await?).await?;
    let read = fixture.call("get", "secrets", "acme");
    proxy.inject(read.clone(), Fault::Hold, Times::Always);
    fixture.account("acme").await?;
    seen(&proxy, &read, 1).await;
    fixture.delete("acme").await?;
    // Once a later account is known, the deletion is known.
    let spec = json!({"provider": {"alauda": {"endpoint": witness.cloud.url()}}});
    fixture.account_with("witness", spec).await?;
    fixture.until_ready("witness").await;
    proxy.heal();

    witness.until_cycles(3).await;
    assert_eq!(fixture.cloud.counts().total, 0);
    assert_eq!(writes(&fixture, &proxy), 0);
    assert_eq!(operator.scrape(&fixture.path("acme")).await?.0, 404);
    assert!(!operator.logs().contains("could not be reconciled"));
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_deleted_with_its_namespace_hangs_on_nothing() -> anyhow::Result<()> {
    let Given { fixture, proxy, operator } = given("namespace").await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    fixture.namespace.delete().await?;
    fixture.until_scraped(&operator, "acme", 404).await;
    until(DEADLINE, "the namespace to be gone", async || {
        let namespaces: Api<NamespaceObject> = Api::all(fixture.namespace.client());
        ensure!(namespaces.get_opt(fixture.namespace.name()).await?.is_none(), "it is still there");
        Ok(())
    })
    .await;
    println!("writes of the status: {}", proxy.count(&fixture.calls("patch", STATUS)));
    assert_eq!(operator.health("/readyz").await?.0, 200);
    Ok(())
}
