//! The fixture of most tests: a namespace, a simulated cloud, an operator that runs, and accounts as users write them.
//! Knows the custom resource and the operator's HTTP, nothing of what a test checks.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use caas_operator::api::{CaasAccount, CaasAccountStatus};
use caas_operator::simulator::{AccountSettings, Running, Settings, Simulator};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::harness::{ControlPlane, Namespace, Operator, OperatorOptions, until};

/// For what takes a cycle or two, or a read of a Secret, on a machine that does much else.
pub(crate) const DEADLINE: Duration = Duration::from_secs(300);

/// A namespace, a simulated cloud and an operator. Accounts are collected every 5 s.
pub(crate) struct OperatorFixture {
    pub(crate) namespace: Namespace,
    pub(crate) operator: Operator,
    pub(crate) cloud: Running,
}

impl OperatorFixture {
    /// The operator reconciles this namespace only; the cloud has the user `acme`.
    pub(crate) async fn new(hint: &str) -> anyhow::Result<Self> {
        Self::with(hint, &[]).await
    }

    /// The same with further arguments of the operator.
    pub(crate) async fn with(hint: &str, args: &[&str]) -> anyhow::Result<Self> {
        let namespace = ControlPlane::shared().await.namespace(hint).await?;
        let operator = Self::operator(&namespace, args).await?;
        Ok(Self { namespace, operator, cloud: cloud().await? })
    }

    /// An operator of this namespace only, with further arguments.
    pub(crate) async fn operator(namespace: &Namespace, args: &[&str]) -> anyhow::Result<Operator> {
        let options = OperatorOptions {
            namespaces: vec![namespace.name().to_owned()],
            args: args.iter().map(ToString::to_string).collect(),
            ..OperatorOptions::default()
        };
        Operator::start(ControlPlane::shared().await, options).await
    }

    /// The spec of an account at this cloud; the Secret has the account's name.
    pub(crate) fn spec(&self, name: &str) -> Value {
        spec(&self.cloud, name)
    }

    /// Writes the Secret with the right password and the account.
    pub(crate) async fn account(&self, name: &str) -> anyhow::Result<()> {
        self.secret(name, &login(&self.cloud)).await?;
        self.put(name, self.spec(name)).await
    }

    /// Makes an account of this spec, or gives it this spec.
    pub(crate) async fn put(&self, name: &str, spec: Value) -> anyhow::Result<()> {
        put(&self.namespace, name, spec).await
    }

    /// Changes an account by a JSON merge patch.
    pub(crate) async fn patch(&self, name: &str, patch: Value) -> anyhow::Result<()> {
        self.accounts().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Makes a Secret, or replaces all its keys.
    pub(crate) async fn secret(&self, name: &str, keys: &[(&str, String)]) -> anyhow::Result<()> {
        secret(&self.namespace, name, keys).await
    }

    /// Deletes an account.
    pub(crate) async fn delete(&self, name: &str) -> anyhow::Result<()> {
        self.accounts().delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// The namespace's accounts.
    pub(crate) fn accounts(&self) -> Api<CaasAccount> {
        self.namespace.api()
    }

    /// Waits until a condition has this reason; returns its message.
    pub(crate) async fn until_reason(&self, name: &str, condition: &str, reason: &str) -> String {
        until_reason(&self.namespace, name, condition, reason).await
    }

    /// Waits until the account is ready.
    pub(crate) async fn until_ready(&self, name: &str) {
        self.until_reason(name, "Ready", "Collected").await;
    }

    /// Code and body of an account's metrics.
    pub(crate) async fn metrics(&self, name: &str) -> anyhow::Result<(u16, String)> {
        self.operator.scrape(&format!("/accounts/{}/{name}/metrics", self.namespace.name())).await
    }

    /// Waits until the cloud has served so many lists of services more: one a cycle of one account.
    pub(crate) async fn until_cycles(&self, more: u64) {
        let from = self.cloud.counts()["services_page"];
        until(DEADLINE, &format!("{more} cycles more"), async || {
            let now = self.cloud.counts()["services_page"];
            ensure!(now >= from + more, "{} so far", now - from);
            Ok(())
        })
        .await;
    }

    /// The events about an account, oldest first: type, reason and how often each was seen.
    pub(crate) async fn events(&self, name: &str) -> anyhow::Result<Vec<(String, String, i32)>> {
        let mut events = self.namespace.api::<Event>().list(&ListParams::default()).await?.items;
        events.retain(|event| {
            event.regarding.as_ref().is_some_and(|regarding| regarding.name.as_deref() == Some(name))
        });
        events.sort_by(|one, other| one.event_time.cmp(&other.event_time));
        let shown = |event: Event| {
            let times = event.series.map_or(1, |series| series.count);
            (event.type_.unwrap_or_default(), event.reason.unwrap_or_default(), times)
        };
        Ok(events.into_iter().map(shown).collect())
    }
}

/// A simulated cloud whose user `acme` has 2 services of 2 instances.
pub(crate) async fn cloud() -> anyhow::Result<Running> {
    cloud_of(Settings::default()).await
}

/// The same with further settings.
pub(crate) async fn cloud_of(settings: Settings) -> anyhow::Result<Running> {
    let accounts = vec![AccountSettings { services: 2, instances: 2, ..AccountSettings::new("acme") }];
    Ok(Simulator::start(Settings { accounts, ..settings }).await?)
}

/// The keys of a Secret for the cloud's first user.
pub(crate) fn login(cloud: &Running) -> [(&'static str, String); 2] {
    let login = cloud.credentials().remove(0);
    [("username", login.username), ("password", login.password)]
}

/// An account's spec: this cloud, the Secret of this name, a cycle every 5 s.
pub(crate) fn spec(cloud: &Running, secret: &str) -> Value {
    json!({
        "provider": {"alauda": {"endpoint": cloud.url(), "namespace": "acme"}},
        "credentials": {"secretRef": {"name": secret}},
        "collection": {"interval": "5s", "requestTimeout": "10s"},
    })
}

/// The whole object.
pub(crate) fn manifest(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "caas-operator.io/v1alpha1", "kind": "CaasAccount", "metadata": {"name": name}, "spec": spec})
}

/// Makes an account of this spec, or gives it this spec.
pub(crate) async fn put(namespace: &Namespace, name: &str, spec: Value) -> anyhow::Result<()> {
    let params = PatchParams::apply("caas-operator-tests").force();
    let patch = Patch::Apply(manifest(name, &spec));
    namespace.api::<CaasAccount>().patch(name, &params, &patch).await?;
    Ok(())
}

/// Makes a Secret, or replaces all its keys.
pub(crate) async fn secret(namespace: &Namespace, name: &str, keys: &[(&str, String)]) -> anyhow::Result<()> {
    let secrets: Api<Secret> = namespace.api();
    let data: BTreeMap<String, String> =
        keys.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let mut secret = Secret { metadata, string_data: Some(data), ..Secret::default() };
    match secrets.get_opt(name).await? {
        None => secrets.create(&PostParams::default(), &secret).await?,
        Some(current) => {
            secret.metadata.resource_version = current.metadata.resource_version;
            secrets.replace(name, &PostParams::default(), &secret).await?
        }
    };
    Ok(())
}

/// An account's status.
pub(crate) async fn status(namespace: &Namespace, name: &str) -> anyhow::Result<CaasAccountStatus> {
    namespace.api::<CaasAccount>().get(name).await?.status.context("no status yet")
}

/// Waits until a condition has this reason, in the object's newest generation; returns its message.
pub(crate) async fn until_reason(namespace: &Namespace, name: &str, condition: &str, reason: &str) -> String {
    until(DEADLINE, &format!("{name}: {condition} to be {reason}"), async || {
        let account = namespace.api::<CaasAccount>().get(name).await?;
        let status = account.status.context("no status yet")?;
        let found = status.conditions.iter().find(|found| found.type_ == condition);
        let found = found.with_context(|| format!("no such condition: {status:?}"))?;
        ensure!(found.reason == reason, "{}: {}", found.reason, found.message);
        ensure!(found.observed_generation == account.metadata.generation, "of an older spec: {found:?}");
        Ok(found.message.clone())
    })
    .await
}
