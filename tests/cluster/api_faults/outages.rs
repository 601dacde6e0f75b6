//! The API server is away as a whole, and comes back, be it with an older state.

use anyhow::ensure;
use kube::ResourceExt;
use serde_json::json;
use tokio::time::Instant;

use crate::harness::{ControlPlane, Operator, until};
use crate::stage::{PATIENCE, Stage, value};

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn while_the_api_server_is_away_collection_and_scrapes_go_on_and_then_reconciles() -> anyhow::Result<()>
{
    let mut plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    plane.install_service_monitors().await?;
    let stage = Stage::set(plane.namespace("away").await?).await?;
    let mut operator = stage.operator().await?;
    for name in ["acme", "doomed"] {
        stage.account(name).await?;
        stage.ready(name).await;
    }
    let collected = async || {
        let (code, body) = operator.scrape(&stage.path("acme")).await?;
        ensure!(code == 200, "{code}");
        value(&body, "caas_account_last_success_timestamp_seconds")
    };

    let before = collected().await?;
    plane.stop_api_server().await?;
    stage.cycles(26).await;
    until(PATIENCE, "values of a later collection", async || {
        let now = collected().await?;
        ensure!(now > before, "still {before}");
        Ok(())
    })
    .await;
    assert_eq!(operator.health("/readyz").await?.0, 200);

    plane.start_api_server().await?;
    stage.delete("doomed").await?;
    stage.account("later").await?;
    stage.ready("later").await;
    stage.scraped(&operator, "later", 200).await;
    stage.scraped(&operator, "doomed", 404).await;
    stage.change("acme", json!({"spec": {"suspend": true}})).await?;
    stage.becomes("acme", "Ready", "Suspended").await;
    assert_eq!(operator.exited()?, None);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn after_etcd_went_back_in_time_the_operator_follows_what_is_there() -> anyhow::Result<()> {
    let mut plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    plane.install_service_monitors().await?;
    let stage = Stage::set(plane.namespace("restored").await?).await?;
    // What no event tells is found by the next list; five minutes are too long for a test.
    let mut options = stage.options();
    options.args.push("--relist-seconds=20".to_owned());
    let operator = Operator::start(&plane, options).await?;
    for name in ["kept", "deleted"] {
        stage.account(name).await?;
        stage.ready(name).await;
    }
    let snapshot = plane.etcd_snapshot().await?;
    stage.delete("deleted").await?;
    stage.account("made").await?;
    stage.ready("made").await;
    stage.change("kept", json!({"spec": {"metrics": {"names": "legacy"}}})).await?;
    stage.scraped(&operator, "deleted", 404).await;
    // So that what comes after the restore has older versions than what was seen before it.
    for number in 0..100 {
        let labels = json!({"metadata": {"labels": {"number": number.to_string()}}});
        stage.change("kept", labels).await?;
    }

    plane.etcd_restore(&snapshot).await?;
    let restored = Instant::now();
    stage.scraped(&operator, "deleted", 200).await;
    stage.scraped(&operator, "made", 404).await;
    stage.account("later").await?;
    stage.ready("later").await;
    println!("converged after {:?}", restored.elapsed());
    until(PATIENCE, "the account of before to be collected as before", async || {
        let (code, body) = operator.scrape(&stage.path("kept")).await?;
        ensure!(code == 200 && body.contains("caas_instance_info"), "{code}");
        Ok(())
    })
    .await;
    until(PATIENCE, "a ServiceMonitor for each account and no other", async || {
        let all = stage.monitors().list(&kube::api::ListParams::default()).await?;
        let names: Vec<String> = all.iter().map(ResourceExt::name_any).collect();
        ensure!(names == ["caas-deleted", "caas-kept", "caas-later"], "{names:?}");
        Ok(())
    })
    .await;
    for name in ["kept", "deleted"] {
        stage.ready(name).await;
    }
    Ok(())
}
