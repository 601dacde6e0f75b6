//! What is not written: nothing while nothing changes, counts once a minute, an event a transition.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{anyhow, ensure};
use caas_operator::simulator::{AccountSettings, Clock, Settings, Simulator};
use serde_json::json;

use crate::harness::{Calls, ControlPlane, Operator, OperatorOptions, Proxy, SOON, until};
use crate::scene::{PATIENCE, Scene, cloud, login, spec};

/// Events as [`Scene::events`] gives them.
fn told(events: &[(&str, &str, i32)]) -> Vec<(String, String, i32)> {
    events.iter().map(|(kind, reason, times)| ((*kind).to_owned(), (*reason).to_owned(), *times)).collect()
}

/// Services and instances in a status.
type Counts = (Option<i64>, Option<i64>);

const WELL: [(&str, &str, i32); 3] =
    [("Normal", "CredentialsFound", 1), ("Normal", "Applied", 1), ("Normal", "Collected", 1)];

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn nothing_is_written_while_nothing_changes_nor_by_an_operator_that_starts_anew() -> anyhow::Result<()>
{
    let mut scene = Scene::new("quiet").await?;
    scene.account("acme").await?;
    scene.until_ready("acme").await;
    scene.until_cycles(1).await;
    let version = async |scene: &Scene| -> anyhow::Result<_> {
        Ok(scene.accounts().get("acme").await?.metadata.resource_version)
    };
    let before = version(&scene).await?;

    scene.until_cycles(4).await;
    assert_eq!(version(&scene).await?, before);
    assert_eq!(scene.events("acme").await?, told(&WELL));

    assert_eq!(scene.operator.stop(Duration::from_secs(30)).await?, 0);
    let options =
        OperatorOptions { namespaces: vec![scene.namespace.name().to_owned()], ..OperatorOptions::default() };
    scene.operator = Operator::start(ControlPlane::shared().await, options).await?;
    scene.until_cycles(3).await;
    until(PATIENCE, "the series to be back", async || {
        let (code, _) = scene.metrics("acme").await?;
        ensure!(code == 200, "{code}");
        Ok(())
    })
    .await;
    assert_eq!(version(&scene).await?, before);
    assert_eq!(scene.events("acme").await?, told(&WELL));
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn counts_that_change_each_cycle_are_written_once_a_minute() -> anyhow::Result<()> {
    let scene = Scene::new("counts").await?;
    // The cloud's time stands still during a cycle and goes on by minutes between two.
    let now = Arc::new(AtomicU64::new(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs()));
    let shown = Arc::clone(&now);
    let clock = Clock::new(move || shown.load(Ordering::Relaxed) as f64);
    let accounts = vec![AccountSettings { services: 40, instances: 2, ..AccountSettings::new("acme") }];
    let busy = Simulator::start(Settings { accounts, churn: 1.0, clock, ..Settings::default() }).await?;
    scene.secret("acme", &login(&busy)).await?;
    scene.put("acme", spec(&busy, "acme")).await?;

    // When each change of the written counts was seen, and all that was served meanwhile.
    let mut written: Vec<(Instant, Counts)> = Vec::new();
    let (mut served, mut ended) = (BTreeSet::new(), BTreeSet::new());
    until(Duration::from_secs(200), "the counts to be written again", async || {
        let status = scene.accounts().get("acme").await?.status.unwrap_or_default();
        let counts = (status.services, status.instances);
        if counts.0.is_some() && written.last().is_none_or(|(_, last)| *last != counts) {
            written.push((Instant::now(), counts));
        }
        let (_, body) = scene.metrics("acme").await?;
        let line = |name: &str| body.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        served.extend(line("caas_account_instances{"));
        if line("caas_account_last_collection_timestamp_seconds{").is_some_and(|line| ended.insert(line)) {
            now.fetch_add(300, Ordering::Relaxed);
        }
        ensure!(written.len() > 1, "{written:?}");
        Ok(())
    })
    .await;
    let apart = written[1].0 - written[0].0;
    assert!(apart > Duration::from_secs(55), "{apart:?} apart: {written:?}");
    assert!(served.len() > 3, "the counts changed from cycle to cycle: {served:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_transition_is_one_event_even_while_the_watch_is_silent() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("silent-watch").await?;
    let proxy = Proxy::start(plane).await?;
    let options = OperatorOptions {
        namespaces: vec![namespace.name().to_owned()],
        kubeconfig: Some(proxy.kubeconfig(&plane.admin()?)?),
        ..OperatorOptions::default()
    };
    let operator = Operator::start(plane, options).await?;
    let scene = Scene { namespace, operator, cloud: cloud().await? };
    scene.account("acme").await?;
    scene.until_ready("acme").await;
    // What was found of the status written last comes back before this cycle ends.
    scene.until_cycles(1).await;
    let writes = Calls::new("patch", "caasaccounts.caas-operator.io/status");
    let before = proxy.count(&writes);
    assert_eq!(proxy.stall(&Calls::new("watch", "caasaccounts.caas-operator.io")), 1);

    // Both before the silence is noticed, which takes a watch's whole minute.
    let told_soon = async |reason: &str| {
        let told = scene.until_reason("acme", "Ready", reason);
        tokio::time::timeout(SOON, told).await.map_err(|_| anyhow!("{reason} was not told in time"))
    };
    scene.cloud.set_fault("services:500".parse()?);
    told_soon("CloudError").await?;
    scene.until_cycles(1).await;
    scene.cloud.clear_faults();
    told_soon("Collected").await?;
    assert_eq!(proxy.count(&writes), before + 2, "a write a transition");

    let expected = told(&[
        ("Normal", "CredentialsFound", 1),
        ("Normal", "Applied", 1),
        ("Normal", "Collected", 2),
        ("Warning", "CloudError", 1),
    ]);
    until(PATIENCE, "the last event", async || {
        let events = scene.events("acme").await?;
        ensure!(events == expected, "{events:?}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_is_not_called_ready_for_a_spec_that_was_never_tried() -> anyhow::Result<()> {
    let scene = Scene::new("untried").await?;
    scene.account("acme").await?;
    scene.until_ready("acme").await;
    let silent = cloud().await?;
    silent.set_fault("all:hang".parse()?);

    let mut spec = scene.spec("acme");
    spec["provider"]["alauda"]["endpoint"] = json!(silent.url());
    scene.put("acme", spec).await?;
    let mut seen = Vec::new();
    until(PATIENCE, "the new endpoint's failure", async || {
        let account = scene.accounts().get("acme").await?;
        let conditions = account.status.unwrap_or_default().conditions;
        let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
        let shown = ready.map(|ready| (ready.observed_generation, ready.status, ready.reason));
        if seen.last() != Some(&shown) {
            seen.push(shown.clone());
        }
        ensure!(shown.as_ref().is_some_and(|(.., reason)| reason == "CloudUnreachable"), "{shown:?}");
        Ok(())
    })
    .await;
    let early = (Some(2), "True".to_owned(), "Collected".to_owned());
    assert!(!seen.contains(&Some(early)), "{seen:?}");
    Ok(())
}
