//! The fixture of tests that stop, disconnect and restart the operator: a namespace, a simulated cloud and accounts in it.
//! Each test starts the operator itself. Knows the custom resource, nothing of the operator's internals.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use caas_operator::api::CaasAccount;
use caas_operator::simulator::{AccountSettings, Running, Settings, Simulator};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use crate::harness::{Calls, Namespace, Operator, OperatorOptions, until};

/// For what takes a few cycles, a backoff or a period of the operator on a machine that does much else.
pub(crate) const DEADLINE: Duration = Duration::from_secs(300);

/// The CaasAccounts' name in calls.
pub(crate) const ACCOUNTS: &str = "caasaccounts.caas-operator.io";

/// The ServiceMonitors' name in calls.
pub(crate) const MONITORS: &str = "servicemonitors.monitoring.coreos.com";

/// A namespace and a simulated cloud.
pub(crate) struct Fixture {
    pub(crate) namespace: Namespace,
    pub(crate) cloud: Running,
}

impl Fixture {
    /// A namespace, and a cloud whose user has two services of one instance.
    pub(crate) async fn new(namespace: Namespace) -> anyhow::Result<Self> {
        let accounts = vec![AccountSettings { services: 2, instances: 1, ..AccountSettings::new("acme") }];
        Self::with(namespace, Settings { accounts, ..Settings::default() }).await
    }

    /// The same with another cloud.
    pub(crate) async fn with(namespace: Namespace, settings: Settings) -> anyhow::Result<Self> {
        Ok(Self { namespace, cloud: Simulator::start(settings).await? })
    }

    /// The operator limited to this namespace.
    pub(crate) fn options(&self) -> OperatorOptions {
        OperatorOptions {
            namespaces: vec![self.namespace.name().to_owned()],
            args: vec!["--service-namespace=caas-system".to_owned()],
            ..OperatorOptions::default()
        }
    }

    /// Starts the operator, limited to this namespace.
    pub(crate) async fn start_operator(&self) -> anyhow::Result<Operator> {
        Operator::start(self.namespace.cluster(), self.options()).await
    }

    /// Writes a Secret and an account that is collected every 5 s.
    pub(crate) async fn account(&self, name: &str) -> anyhow::Result<()> {
        self.account_with(name, json!({})).await
    }

    /// The same with a spec that this is merged into.
    pub(crate) async fn account_with(&self, name: &str, spec: Value) -> anyhow::Result<()> {
        let manifests = [self.secret(name), manifest(name, &self.spec(name, spec))];
        let list = json!({"apiVersion": "v1", "kind": "List", "items": manifests});
        self.namespace.apply(&list.to_string()).await?.expect_ok();
        Ok(())
    }

    /// A Secret with the cloud's first login.
    pub(crate) fn secret(&self, name: &str) -> Value {
        let login = self.cloud.credentials().remove(0);
        let data = json!({"username": login.username, "password": login.password});
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})
    }

    /// The spec of an account with the Secret of this name, with `more` merged into it.
    pub(crate) fn spec(&self, secret: &str, more: Value) -> Value {
        let mut spec = json!({
            "provider": {"alauda": {"endpoint": self.cloud.url()}},
            "credentials": {"secretRef": {"name": secret}},
            "collection": {"interval": "5s", "requestTimeout": "10s"},
        });
        merge(&mut spec, more);
        spec
    }

    /// Merges something into an account.
    pub(crate) async fn patch(&self, name: &str, patch: Value) -> anyhow::Result<()> {
        self.accounts().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Deletes an account, directly, not through a proxy.
    pub(crate) async fn delete(&self, name: &str) -> anyhow::Result<()> {
        self.accounts().delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// The accounts, directly, not through a proxy.
    pub(crate) fn accounts(&self) -> Api<CaasAccount> {
        self.namespace.api()
    }

    /// The ServiceMonitors, directly, not through a proxy.
    pub(crate) fn monitors(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1", "ServiceMonitor");
        let resource = ApiResource::from_gvk(&kind);
        Api::namespaced_with(self.namespace.client(), self.namespace.name(), &resource)
    }

    /// One condition of an account.
    pub(crate) async fn condition(&self, name: &str, condition: &str) -> anyhow::Result<Condition> {
        let status = self.accounts().get(name).await?.status.context("no status yet")?;
        let found = status.conditions.iter().find(|found| found.type_ == condition);
        found.cloned().with_context(|| format!("no {condition} in {:?}", status.conditions))
    }

    /// Waits until a condition has this reason, and returns its message.
    pub(crate) async fn until_reason(&self, name: &str, condition: &str, reason: &str) -> String {
        until(DEADLINE, &format!("{condition} of {name} to be {reason}"), async || {
            let found = self.condition(name, condition).await?;
            ensure!(found.reason == reason, "{}: {}", found.reason, found.message);
            Ok(found.message)
        })
        .await
    }

    /// Waits until an account is collected, and ready for that.
    pub(crate) async fn until_ready(&self, name: &str) {
        until(DEADLINE, &format!("{name} to be ready"), async || {
            let found = self.condition(name, "Ready").await?;
            ensure!(
                found.status == "True" && found.reason == "Collected",
                "{}: {}",
                found.reason,
                found.message
            );
            Ok(())
        })
        .await;
    }

    /// Waits until this cloud has served its inventory so many times more.
    pub(crate) async fn until_cycles(&self, more: u64) {
        let before = self.cloud.counts()["services_page"];
        until(DEADLINE.max(Duration::from_secs(more)), &format!("{more} more cycles"), async || {
            let now = self.cloud.counts()["services_page"];
            ensure!(now >= before + more, "{} so far", now - before);
            Ok(())
        })
        .await;
    }

    /// The path of an account's series.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("/accounts/{}/{name}/metrics", self.namespace.name())
    }

    /// The paths about all accounts whose answers name this one.
    pub(crate) async fn named_on(
        &self,
        operator: &Operator,
        name: &str,
    ) -> anyhow::Result<Vec<&'static str>> {
        let namespace = self.namespace.name();
        let marks = [
            format!("{namespace}/{name}/"),
            format!("\"{namespace}/{name}\""),
            format!("\"namespace\":\"{namespace}\",\"name\":\"{name}\""),
            format!("account=\"{name}\",account_namespace=\"{namespace}\""),
        ];
        let mut named = Vec::new();
        for path in ["/", "/accounts", "/sd", "/metrics"] {
            let (code, body) = operator.scrape(path).await?;
            ensure!(code == 200, "{path}: {code}");
            if marks.iter().any(|mark| body.contains(mark)) {
                named.push(path);
            }
        }
        Ok(named)
    }

    /// Waits until nothing is served of an account, nor anything about it.
    pub(crate) async fn until_nothing_left(&self, operator: &Operator, name: &str) {
        until(DEADLINE, &format!("nothing to be left of {name}"), async || {
            let (series, values) = (self.path(name), format!("/accounts/{}/{name}", self.namespace.name()));
            for path in [series, values] {
                let (code, _) = operator.scrape(&path).await?;
                ensure!(code == 404, "{path}: {code}");
            }
            let named = self.named_on(operator, name).await?;
            ensure!(named.is_empty(), "it is named on {named:?}");
            Ok(())
        })
        .await;
    }

    /// Waits until the series of an account are answered with this code.
    pub(crate) async fn until_scraped(&self, operator: &Operator, name: &str, code: u16) {
        until(DEADLINE, &format!("a scrape of {name} to be answered with {code}"), async || {
            let (seen, body) = operator.scrape(&self.path(name)).await?;
            ensure!(seen == code, "{seen}: {}", body.lines().next().unwrap_or_default());
            Ok(())
        })
        .await;
    }

    /// How often each event about an account was recorded, by its reason.
    pub(crate) async fn events(&self, name: &str) -> anyhow::Result<BTreeMap<String, i32>> {
        let mut events = BTreeMap::new();
        for event in self.namespace.api::<Event>().list(&ListParams::default()).await? {
            let about = event.regarding.and_then(|regarding| regarding.name);
            if about.as_deref() == Some(name) {
                let times = event.series.map_or(1, |series| series.count);
                *events.entry(event.reason.unwrap_or_default()).or_insert(0) += times;
            }
        }
        Ok(events)
    }

    /// The reasons of the warnings about an account.
    pub(crate) async fn warnings(&self, name: &str) -> anyhow::Result<Vec<String>> {
        let events = self.namespace.api::<Event>().list(&ListParams::default()).await?.into_iter();
        let warnings = events.filter(|event| {
            let about = event.regarding.as_ref().and_then(|regarding| regarding.name.as_deref());
            about == Some(name) && event.type_.as_deref() == Some("Warning")
        });
        Ok(warnings.filter_map(|event| event.reason).collect())
    }

    /// Calls about the objects of this namespace.
    pub(crate) fn calls(&self, verb: &str, resource: &str) -> Calls {
        Calls::new(verb, resource).of(&format!("{}/*", self.namespace.name()))
    }

    /// Calls about one of them.
    pub(crate) fn call(&self, verb: &str, resource: &str, name: &str) -> Calls {
        Calls::new(verb, resource).of(&format!("{}/{name}", self.namespace.name()))
    }
}

/// A whole account.
pub(crate) fn manifest(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "caas-operator.io/v1alpha1", "kind": "CaasAccount", "metadata": {"name": name}, "spec": spec})
}

/// Puts the second into the first, objects by their keys.
fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

/// The value of a series whose line begins like this.
pub(crate) fn value(body: &str, series: &str) -> anyhow::Result<f64> {
    let line = body.lines().find(|line| line.starts_with(series)).with_context(|| format!("no {series}"))?;
    line.rsplit(' ').next().context("a value")?.parse().with_context(|| line.to_owned())
}
