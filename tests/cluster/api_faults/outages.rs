//! The API server is away as a whole, and comes back, be it with an older state.

use std::time::Duration;

use anyhow::ensure;
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;
use tokio::time::Instant;

use crate::fixture::{DEADLINE, Fixture, value};
use crate::harness::{ControlPlane, Operator, until};

/// What the log says while all calls fail.
const AWAY: &str = "the API server cannot be reached";

/// What it says of each watch that fails by itself, as on an API server that refuses watches while it starts.
const INTERRUPTED: [&str; 3] = [
    "the watch of CaasAccounts is interrupted",
    "the watch of Secrets is interrupted",
    "the watch of ServiceMonitors is interrupted",
];

/// Two lines about the same failure are five minutes apart; a busy machine may write the first one late.
const SELDOM: Duration = Duration::from_secs(290);

/// A line of the log about something that fails.
#[derive(Debug)]
struct Told {
    at: Timestamp,
    is_over: bool,
    line: String,
}

impl Told {
    /// The lines about this failure, in their order.
    fn in_log(log: &str, what: &str) -> Vec<Self> {
        let lines = log.lines().filter(|line| line.contains(what));
        let told = lines.map(|line| {
            let (at, _) = line.split_once(' ').expect("a time at the beginning");
            let is_over = line.contains(&format!("over: {what}"));
            Self { at: at.parse().expect("a time"), is_over, line: line.to_owned() }
        });
        told.collect()
    }

    /// Whether it says what happened: no connection or request, no whole answer, or the end of a watch, by what failed first.
    fn has_cause(&self) -> bool {
        let causes = ["client error (", "HyperError: ", "Error reading events stream: "];
        self.is_over || causes.iter().any(|cause| self.line.contains(cause))
    }
}

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

    let away = Told::in_log(&operator.logs(), AWAY);
    assert!(!away.is_empty() && away.iter().all(Told::has_cause), "{away:#?}");

    plane.start_api_server().await?;
    fixture.delete("doomed").await?;
    fixture.account("later").await?;
    fixture.until_ready("later").await;
    fixture.until_scraped(&operator, "later", 200).await;
    fixture.until_scraped(&operator, "doomed", 404).await;
    fixture.patch("acme", json!({"spec": {"suspend": true}})).await?;
    fixture.until_reason("acme", "Ready", "Suspended").await;
    until(DEADLINE, "the log to say that the API server is back", async || {
        let told = Told::in_log(&operator.logs(), AWAY);
        // One of more than five minutes is told again, and is over once.
        ensure!(told.last().is_some_and(|last| last.is_over), "{told:#?}");
        ensure!(told.windows(2).all(|pair| !(pair[0].is_over && pair[1].is_over)), "{told:#?}");
        Ok(())
    })
    .await;
    // Neither each watch nor kube itself has a line a try.
    let log = operator.logs();
    for what in [AWAY].iter().chain(&INTERRUPTED) {
        let mut told = Told::in_log(&log, what);
        told.retain(|told| !told.is_over);
        let is_seldom = |pair: &[Told]| pair[1].at.duration_since(pair[0].at).unsigned_abs() > SELDOM;
        assert!(told.windows(2).all(is_seldom), "{told:#?}");
    }
    assert!(!log.contains("failed with"), "{log}");
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
