//! Very many accounts on one operator: the start is bounded, and where nothing changes nothing is written.
//! It takes the longest, and its name comes first in the alphabet, by which tests are begun.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use caas_operator::api::CaasAccount;
use caas_operator::simulator::{AccountSettings, Login, Settings};
use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, ObjectMeta, PostParams};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::fixture::{Fixture, manifest, value};
use crate::harness::{ControlPlane, Operator, OperatorOptions, until};

/// A start takes well under a minute on two free cores. The rest is for a busy machine.
pub(crate) const BOUNDED: Duration = Duration::from_secs(900);

/// The most Secret reads under way.
const READS_AT_ONCE: i32 = 32;

/// The operator in the audit log, as it is installed.
const OPERATOR: &str = "system:serviceaccount:caas-system:caas-operator";

/// The chart's memory limit.
pub(crate) const MEMORY_LIMIT_KIB: u64 = 1536 << 10;

/// Whether times are measured, as `make scale` does on a machine that does nothing else.
pub(crate) fn is_measured() -> bool {
    std::env::var_os("CAAS_TEST_ACCOUNTS").is_some()
}

/// How many accounts start at once: `make scale` asks for 10,000, which takes ten minutes.
pub(crate) fn many_accounts(otherwise: usize) -> usize {
    std::env::var("CAAS_TEST_ACCOUNTS").map_or(otherwise, |count| count.parse().expect("a number"))
}

/// A control plane of its own with the operator's permissions.
pub(crate) async fn control_plane() -> anyhow::Result<ControlPlane> {
    let plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/install/cluster-wide.yaml");
    plane.apply(&std::fs::read_to_string(manifests)?).await?;
    Ok(plane)
}

/// Collected each minute, without a ServiceMonitor, and never given up where the machine is busy.
pub(crate) fn each_minute() -> Value {
    json!({
        "collection": {"interval": "1m", "requestTimeout": "5m"},
        "serviceMonitor": {"mode": "Never"},
    })
}

/// So many accounts with a cloud account each, and the Secrets to it.
pub(crate) async fn accounts(
    plane: &ControlPlane,
    count: usize,
    services: usize,
    spec: Value,
) -> anyhow::Result<Fixture> {
    let accounts = (0..count).map(|number| AccountSettings {
        services,
        instances: 1,
        ..AccountSettings::new(format!("account-{number}"))
    });
    let settings = Settings { accounts: accounts.collect(), ..Settings::default() };
    let fixture = Fixture::with(plane.namespace("many").await?, settings).await?;
    let post = PostParams::default();
    let write = async |login: Login| -> anyhow::Result<()> {
        let name = login.username.clone();
        let keys = BTreeMap::from([("username".into(), login.username), ("password".into(), login.password)]);
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let secret = Secret { metadata, string_data: Some(keys), ..Secret::default() };
        fixture.namespace.api::<Secret>().create(&post, &secret).await?;
        let spec = fixture.spec(&name, spec.clone());
        let account: CaasAccount = serde_json::from_value(manifest(&name, &spec))?;
        fixture.accounts().create(&post, &account).await?;
        Ok(())
    };
    let filling = Instant::now();
    stream::iter(fixture.cloud.credentials()).map(Ok).try_for_each_concurrent(16, write).await?;
    println!("{count} accounts and Secrets written in {:?}", filling.elapsed());
    Ok(fixture)
}

/// Starts the operator as it is installed, and does not wait.
async fn operator(plane: &ControlPlane) -> anyhow::Result<Operator> {
    let options = OperatorOptions {
        kubeconfig: Some(plane.service_account("caas-system", "caas-operator").await?),
        args: vec!["--service-namespace=caas-system".to_owned()],
        env: vec![("RUST_LOG".to_owned(), "warn".to_owned())],
        ..OperatorOptions::default()
    };
    Operator::spawn(plane, options)
}

async fn own_metric(operator: &Operator, series: &str) -> anyhow::Result<f64> {
    value(&operator.scrape("/metrics").await?.1, series)
}

/// Numbers of writes by resource and verb.
type Writes = BTreeMap<(String, String), usize>;

/// What the operator has written, by resource and verb, from the audit log.
fn writes(fixture: &Fixture) -> anyhow::Result<Writes> {
    let used = fixture.namespace.cluster().audit_log()?.used_by(OPERATOR);
    let written =
        used.into_iter().filter(|((_, verb), _)| !matches!(verb.as_str(), "get" | "list" | "watch"));
    Ok(written.map(|(key, usage)| (key, usage.calls)).collect())
}

/// The same once no event has been written for a while: they come last, one after another.
async fn settled_writes(fixture: &Fixture) -> anyhow::Result<Writes> {
    until(BOUNDED, "the last event", async || {
        let before = besides_statuses(&writes(fixture)?);
        sleep(Duration::from_secs(5)).await;
        ensure!(before == besides_statuses(&writes(fixture)?), "there are more");
        Ok(())
    })
    .await;
    writes(fixture)
}

/// Resource and verb of a status.
fn status() -> (String, String) {
    ("caasaccounts.caas-operator.io/status".to_owned(), "patch".to_owned())
}

fn besides_statuses(writes: &Writes) -> Writes {
    let mut rest = writes.clone();
    rest.remove(&status());
    rest
}

/// Checks that nothing was written since, but the time of the last success: at most once in 5 minutes an account, and not
/// in the first 5 minutes after a start. On a busy machine, the counts of a few accounts were not written before.
fn only_successes(before: &Writes, after: &Writes, accounts: usize, since_start: Duration) {
    assert_eq!(besides_statuses(before), besides_statuses(after));
    let periods = usize::try_from(since_start.as_secs() / 300).unwrap();
    let (before, after) = (before[&status()], after[&status()]);
    let most = periods * accounts + accounts / 100;
    assert!(after - before <= most, "{} statuses in {since_start:?}", after - before);
}

/// Waits until all accounts are Ready for the API server.
async fn all_ready(fixture: &Fixture, count: usize) {
    until(BOUNDED, "all accounts to be ready", async || {
        // The list costs the API server more than the operator does.
        sleep(Duration::from_secs(2)).await;
        let all = fixture.accounts().list(&ListParams::default()).await?;
        let ready = all.iter().filter(|account| {
            let conditions = account.status.iter().flat_map(|status| &status.conditions);
            conditions.into_iter().any(|current| current.type_ == "Ready" && current.status == "True")
        });
        let ready = ready.count();
        ensure!(ready == count, "{ready} are");
        Ok(())
    })
    .await;
}

/// Waits until all accounts have been collected since the operator started, at which time `before` cycles had begun.
async fn all_collected(fixture: &Fixture, operator: &Operator, count: usize, before: u64) {
    until(BOUNDED, "all accounts to be collected", async || {
        let begun = fixture.cloud.counts()["services_page"] - before;
        ensure!(begun >= count as u64, "{begun} cycles have begun");
        sleep(Duration::from_millis(500)).await;
        let (code, body) = operator.scrape("/accounts").await?;
        let collected = body.matches("\"reason\":\"Collected\"").count();
        ensure!(code == 200 && collected == count, "{code}: {collected} are");
        Ok(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_thousand_accounts_start_in_bounded_time_and_then_nothing_is_written() -> anyhow::Result<()> {
    const ACCOUNTS: usize = 1000;
    let plane = control_plane().await?;
    plane.install_service_monitors().await?;
    let spec = json!({"collection": {"interval": "20s", "requestTimeout": "5m"}});
    let fixture = accounts(&plane, ACCOUNTS, 2, spec).await?;
    let started = Instant::now();
    let operator = operator(&plane).await?;
    all_ready(&fixture, ACCOUNTS).await;
    println!("all ready after {:?}, {} MiB resident", started.elapsed(), operator.resident_kib()? / 1024);

    let round = ACCOUNTS.try_into()?;
    fixture.until_cycles(round).await;
    let (settled, requests) = (settled_writes(&fixture).await?, fixture.cloud.counts().total);
    println!("written until then: {settled:?}");
    fixture.until_cycles(2 * round).await;
    println!("requests to the cloud in two rounds: {}", fixture.cloud.counts().total - requests);
    only_successes(&settled, &writes(&fixture)?, ACCOUNTS, started.elapsed());
    // Each account: a status before and after its first collection, three events, a ServiceMonitor.
    let calls: usize = settled.values().sum();
    assert!(calls <= ACCOUNTS * 7, "{calls} writes for {ACCOUNTS} accounts");
    println!("reconciles: {}", own_metric(&operator, "caas_operator_reconciles_total{result=\"ok\"}").await?);
    println!("{} MiB resident", operator.resident_kib()? / 1024);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn all_accounts_are_collected_soon_after_a_start_with_at_most_32_reads_at_once() -> anyhow::Result<()> {
    let count = many_accounts(2_000);
    let plane = control_plane().await?;
    let fixture = accounts(&plane, count, 1, each_minute()).await?;

    // Nothing has been written to them yet, so their writes compete with their first readings.
    let started = Instant::now();
    let mut first = operator(&plane).await?;
    all_collected(&fixture, &first, count, 0).await;
    println!("all new accounts collected after {:?}, {} written", started.elapsed(), writes(&fixture)?.len());
    all_ready(&fixture, count).await;
    println!("all ready after {:?}, {} MiB at most", started.elapsed(), first.peak_resident_kib()? / 1024);
    assert!(first.peak_resident_kib()? < MEMORY_LIMIT_KIB / 2);
    let log = plane.audit_log()?;
    assert!(log.most_at_once(OPERATOR, "secrets", "get") <= READS_AT_ONCE);
    // Counts are written a minute after the first status at the earliest.
    fixture.until_cycles(2 * count as u64).await;
    let written = settled_writes(&fixture).await?;
    println!("written: {written:?}");
    first.kill().await?;

    // A restart is nothing new to any account.
    let (before, read) = (fixture.cloud.counts()["services_page"], plane.audit_log()?.of(OPERATOR).count());
    let started = Instant::now();
    let second = operator(&plane).await?;
    all_collected(&fixture, &second, count, before).await;
    println!("all collected after a restart in {:?}", started.elapsed());
    if is_measured() {
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    }
    let log = plane.audit_log()?;
    let reads: Vec<_> =
        log.of(OPERATOR).skip(read).filter(|it| it.request.resource == "secrets").map(|it| it.time).collect();
    let (begin, end) = (reads.iter().map(|it| it.0).min(), reads.iter().map(|it| it.1).max());
    println!("{} Secrets read from {begin:?} to {end:?}", reads.len());
    let took = end.zip(begin).map(|(end, begin)| end.duration_since(begin).as_secs_f64()).unwrap();
    // Far from the ten a second of later readings, also where the machine does much else.
    assert!(took < count as f64 / 10.0 / 4.0, "{took} s for {} reads", reads.len());
    println!("reads at once: {}", log.most_at_once(OPERATOR, "secrets", "get"));
    assert!(log.most_at_once(OPERATOR, "secrets", "get") <= READS_AT_ONCE);
    fixture.until_cycles(2 * count as u64).await;
    println!(
        "after two rounds {} MiB resident, {} MiB at most",
        second.resident_kib()? / 1024,
        second.peak_resident_kib()? / 1024
    );
    assert!(second.peak_resident_kib()? < MEMORY_LIMIT_KIB / 2);
    only_successes(&written, &writes(&fixture)?, count, started.elapsed());
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn accounts_that_fail_by_the_thousand_do_not_delay_an_account_of_another_namespace()
-> anyhow::Result<()> {
    const FAILING: usize = 1_200;
    let plane = control_plane().await?;
    let tenant = Fixture::new(plane.namespace("tenant").await?).await?;
    let bystander = Fixture::new(plane.namespace("bystander").await?).await?;
    let spec = json!({"serviceMonitor": {"mode": "Never"}});
    let create = async |number: usize| -> anyhow::Result<()> {
        let name = format!("failing-{number}");
        let account = serde_json::from_value(manifest(&name, &tenant.spec(&name, spec.clone())))?;
        tenant.accounts().create(&PostParams::default(), &account).await?;
        Ok(())
    };
    stream::iter((0..FAILING).map(Ok)).try_for_each_concurrent(16, create).await?;

    let mut operator = operator(&plane).await?;
    operator.ready().await?;
    // Readings of their Secrets, which are the clock: a slow machine makes fewer of them as well.
    let reads =
        async || own_metric(&operator, "caas_operator_secret_reads_total{result=\"not_found\"}").await;
    let post = PostParams::default();
    // Behind all of a tenant's accounts, as in one queue of all namespaces, anything up to their number may come first. An account
    // of another namespace waits for no more than half of them: what is read every 15 s comes after some 150.
    let most = FAILING as f64 / 2.0;
    // When many of them have no status yet, and when all have one and are read again as fast as they may be.
    for name in ["first", "second"] {
        let (before, written) = (reads().await?, Instant::now());
        let account: CaasAccount =
            serde_json::from_value(manifest(name, &bystander.spec(name, spec.clone())))?;
        bystander.accounts().create(&post, &account).await?;
        bystander.until_reason(name, "CredentialsReady", "SecretNotFound").await;
        let waited = reads().await? - before;
        println!("a new account has its condition after {:?} and {waited} readings", written.elapsed());
        // All that come first at the start are read at once.
        let at_once = (FAILING as f64 - before).max(0.0);
        assert!(waited < at_once + most, "{name}: {waited}");
        until(BOUNDED, "all failing accounts to be read", async || {
            let read = reads().await?;
            ensure!(read >= FAILING as f64, "{read} are");
            Ok(())
        })
        .await;
    }

    until(BOUNDED, "the failing accounts to be read again and again", async || {
        let read = reads().await?;
        ensure!(read >= FAILING as f64 + 100.0, "{read} are");
        Ok(())
    })
    .await;
    let (before, written) = (reads().await?, Instant::now());
    bystander.namespace.apply(&bystander.secret("second").to_string()).await?.expect_ok();
    bystander.until_ready("second").await;
    let waited = reads().await? - before;
    println!("a Secret that comes later is used after {:?} and {waited} readings", written.elapsed());
    assert!(waited < most, "{waited}");
    Ok(())
}
