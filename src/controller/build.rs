//! The ServiceMonitor of an account, as a value. Pure.

use std::collections::BTreeMap;

use kube::core::ObjectMeta;
use kube::{Resource, ResourceExt};

use super::service_monitor::{
    Endpoint, MANAGED_BY, NamespaceSelector, Relabeling, Selector, ServiceMonitor, ServiceMonitorSpec,
};
use crate::account::{AccountId, Target, targets};
use crate::api::CaasAccount;
use crate::cloud::Providers;

/// The Service through which Prometheus reaches this operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeService {
    /// The operator's namespace.
    pub namespace: String,
    /// The Service's name.
    pub name: String,
    /// The Service's labels, by which the ServiceMonitor finds it.
    pub labels: BTreeMap<String, String>,
    /// The number of its port `http`.
    pub port: u16,
}

/// The name of an account's ServiceMonitor.
fn monitor_name(account: &str) -> String {
    format!("caas-{account}")
}

/// The account whose ServiceMonitor has this name.
pub(super) fn account_name(monitor: &str) -> Option<&str> {
    monitor.strip_prefix("caas-")
}

/// The ServiceMonitor that the account should have.
pub(super) fn service_monitor(
    providers: Providers,
    account: &CaasAccount,
    id: &AccountId,
    service: &ScrapeService,
) -> ServiceMonitor {
    let wanted = &account.spec.service_monitor;
    let mut labels = wanted.labels.clone();
    labels.insert(MANAGED_BY.0.into(), MANAGED_BY.1.into());
    let targets = targets(providers, id, &account.spec);
    ServiceMonitor {
        metadata: ObjectMeta {
            name: Some(monitor_name(&account.name_any())),
            namespace: Some(id.namespace.to_string()),
            labels: Some(labels),
            annotations: (!wanted.annotations.is_empty()).then(|| wanted.annotations.clone()),
            owner_references: account.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: ServiceMonitorSpec {
            endpoints: targets.iter().map(|target| endpoint(target, id, service)).collect(),
            selector: Selector { match_labels: service.labels.clone(), foreign: BTreeMap::new() },
            namespace_selector: NamespaceSelector {
                any: false,
                match_names: vec![service.namespace.clone()],
            },
            // Each account's scrape pool would otherwise remember all others' dropped targets.
            keep_dropped_targets: Some(1),
        },
    }
}

fn endpoint(target: &Target, id: &AccountId, service: &ScrapeService) -> Endpoint {
    Endpoint {
        port: "http".into(),
        path: target.path.clone(),
        interval: target.interval.to_string(),
        scrape_timeout: target.timeout.to_string(),
        honor_labels: target.legacy,
        relabelings: relabelings(target, id, service),
        foreign: BTreeMap::new(),
    }
}

fn relabelings(target: &Target, id: &AccountId, service: &ScrapeService) -> Vec<Relabeling> {
    let set = |label: &str, value: &str| Relabeling {
        action: "replace".into(),
        target_label: Some(label.into()),
        replacement: Some(literally(value)),
        regex: None,
        foreign: BTreeMap::new(),
    };
    let mut rules: Vec<_> = target.labels.iter().map(|(label, value)| set(label, value)).collect();
    rules.extend([
        // Whichever replica is asked, the series are the same ones.
        set("__address__", &format!("{}.{}.svc:{}", service.name, service.namespace, service.port)),
        // A sharded Prometheus scrapes each account once.
        set("__tmp_hash", &id.to_string()),
        Relabeling {
            action: "labeldrop".into(),
            target_label: None,
            replacement: None,
            regex: Some("pod|container|node|service|endpoint".into()),
            foreign: BTreeMap::new(),
        },
    ]);
    rules
}

/// The replacement that means this very text to Prometheus, which expands `$1`. There is no `$(` in it: for `$(NAME)`
/// Prometheus Operator's reloader puts a variable of its environment, wherever that is in the configuration, and
/// older ones load none at all where they have no such variable.
fn literally(value: &str) -> String {
    // No group is called `_`, so it expands to nothing.
    value.replace('$', "$$").replace("$(", "$${_}(")
}

#[cfg(test)]
mod tests;
