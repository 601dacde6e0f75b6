//! How little the operator writes: nothing while nothing changes, counts at most once a minute, one event a transition.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use caas_operator::api::CaasAccount;
use caas_operator::simulator::{AccountSettings, Clock, Settings, Simulator};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::fixture::{ACCOUNTS, MONITORS};
use crate::harness::{Calls, ControlPlane, Fault, Operator, OperatorOptions, Proxy, SOON, Times, until};
use crate::operator_fixture::{DEADLINE, OperatorFixture, cloud, login, spec};

/// Events as [`OperatorFixture::events`] gives them.
fn events(events: &[(&str, &str, i32)]) -> Vec<(String, String, i32)> {
    events.iter().map(|(kind, reason, times)| ((*kind).to_owned(), (*reason).to_owned(), *times)).collect()
}

/// A fixture with a proxy between the operator and the API server.
async fn proxied(hint: &str) -> anyhow::Result<(OperatorFixture, Proxy)> {
    proxied_with(hint, &[]).await
}

/// The same with further arguments of the operator.
async fn proxied_with(hint: &str, args: &[&str]) -> anyhow::Result<(OperatorFixture, Proxy)> {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace(hint).await?;
    let proxy = Proxy::start(plane).await?;
    let options = OperatorOptions {
        namespaces: vec![namespace.name().to_owned()],
        kubeconfig: Some(proxy.kubeconfig(&plane.admin()?)?),
        args: args.iter().map(ToString::to_string).collect(),
        ..OperatorOptions::default()
    };
    let operator = Operator::start(plane, options).await?;
    Ok((OperatorFixture { namespace, operator, cloud: cloud().await? }, proxy))
}

/// Services and instances in a status.
type Counts = (Option<i64>, Option<i64>);

/// When the operator last changed the status, in seconds since the epoch.
fn written_at(account: &CaasAccount) -> Option<i64> {
    let ours = account.managed_fields().iter().find(|fields| {
        fields.manager.as_deref() == Some("caas-operator") && fields.subresource.as_deref() == Some("status")
    });
    Some(ours?.time.as_ref()?.0.as_second())
}

const NO_FAULT: [(&str, &str, i32); 3] =
    [("Normal", "CredentialsFound", 1), ("Normal", "Applied", 1), ("Normal", "Collected", 1)];

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn nothing_is_written_while_nothing_changes_nor_by_an_operator_that_starts_anew() -> anyhow::Result<()>
{
    let mut fixture = OperatorFixture::new("unchanged").await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    fixture.until_cycles(1).await;
    let version = async |fixture: &OperatorFixture| -> anyhow::Result<_> {
        Ok(fixture.accounts().get("acme").await?.metadata.resource_version)
    };
    let before = version(&fixture).await?;

    fixture.until_cycles(4).await;
    assert_eq!(version(&fixture).await?, before);
    assert_eq!(fixture.events("acme").await?, events(&NO_FAULT));

    assert_eq!(fixture.operator.stop(SOON).await?, 0);
    let options = OperatorOptions {
        namespaces: vec![fixture.namespace.name().to_owned()],
        ..OperatorOptions::default()
    };
    fixture.operator = Operator::start(ControlPlane::shared().await, options).await?;
    fixture.until_cycles(3).await;
    until(DEADLINE, "the series to be back", async || {
        let (code, _) = fixture.metrics("acme").await?;
        ensure!(code == 200, "{code}");
        Ok(())
    })
    .await;
    assert_eq!(version(&fixture).await?, before);
    assert_eq!(fixture.events("acme").await?, events(&NO_FAULT));
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_list_that_changes_nothing_reconciles_nothing() -> anyhow::Result<()> {
    let (fixture, proxy) = proxied_with("relisted", &["--relist-seconds=1"]).await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    fixture.until_cycles(1).await;
    let reconciles = async || {
        let body = fixture.operator.scrape("/metrics").await?.1;
        crate::fixture::value(&body, "caas_operator_reconciles_total{result=\"ok\"}")
    };
    let lists = [Calls::new("list", ACCOUNTS), Calls::new("list", MONITORS)];
    let listed = || lists.iter().map(|calls| proxy.count(calls)).min().unwrap_or_default();
    let (lists_before, before) = (listed(), reconciles().await?);
    until(DEADLINE, "twelve more lists of each", async || {
        ensure!(listed() >= lists_before + 12, "{}", listed() - lists_before);
        Ok(())
    })
    .await;
    let more = reconciles().await? - before;
    // The account's Secret is read within a minute, and a reconcile may have been about to come.
    assert!(more <= 3.0, "{more} reconciles");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_condition_that_somebody_else_wrote_stays_beside_ours() -> anyhow::Result<()> {
    let (fixture, proxy) = proxied("beside").await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    fixture.until_cycles(1).await;
    let writes = Calls::new("patch", "caasaccounts.caas-operator.io/status");
    let before = proxy.count(&writes);
    let theirs = json!({"type": "Approved", "status": "True", "reason": "ByHand", "message": "Approved.",
        "lastTransitionTime": "2025-03-01T12:00:00Z"});
    let patch = json!({"apiVersion": "caas-operator.io/v1alpha1", "kind": "CaasAccount",
        "metadata": {"name": "acme"}, "status": {"conditions": [theirs]}});
    let params = PatchParams::apply("somebody-else");
    fixture.accounts().patch_status("acme", &params, &Patch::Apply(patch)).await?;
    fixture.until_cycles(3).await;
    assert_eq!(proxy.count(&writes), before, "another writer's condition causes no write");

    fixture.cloud.set_fault("services:500".parse()?)?;
    fixture.until_reason("acme", "Ready", "CloudError").await;
    let conditions = fixture.accounts().get("acme").await?.status.context("a status")?.conditions;
    let mut types: Vec<&str> = conditions.iter().map(|condition| condition.type_.as_str()).collect();
    types.sort_unstable();
    assert_eq!(types, ["Approved", "Collecting", "CredentialsReady", "Ready", "ServiceMonitorReady"]);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn counts_that_change_each_cycle_are_written_once_a_minute() -> anyhow::Result<()> {
    let fixture = OperatorFixture::new("counts").await?;
    // The cloud's clock stops during a cycle and advances by minutes between two.
    let now = Arc::new(AtomicU64::new(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs()));
    let shown = Arc::clone(&now);
    let clock = Clock::new(move || shown.load(Ordering::Relaxed) as f64);
    let accounts = vec![AccountSettings { services: 40, instances: 2, ..AccountSettings::new("acme") }];
    let busy = Simulator::start(Settings { accounts, churn: 1.0, clock, ..Settings::default() }).await?;
    fixture.secret("acme", &login(&busy)).await?;
    fixture.put("acme", spec(&busy, "acme")).await?;
    // From here on the conditions stay as they are.
    fixture.until_ready("acme").await;

    // When each change of the counts was written by the API server's clock, and all that was served meanwhile.
    let mut written: Vec<(i64, Counts)> = Vec::new();
    let (mut served, mut ended) = (BTreeSet::new(), BTreeSet::new());
    until(DEADLINE, "the counts to be written again", async || {
        let account = fixture.accounts().get("acme").await?;
        let at = written_at(&account).context("no status of ours")?;
        let status = account.status.unwrap_or_default();
        let counts = (status.services, status.instances);
        if written.last().is_none_or(|(_, last)| *last != counts) {
            written.push((at, counts));
        }
        let (_, body) = fixture.metrics("acme").await?;
        let line = |name: &str| body.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        served.extend(line("caas_account_instances{"));
        if line("caas_account_last_collection_timestamp_seconds{").is_some_and(|line| ended.insert(line)) {
            now.fetch_add(300, Ordering::Relaxed);
        }
        ensure!(written.len() > 1, "{written:?}");
        Ok(())
    })
    .await;
    // In whole seconds, so one may be lost.
    assert!(written[1].0 - written[0].0 >= 59, "{written:?}");
    assert!(served.len() > written.len(), "the counts changed without being written: {served:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_transition_is_one_event_even_while_the_watch_is_silent() -> anyhow::Result<()> {
    let (fixture, proxy) = proxied("silent-watch").await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    // The watch delivers the status written last before this cycle ends.
    fixture.until_cycles(1).await;
    let writes = Calls::new("patch", "caasaccounts.caas-operator.io/status");
    let before = proxy.count(&writes);
    // The watches that replace it are silent as well.
    let watches = Calls::new("watch", ACCOUNTS);
    proxy.inject(watches.clone(), Fault::Stall, Times::Always);
    proxy.stall(&watches);

    fixture.cloud.set_fault("services:500".parse()?)?;
    fixture.until_reason("acme", "Ready", "CloudError").await;
    fixture.until_cycles(1).await;
    fixture.cloud.clear_faults();
    fixture.until_reason("acme", "Ready", "Collected").await;
    assert_eq!(proxy.count(&writes), before + 2, "a write a transition");

    let expected = events(&[
        ("Normal", "CredentialsFound", 1),
        ("Normal", "Applied", 1),
        ("Normal", "Collected", 2),
        ("Warning", "CloudError", 1),
    ]);
    until(DEADLINE, "the last event", async || {
        let events = fixture.events("acme").await?;
        ensure!(events == expected, "{events:?}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_is_not_called_ready_for_a_spec_that_was_never_tried() -> anyhow::Result<()> {
    let fixture = OperatorFixture::new("untried").await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    let silent = cloud().await?;
    silent.set_fault("all:hang".parse()?)?;

    let mut spec = fixture.spec("acme");
    spec["provider"]["alauda"]["endpoint"] = json!(silent.url());
    spec["collection"]["requestTimeout"] = json!("2s");
    fixture.put("acme", spec).await?;
    let mut seen = Vec::new();
    until(DEADLINE, "the new endpoint's failure", async || {
        let account = fixture.accounts().get("acme").await?;
        let status = account.status.unwrap_or_default();
        let is_new = status.endpoint.as_deref().is_some_and(|endpoint| silent.url().starts_with(endpoint));
        assert_eq!(is_new, status.observed_generation == Some(2), "{status:?}");
        let ready = status.conditions.into_iter().find(|condition| condition.type_ == "Ready");
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
