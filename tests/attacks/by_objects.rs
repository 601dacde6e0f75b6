//! Objects in a real cluster: what a tenant writes there must cost no other tenant.
//!
//! These carry `#[ignore]`, since they need the real servers: `make attacks` builds those and runs these too.

use std::time::{Duration, Instant};

use caas_operator::api::CaasAccount;
use caas_operator::simulator::{AccountSettings, Running, Settings, Simulator};
use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

use crate::harness::{ControlGroup, Damage, MEMORY, Watch, collected_at, is_alone, is_optimized, scaled};
use crate::kubernetes::{ControlPlane, Namespace, Operator, OperatorOptions, SOON};
use crate::process::until_within;

/// How long the operator may take for what an attack has prepared, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// A control plane of its own, a healthy cloud, and the bystander's namespace and the tenant's.
struct Cluster {
    plane: ControlPlane,
    cloud: Running,
    bystander: Namespace,
    tenant: Namespace,
}

impl Cluster {
    /// With the bystander's account; the operator does not run yet.
    async fn start() -> anyhow::Result<Self> {
        let plane = ControlPlane::own().await?;
        plane.install_our_crds().await?;
        let accounts = vec![AccountSettings { services: 2, instances: 2, ..AccountSettings::new("acme") }];
        let cloud = Simulator::start(Settings { accounts, ..Settings::default() }).await?;
        let (bystander, tenant) = (plane.namespace("bystander").await?, plane.namespace("tenant").await?);
        let cluster = Self { plane, cloud, bystander, tenant };
        let login = cluster.cloud.credentials().remove(0);
        create_secret(&cluster.bystander, &login.username, &login.password).await?;
        create(&cluster.bystander, "bystander", &cluster.spec(), Value::Null).await?;
        Ok(cluster)
    }

    /// The spec of an account at the cloud, with the Secret `acme`.
    fn spec(&self) -> Value {
        json!({
            "provider": {"alauda": {"endpoint": self.cloud.url(), "namespace": "acme"}},
            "credentials": {"secretRef": {"name": "acme"}},
            "collection": {"interval": "5s"},
            "serviceMonitor": {"mode": "Never"},
        })
    }

    /// Starts the operator and times the bystander from its first collection on.
    async fn operator(&self) -> anyhow::Result<Attacked> {
        self.operator_within(MEMORY).await
    }

    /// The same where its budgets are parts of so many bytes.
    async fn operator_within(&self, memory: u64) -> anyhow::Result<Attacked> {
        let args = vec![format!("--memory-limit={memory}"), "--relist-seconds=20".to_owned()];
        let options = OperatorOptions { args, ..OperatorOptions::default() };
        // It is ready only after a minute where thousands of accounts fail: it is not waited for.
        let begun = Instant::now();
        let operator = Operator::spawn(&self.plane, options)?;
        let group = ControlGroup::with_memory(MEMORY);
        if let Some(group) = &group {
            group.take(until_within(PATIENCE, "the operator's process", async || operator.pid().ok()).await);
        }
        let metrics = format!("{}/accounts/{}/bystander/metrics", operator.url(), self.bystander.name());
        until_within(PATIENCE, "the bystander's first collection", async || collected_at(&metrics).await)
            .await;
        println!("the bystander is collected {:?} after the start", begun.elapsed());
        let watch = Watch::start(operator.health_url("/livez"), metrics);
        Ok(Attacked { operator, watch, _group: group })
    }
}

/// The operator under attack.
struct Attacked {
    operator: Operator,
    watch: Watch,
    _group: Option<ControlGroup>,
}

impl Attacked {
    /// What the attack did once it has gone on for so long.
    async fn damage_after(mut self, time: Duration) -> anyhow::Result<Damage> {
        tokio::time::sleep(time).await;
        let damage = self.watch.damage(self.operator.peak_resident_kib()? << 10);
        assert_eq!(self.operator.stop(SOON).await?, 0, "SIGTERM is heard under the attack");
        assert!(
            !self.operator.logs().contains("aborting unfinished writes"),
            "what waits ends with the operator"
        );
        Ok(damage)
    }
}

async fn create(namespace: &Namespace, name: &str, spec: &Value, labels: Value) -> anyhow::Result<()> {
    let account = json!({
        "apiVersion": "caas-operator.io/v1alpha1", "kind": "CaasAccount",
        "metadata": {"name": name, "labels": labels}, "spec": spec,
    });
    let path = format!("/apis/caas-operator.io/v1alpha1/namespaces/{}/caasaccounts", namespace.name());
    let request = http::Request::post(path).body(serde_json::to_vec(&account)?)?;
    namespace.client().request::<Value>(request).await?;
    Ok(())
}

async fn create_secret(namespace: &Namespace, username: &str, password: &str) -> anyhow::Result<()> {
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "acme"}, "stringData": {"username": username, "password": password},
    }))?;
    namespace.api::<Secret>().create(&PostParams::default(), &secret).await?;
    Ok(())
}

/// The reason of an account's condition, once it has one.
async fn reason(namespace: &Namespace, name: &str, condition: &str) -> Option<String> {
    let account = namespace.api::<CaasAccount>().get(name).await.ok()?;
    let status = account.status?;
    Some(status.conditions.iter().find(|found| found.type_ == condition)?.reason.clone())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make attacks"]
async fn accounts_of_28_000_labels_each_are_not_kept() -> anyhow::Result<()> {
    const ACCOUNTS: usize = 150;
    let begun = Instant::now();
    let cluster = Cluster::start().await?;
    let labels: Value = (0..28_000).map(|n| (format!("label-{n:05}"), json!("xxxx"))).collect();
    let mut spec = cluster.spec();
    spec["suspend"] = json!(true);
    let tenant = &cluster.tenant;
    let objects = stream::iter((0..ACCOUNTS).map(|n| format!("large-{n}")));
    // Each takes the API server seconds of CPU time: with more of them at once, all of them would take too long.
    objects
        .map(Ok)
        .try_for_each_concurrent(2, async |name| create(tenant, &name, &spec, labels.clone()).await)
        .await?;
    println!("created after {:?}", begun.elapsed());

    let attacked = cluster.operator().await?;
    until_within(PATIENCE, "all of them to be told", async || {
        let told = attacked.operator.scrape("/accounts").await.ok()?.1.matches("ObjectTooLarge").count();
        (told == ACCOUNTS).then_some(())
    })
    .await;
    attacked
        .damage_after(Duration::from_secs(30))
        .await?
        .assert_bounded("150 accounts with 28,000 labels each");
    Ok(())
}

// Half of them are suspended, and the others wait for a Secret: reconciles under way hold their objects for long.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make attacks"]
async fn specs_of_60_kib_by_the_thousand_are_kept_no_further_than_the_memory_goes() -> anyhow::Result<()> {
    const ACCOUNTS: usize = 3_000;
    let cluster = Cluster::start().await?;
    let tenant = &cluster.tenant;
    let mut spec = cluster.spec();
    // All that the schema lets globs take, which the account has a copy of, and one annotation.
    let globs = |list: &str| -> Value { (0..100).map(|n| json!(format!("{n:03}{list:x<250}"))).collect() };
    spec["services"] = json!({"include": globs("in"), "exclude": globs("ex")});
    spec["serviceMonitor"] = json!({"mode": "Never", "annotations": {"a": "x".repeat(4_096)}});
    let objects = stream::iter((0..ACCOUNTS).map(|n| (format!("spec-{n}"), n % 2 == 0)));
    objects
        .map(Ok)
        .try_for_each_concurrent(8, async |(name, is_suspended)| {
            let mut spec = spec.clone();
            spec["suspend"] = json!(is_suspended);
            create(tenant, &name, &spec, Value::Null).await
        })
        .await?;

    let attacked = cluster.operator().await?;
    until_within(PATIENCE, "all of them to be listed", async || {
        let listed = attacked.operator.scrape("/accounts").await.ok()?.1.matches("\"name\":\"spec-").count();
        println!("{listed} accounts listed");
        (listed >= ACCOUNTS).then_some(())
    })
    .await;
    let (_, listed) = attacked.operator.scrape("/accounts").await?;
    println!("{} of {ACCOUNTS} are refused", listed.matches("\"TooLarge\"").count());
    let damage = attacked.damage_after(Duration::from_secs(45)).await?;
    damage.assert_bounded("3,000 accounts with specs of 60 KiB");
    assert!(listed.contains("\"TooLarge\""), "some do not fit");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make attacks"]
async fn a_secret_that_thousands_name_is_kept_no_further_than_the_memory_goes() -> anyhow::Result<()> {
    let (accounts, memory) = if is_optimized() { (6_000, MEMORY) } else { (800, 64 << 20) };
    let cluster = Cluster::start().await?;
    let tenant = &cluster.tenant;
    // All that the keys of an account may hold, which each keeps for itself, and once more as it uses them.
    let value = "x".repeat(4_096);
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "acme"}, "stringData": {"token": value, "username": value, "password": value},
    }))?;
    tenant.api::<Secret>().create(&PostParams::default(), &secret).await?;
    let mut spec = cluster.spec();
    spec["collection"] = json!({"interval": "300s"});
    let objects = stream::iter((0..accounts).map(|n| format!("named-{n}")));
    objects
        .map(Ok)
        .try_for_each_concurrent(8, async |name| create(tenant, &name, &spec, Value::Null).await)
        .await?;

    let attacked = cluster.operator_within(memory).await?;
    // All of them would fit without their Secrets.
    let refused = until_within(PATIENCE, "a quarter of them to be refused", async || {
        let refused = attacked.operator.scrape("/accounts").await.ok()?.1.matches("\"TooLarge\"").count();
        (refused > accounts / 4).then_some(refused)
    })
    .await;
    println!("{refused} of {accounts} are refused");
    attacked
        .damage_after(Duration::from_secs(30))
        .await?
        .assert_bounded(&format!("{accounts} accounts that name one Secret of the largest values"));
    Ok(())
}

/// Certificates of so many bytes in all, at most.
fn bundle(bytes: usize) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut bundle = String::new();
    for number in 0.. {
        let certificate = rcgen::CertificateParams::new(vec![format!("ca-{number}.example.com")]).unwrap();
        let pem = certificate.self_signed(&key).unwrap().pem();
        if bundle.len() + pem.len() > bytes {
            break;
        }
        bundle += &pem;
    }
    bundle
}

// In a cluster, each account reads the Secret for itself; a folder of manifests has it once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make attacks"]
async fn a_bundle_that_a_thousand_accounts_name_is_in_memory_once() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let tenant = &cluster.tenant;
    create_secret(tenant, "acme", "secret").await?;
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "ca"}, "stringData": {"ca.crt": bundle(521_000)},
    }))?;
    tenant.api::<Secret>().create(&PostParams::default(), &secret).await?;
    let mut spec = cluster.spec();
    // Plain HTTP behind it: each account makes a client with the bundle, and its handshake fails.
    spec["provider"]["alauda"]["endpoint"] = json!(cluster.cloud.url().replace("http://", "https://"));
    spec["tls"] = json!({"caBundleSecretRef": {"name": "ca", "key": "ca.crt"}});
    let objects = stream::iter((0..1_000).map(|n| format!("bundle-{n}")));
    objects
        .map(Ok)
        .try_for_each_concurrent(8, async |name| create(tenant, &name, &spec, Value::Null).await)
        .await?;

    let attacked = cluster.operator().await?;
    until_within(PATIENCE, "each of them to be tried", async || {
        let tried = attacked.operator.scrape("/accounts").await.ok()?.1.matches("CloudUnreachable").count();
        (tried >= 1_000).then_some(())
    })
    .await;
    attacked
        .damage_after(Duration::from_secs(30))
        .await?
        .assert_bounded("1,000 accounts that name one bundle of 521 KB");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make attacks"]
async fn failing_accounts_by_the_thousand_delay_no_new_account_of_another() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let (tenant, spec) = (&cluster.tenant, cluster.spec());
    let objects = stream::iter((0..scaled(1_200)).map(|n| format!("failing-{n}")));
    objects
        .map(Ok)
        .try_for_each_concurrent(8, async |name| create(tenant, &name, &spec, Value::Null).await)
        .await?;

    let attacked = cluster.operator().await?;
    let begun = Instant::now();
    create(&cluster.bystander, "new", &spec, Value::Null).await?;
    until_within(PATIENCE, "the new account to be ready", async || {
        let reason = reason(&cluster.bystander, "new", "Ready").await?;
        (reason == "Collected").then_some(())
    })
    .await;
    let waited = begun.elapsed();
    println!("a new account of another namespace is ready after {waited:?}");
    // Some 2 s; 12 s where all namespaces are read in one queue.
    assert!(!is_alone() || waited < Duration::from_secs(8), "{waited:?}");
    attacked
        .damage_after(Duration::from_secs(30))
        .await?
        .assert_bounded("1,200 accounts without their Secret");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make attacks"]
async fn invented_credentials_at_anothers_cloud_account_name_nobody() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let attacked = cluster.operator().await?;
    // After the cloud has accepted the bystander's credentials: before that, there is nothing to learn.
    create_secret(&cluster.tenant, "acme", "invented").await?;
    create(&cluster.tenant, "spy", &cluster.spec(), Value::Null).await?;
    until_within(PATIENCE, "the login to be rejected", async || {
        let reason = reason(&cluster.tenant, "spy", "CredentialsReady").await?;
        (reason == "LoginRejected").then_some(())
    })
    .await;
    let damage = attacked.damage_after(Duration::from_secs(15)).await?;
    let account = cluster.tenant.api::<CaasAccount>().get("spy").await?;
    let events = cluster.tenant.api::<Event>().list(&ListParams::default()).await?.items;
    assert!(!events.is_empty(), "its own rejection is an event");
    for told in [serde_json::to_string(&account)?, serde_json::to_string(&events)?] {
        assert!(!told.contains("bystander") && !told.contains("SharedCloudAccount"), "{told}");
    }
    damage.assert_bounded("an account with invented credentials at another's cloud account");
    Ok(())
}
