//! The API server is away as a whole, and comes back, be it with an older state.

use anyhow::ensure;
use kube::ResourceExt;
use serde_json::json;
use tokio::time::Instant;

use crate::fixture::{DEADLINE, Fixture, value};
use crate::harness::{ControlPlane, Operator, until};

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn while_the_api_server_is_away_collection_and_scrapes_go_on_and_then_reconciles() -> anyhow::Result<()>
{
    let mut plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    plane.install_service_monitors().await?;
    let fixture = Fixture::new(plane.namespace("away").await?).await?;
    let mut operator = fixture.start_operator().await?;
    for name in ["acme", "doomed"] {
        fixture.account(name).await?;
        fixture.until_ready(name).await;
    }
    let collected = async || {
        let (code, body) = operator.scrape(&fixture.path("acme")).await?;
        ensure!(code == 200, "{code}");
        value(&body, "caas_account_last_success_timestamp_seconds")
    };

    let before = collected().await?;
    plane.stop_api_server().await?;
    fixture.until_cycles(26).await;
    until(DEADLINE, "values of a later collection", async || {
        let now = collected().await?;
        ensure!(now > before, "still {before}");
        Ok(())
    })
    .await;
    assert_eq!(operator.health("/readyz").await?.0, 200);

    let told = |sentence: &str| {
        let logs = operator.logs();
        logs.lines().filter(|line| line.contains(sentence)).map(str::to_owned).collect::<Vec<_>>()
    };
    let away = told("the API server cannot be reached");
    assert!(away.len() == 1 && away[0].contains("client error"), "{away:#?}");
    // Neither each watch nor kube itself has a line a try.
    assert!(told("is interrupted").len() <= 3 && told("failed with").is_empty(), "{}", operator.logs());

    plane.start_api_server().await?;
    fixture.delete("doomed").await?;
    fixture.account("later").await?;
    fixture.until_ready("later").await;
    fixture.until_scraped(&operator, "later", 200).await;
    fixture.until_scraped(&operator, "doomed", 404).await;
    fixture.patch("acme", json!({"spec": {"suspend": true}})).await?;
    fixture.until_reason("acme", "Ready", "Suspended").await;
    assert_eq!(told("over: the API server cannot be reached").len(), 1, "{}", operator.logs());
    assert_eq!(operator.exited()?, None);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn after_etcd_went_back_in_time_the_operator_follows_what_is_there() -> anyhow::Result<()> {
    let mut plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    plane.install_service_monitors().await?;
    let fixture = Fixture::new(plane.namespace("restored").await?).await?;
    // What no event reports is found by the next list; five minutes are too long for a test.
    let mut options = fixture.options();
    options.args.push("--relist-seconds=20".to_owned());
    let operator = Operator::start(&plane, options).await?;
    for name in ["kept", "deleted"] {
        fixture.account(name).await?;
        fixture.until_ready(name).await;
    }
    let snapshot = plane.etcd_snapshot().await?;
    fixture.delete("deleted").await?;
    fixture.account("made").await?;
    fixture.until_ready("made").await;
    fixture.patch("kept", json!({"spec": {"metrics": {"names": "Legacy"}}})).await?;
    fixture.until_scraped(&operator, "deleted", 404).await;
    // So that what comes after the restore has older versions than what was seen before it.
    for number in 0..100 {
        let labels = json!({"metadata": {"labels": {"number": number.to_string()}}});
        fixture.patch("kept", labels).await?;
    }

    plane.etcd_restore(&snapshot).await?;
    let restored = Instant::now();
    fixture.until_scraped(&operator, "deleted", 200).await;
    fixture.until_scraped(&operator, "made", 404).await;
    fixture.account("later").await?;
    fixture.until_ready("later").await;
    println!("converged after {:?}", restored.elapsed());
    until(DEADLINE, "the account of before to be collected as before", async || {
        let (code, body) = operator.scrape(&fixture.path("kept")).await?;
        ensure!(code == 200 && body.contains("caas_instance_info"), "{code}");
        Ok(())
    })
    .await;
    until(DEADLINE, "a ServiceMonitor for each account and no other", async || {
        let all = fixture.monitors().list(&kube::api::ListParams::default()).await?;
        let names: Vec<String> = all.iter().map(ResourceExt::name_any).collect();
        ensure!(names == ["caas-deleted", "caas-kept", "caas-later"], "{names:?}");
        Ok(())
    })
    .await;
    for name in ["kept", "deleted"] {
        fixture.until_ready(name).await;
    }
    Ok(())
}
