//! The ServiceMonitor's type, as far as this operator writes it. Prometheus Operator owns the CRD.

use std::collections::BTreeMap;

use kube::core::DeserializeGuard;
use kube::{CustomResource, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The label that marks what this operator writes.
pub(super) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "caas-operator");

/// The fields of a ServiceMonitor that we write: what decides which targets and paths are scraped.
///
/// Others, such as `jobLabel`, `targetLabels`, `podTargetLabels`, `scrapeClass` and the limits, are left to other field
/// managers: they add to a scrape or bound it, but do not point it elsewhere. A field that would is kept in `foreign`.
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
pub(super) type GuardedMonitor = DeserializeGuard<ServiceMonitor>;

/// The name for messages: `namespace/name`.
pub(super) fn shown(monitor: &ServiceMonitor) -> String {
    format!("{}/{}", monitor.namespace().unwrap_or_default(), monitor.name_any())
}
