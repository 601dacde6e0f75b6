//! The ServiceMonitor's type, as far as this operator writes it. Prometheus Operator owns the CRD.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kube::core::ObjectMeta;
use kube::{CustomResource, Resource, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::watched::{Kept, Watched, used_metadata};
use super::{FIELD_MANAGER, owner};
use crate::hash::keyed_hash;

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

/// What is kept of a ServiceMonitor: whose it is, and whether it is as we wrote it.
#[derive(Debug, Clone)]
pub(super) struct KeptMonitor {
    metadata: ObjectMeta,
    /// A hash of all that we write.
    pub(super) written: u64,
}

/// A ServiceMonitor as a watch keeps it, or one that cannot be used.
pub(super) type WatchedMonitor = Watched<KeptMonitor>;

impl Kept for KeptMonitor {
    type Object = ServiceMonitor;

    /// Little is kept of it, and one with all that an account may ask for is larger than the account.
    const LARGEST: usize = 256 << 10;

    fn keep(object: ServiceMonitor) -> Self {
        let written = written(&object);
        Self { metadata: used_metadata(object.metadata), written }
    }
}

impl Resource for KeptMonitor {
    type DynamicType = ();
    type Scope = <ServiceMonitor as Resource>::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        ServiceMonitor::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        ServiceMonitor::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        ServiceMonitor::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        ServiceMonitor::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// A hash of all that we write of a ServiceMonitor: the fields of its spec that we know, those labels and annotations that
/// are ours, and who controls it. What others added is theirs and does not change it.
pub(super) fn written(monitor: &ServiceMonitor) -> u64 {
    let ours = |field, all: &BTreeMap<String, String>| {
        let keys = our_keys(monitor, field);
        let is_ours = |key: &String| keys.as_ref().is_none_or(|keys| keys.contains(&&**key));
        let ours: BTreeMap<String, String> = all
            .iter()
            .filter(|(key, _)| is_ours(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        ours
    };
    let controller = owner::controller(&monitor.metadata).map(|owner| &owner.uid);
    // Serializing it cannot fail: its keys are strings.
    let spec = serde_json::to_string(&monitor.spec).unwrap_or_default();
    let labels = ours("f:labels", monitor.labels());
    let annotations = ours("f:annotations", monitor.annotations());
    keyed_hash((spec, labels, annotations, controller))
}

/// The keys of a field of the metadata that we have written and that still are ours; `None` for an object that does not
/// say who has written what, as one that is not written yet.
fn our_keys<'a>(monitor: &'a ServiceMonitor, field: &str) -> Option<Vec<&'a str>> {
    let entries = monitor.metadata.managed_fields.as_ref()?;
    let ours = entries.iter().filter(|entry| {
        entry.manager.as_deref() == Some(FIELD_MANAGER) && entry.operation.as_deref() == Some("Apply")
    });
    let fields =
        ours.filter_map(|entry| entry.fields_v1.as_ref()?.0.get("f:metadata")?.get(field)?.as_object());
    Some(fields.flat_map(|keys| keys.keys()).filter_map(|key| key.strip_prefix("f:")).collect())
}

/// The name for messages: `namespace/name`.
pub(super) fn shown(monitor: &ServiceMonitor) -> String {
    format!("{}/{}", monitor.namespace().unwrap_or_default(), monitor.name_any())
}
