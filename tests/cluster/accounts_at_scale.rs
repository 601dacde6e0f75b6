//! A thousand accounts on one operator: the start is bounded, and where nothing changes nothing is written.
//! It takes the longest, and its name comes first in the alphabet, by which tests are begun.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use caas_operator::api::CaasAccount;
use caas_operator::simulator::{AccountSettings, Settings};
use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, ObjectMeta, PostParams};
use serde_json::json;
use tokio::time::Instant;

use crate::harness::{ControlPlane, Operator, OperatorOptions, until};
use crate::stage::{Stage, manifest, value};

const ACCOUNTS: usize = 1000;

/// At ten reads of Secrets a second a thousand take 100 s; the rest is for a busy machine.
const BOUNDED: Duration = Duration::from_secs(900);

/// The operator in the audit log, as it is installed.
const OPERATOR: &str = "system:serviceaccount:caas-system:caas-operator";

/// Writes an account and its Secret for each user of the cloud.
async fn fill(stage: &Stage) -> anyhow::Result<()> {
    let post = PostParams::default();
    let write = async |login: caas_operator::simulator::Login| -> anyhow::Result<()> {
        let name = login.username.clone();
        let keys = BTreeMap::from([("username".into(), login.username), ("password".into(), login.password)]);
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let secret = Secret { metadata, string_data: Some(keys), ..Secret::default() };
        stage.namespace.api::<Secret>().create(&post, &secret).await?;
        let spec = stage.spec(&name, json!({"collection": {"interval": "20s", "requestTimeout": "5m"}}));
        let account: CaasAccount = serde_json::from_value(manifest(&name, &spec))?;
        stage.accounts().create(&post, &account).await?;
        Ok(())
    };
    stream::iter(stage.cloud.credentials()).map(Ok).try_for_each_concurrent(16, write).await
}

async fn own_metric(operator: &Operator, series: &str) -> anyhow::Result<f64> {
    value(&operator.scrape("/metrics").await?.1, series)
}

/// What the operator has written, by resource and verb, from the audit log.
fn writes(stage: &Stage) -> anyhow::Result<BTreeMap<(String, String), usize>> {
    let used = stage.namespace.cluster().audit_log()?.used_by(OPERATOR);
    let written =
        used.into_iter().filter(|((_, verb), _)| !matches!(verb.as_str(), "get" | "list" | "watch"));
    Ok(written.map(|(key, usage)| (key, usage.calls)).collect())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_thousand_accounts_start_in_bounded_time_and_then_nothing_is_written() -> anyhow::Result<()> {
    let plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    plane.install_service_monitors().await?;
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/install/cluster-wide.yaml");
    plane.apply(&std::fs::read_to_string(manifests)?).await?;
    let accounts = (0..ACCOUNTS).map(|number| AccountSettings {
        services: 2,
        instances: 1,
        ..AccountSettings::new(format!("account-{number}"))
    });
    let settings = Settings { accounts: accounts.collect(), ..Settings::default() };
    let stage = Stage::with(plane.namespace("thousand").await?, settings).await?;
    let filling = Instant::now();
    fill(&stage).await?;
    println!("{ACCOUNTS} accounts and Secrets written in {:?}", filling.elapsed());

    let options = OperatorOptions {
        kubeconfig: Some(plane.service_account("caas-system", "caas-operator").await?),
        args: vec!["--service-namespace=caas-system".to_owned()],
        env: vec![("RUST_LOG".to_owned(), "info".to_owned())],
        ..OperatorOptions::default()
    };
    let started = Instant::now();
    let operator = Operator::start(&plane, options).await?;
    println!("ready after {:?}", started.elapsed());
    until(BOUNDED, "all accounts to be ready", async || {
        // The list costs the API server more than the operator does.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let secrets = own_metric(&operator, "caas_operator_secret_reads_total{result=\"found\"}").await?;
        assert!(
            secrets <= 10.0 * started.elapsed().as_secs_f64() + 1.0,
            "{secrets} reads in {:?}",
            started.elapsed()
        );
        ensure!(secrets >= 1000.0, "{secrets} Secrets read");
        let all = stage.accounts().list(&ListParams::default()).await?;
        let ready = all.iter().filter(|account| {
            let conditions = account.status.iter().flat_map(|status| &status.conditions);
            conditions.into_iter().any(|stands| stands.type_ == "Ready" && stands.status == "True")
        });
        let ready = ready.count();
        ensure!(ready == ACCOUNTS, "{ready} are");
        Ok(())
    })
    .await;
    println!("all ready after {:?}, {} MiB resident", started.elapsed(), operator.resident_kib()? / 1024);

    let round = ACCOUNTS.try_into()?;
    stage.cycles(round).await;
    let (settled, asked) = (writes(&stage)?, stage.cloud.counts().total);
    println!("written until then: {settled:?}");
    stage.cycles(2 * round).await;
    println!("requests to the cloud in two rounds: {}", stage.cloud.counts().total - asked);
    assert_eq!(writes(&stage)?, settled);
    // Each account: a status before and after its first collection, three events, a ServiceMonitor.
    let calls: usize = settled.values().sum();
    assert!(calls <= ACCOUNTS * 7, "{calls} writes for {ACCOUNTS} accounts");
    println!("reconciles: {}", own_metric(&operator, "caas_operator_reconciles_total{result=\"ok\"}").await?);
    println!("{} MiB resident", operator.resident_kib()? / 1024);
    Ok(())
}
