//! The ServiceMonitor: its type, as far as we write it, and whether its definition is installed.
//!
//! The definition belongs to Prometheus Operator and may be missing, come later or go again. So it is looked for
//! by discovery, and watched in a task of its own: trouble here never stops the accounts' watch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{CustomResource, Resource, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::build::account_name;
use super::context::{Context, within};
use super::history;
use super::scope::Scope;
use crate::account::AccountId;

/// The label that marks what this operator writes.
pub(super) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "caas-operator");

/// How often discovery is asked whether the definition is there.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The fields of a ServiceMonitor that we write: what decides which targets and paths are scraped.
///
/// All others are left to whoever sets them, such as `jobLabel`, `targetLabels`, `podTargetLabels`, `scrapeClass` and the
/// limits: they add to a scrape or bound it, and lead it nowhere else. Where a field that we do not write would, it is
/// `foreign`.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "monitoring.coreos.com",
    version = "v1",
    kind = "ServiceMonitor",
    plural = "servicemonitors",
    namespaced,
    schema = "disabled"
)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceMonitorSpec {
    #[serde(default)]
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) selector: Selector,
    #[serde(default)]
    pub(super) namespace_selector: NamespaceSelector,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keep_dropped_targets: Option<i64>,
}

/// One path to scrape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Endpoint {
    #[serde(default)]
    pub(super) port: String,
    #[serde(default)]
    pub(super) path: String,
    #[serde(default)]
    pub(super) interval: String,
    #[serde(default)]
    pub(super) scrape_timeout: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) honor_labels: bool,
    #[serde(default)]
    pub(super) relabelings: Vec<Relabeling>,
    /// What somebody else has put here. The API server merges endpoints as a whole, so it is theirs or ours.
    #[serde(flatten)]
    pub(super) foreign: BTreeMap<String, Value>,
}

/// One rule of relabeling, of the kinds that we write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Relabeling {
    /// Written although `replace` is the default, so that what is read back is what was written.
    #[serde(default)]
    pub(super) action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) target_label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) replacement: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) regex: Option<String>,
    /// What somebody else has put here.
    #[serde(flatten)]
    pub(super) foreign: BTreeMap<String, Value>,
}

/// Labels of the Service to find.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Selector {
    #[serde(default)]
    pub(super) match_labels: BTreeMap<String, String>,
    /// What somebody else has put here, such as `matchExpressions`. The API server merges selectors as a whole too.
    #[serde(flatten)]
    pub(super) foreign: BTreeMap<String, Value>,
}

/// Namespaces in which to find it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NamespaceSelector {
    /// Written although false is the default: what we do not write stays, and `true` makes the names count for nothing.
    #[serde(default)]
    pub(super) any: bool,
    #[serde(default)]
    pub(super) match_names: Vec<String>,
}

/// A ServiceMonitor, or the metadata of one that cannot be read.
pub(super) type Guarded = DeserializeGuard<ServiceMonitor>;

/// What is known of the ServiceMonitors of one scope.
#[derive(Clone)]
pub(super) enum Monitors {
    /// Discovery was not answered since the start.
    Unknown,
    /// The definition is not installed.
    NotInstalled,
    /// It is, and this store follows those that carry our label.
    Installed(Store<Guarded>),
}

impl Monitors {
    /// The ServiceMonitor of this name as it stands, if the store has it.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<Guarded>> {
        let Self::Installed(store) = self else { return None };
        store.get(&ObjectRef::new(name).within(namespace))
    }
}

/// Follows the ServiceMonitors of one scope until cancelled: `state` says how it stands, `touched` is told
/// the accounts whose ServiceMonitor changed.
pub(super) async fn follow(
    context: Arc<Context>,
    scope: Scope,
    state: watch::Sender<Monitors>,
    touched: mpsc::Sender<AccountId>,
    cancel: CancellationToken,
) {
    let mut watching: Option<CancellationToken> = None;
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = context.look_for_monitors.notified() => {}
            _ = look.tick() => {}
        }
        match installed(&context).await {
            Ok(true) if watching.is_none() => {
                tracing::info!("the ServiceMonitor definition is installed");
                let stop = cancel.child_token();
                let (store, writer) = reflector::store::<Guarded>();
                let names = touched.clone();
                let watch = watch_monitors(Arc::clone(&context), scope.clone(), writer, state.clone(), names);
                let stopped = stop.clone();
                tokio::spawn(async move { stopped.run_until_cancelled(watch).await });
                // An account reconciled before the store is filled would think that its ServiceMonitor is missing.
                let filled = tokio::time::timeout(LOOK_EVERY, store.wait_until_ready()).await;
                if filled.is_err() {
                    tracing::warn!(
                        "ServiceMonitors could not be listed yet; missing permissions or a slow API server"
                    );
                }
                state.send_replace(Monitors::Installed(store));
                watching = Some(stop);
            }
            Ok(false) if watching.is_some() || matches!(*state.borrow(), Monitors::Unknown) => {
                tracing::info!(
                    "the ServiceMonitor definition is not installed; accounts are collected all the same"
                );
                if let Some(stop) = watching.take() {
                    stop.cancel();
                }
                state.send_replace(Monitors::NotInstalled);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "cannot find out whether ServiceMonitors are installed"),
        }
    }
}

/// Whether the API server knows ServiceMonitors. Only "not found" means no: everything else is an error.
async fn installed(context: &Context) -> Result<bool, super::context::Error> {
    let group = <ServiceMonitor as Resource>::api_version(&());
    let answer = within("discovery", async {
        match context.client.list_api_group_resources(&group).await {
            Ok(list) => Ok(list.resources.iter().any(|resource| resource.kind == "ServiceMonitor")),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            Err(error) => Err(error),
        }
    });
    answer.await
}

async fn watch_monitors(
    context: Arc<Context>,
    scope: Scope,
    writer: reflector::store::Writer<Guarded>,
    state: watch::Sender<Monitors>,
    touched: mpsc::Sender<AccountId>,
) {
    let api = scope.api::<Guarded>(context.client.clone());
    let config = context.watch_config().labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1));
    let watch = history::watch(Arc::clone(&context), api, config);
    let mut events = watch.default_backoff().reflect(writer).boxed();
    loop {
        let event = match events.try_next().await {
            Ok(Some(event)) => event,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "the watch of ServiceMonitors is interrupted");
                context.look_for_monitors.notify_waiters();
                continue;
            }
        };
        let monitor = match event {
            watcher::Event::Apply(monitor) | watcher::Event::Delete(monitor) => monitor,
            watcher::Event::Init | watcher::Event::InitApply(_) => continue,
            watcher::Event::InitDone => {
                // What happened while nobody watched is not told one by one.
                state.send_modify(|_| ());
                continue;
            }
        };
        if let Some(account) = account(monitor.meta())
            && touched.send(account).await.is_err()
        {
            return;
        }
    }
}

/// The account whose ServiceMonitor has this name, whoever it belongs to by now.
fn account(meta: &kube::core::ObjectMeta) -> Option<AccountId> {
    Some(AccountId::new(meta.namespace.as_deref()?, account_name(meta.name.as_deref()?)?))
}

/// The name for messages: `namespace/name`.
pub(super) fn shown(monitor: &ServiceMonitor) -> String {
    format!("{}/{}", monitor.namespace().unwrap_or_default(), monitor.name_any())
}
