//! The fourth step: writes the ServiceMonitor as it should be, restores it after an edit, and never takes one from
//! another owner.

use std::fmt::Write as _;
use std::sync::Arc;

use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use thiserror::Error;

use super::FIELD_MANAGER;
use super::api_call::{ApiError, call};
use super::build::{ScrapeService, service_monitor};
use super::monitors::{CrdDiscovery, Monitors};
use super::owner::{self, Owner};
use super::service_monitor::{ServiceMonitor, WatchedMonitor, shown, written};
use crate::account::{AccountId, omitted_labels};
use crate::api::spec::MonitorMode;
use crate::api::{CaasAccount, Finding, Reason};
use crate::cloud::Providers;

/// Why the ServiceMonitor is not as it should be, where nobody has to do anything about it.
#[derive(Debug, Error)]
pub(super) enum ApplyError {
    /// The one that is there could not be read.
    #[error("reading the ServiceMonitor: {0}")]
    Read(#[source] ApiError),
    /// It could not be written.
    #[error("applying the ServiceMonitor: {0}")]
    Apply(#[source] ApiError),
    /// One that should not be there could not be deleted.
    #[error("deleting the ServiceMonitor: {0}")]
    Delete(#[source] ApiError),
}

impl ApplyError {
    /// The call that failed.
    pub(super) fn call(&self) -> &ApiError {
        match self {
            Self::Read(error) | Self::Apply(error) | Self::Delete(error) => error,
        }
    }
}

/// Writes ServiceMonitors.
pub(super) struct MonitorWriter {
    /// The API server.
    pub(super) client: Client,
    /// The providers that accounts may name.
    pub(super) providers: Providers,
    /// What ServiceMonitors point at.
    pub(super) service: ScrapeService,
    /// Whether accounts whose mode is `Auto` get one.
    pub(super) auto: bool,
    /// Checks for the CRD where a write suggests that it is gone.
    pub(super) discovery: Arc<CrdDiscovery>,
}

impl MonitorWriter {
    /// Makes the account's ServiceMonitor what its spec says; `None` while it is not known whether there can be any.
    pub(super) async fn apply(
        &self,
        monitors: &Monitors,
        account: &CaasAccount,
        id: &AccountId,
    ) -> Result<Option<Finding>, ApplyError> {
        let asked_for = match account.spec.service_monitor.mode {
            MonitorMode::Always => true,
            MonitorMode::Auto => self.auto,
            MonitorMode::Never => false,
        };
        let wanted = asked_for && !account.spec.suspend;
        match monitors {
            Monitors::Unknown => Ok(None),
            Monitors::NotInstalled if wanted => Ok(Some(not_installed(account))),
            Monitors::NotInstalled => Ok(Some(disabled(account))),
            Monitors::Installed(_) if wanted => self.write(monitors, account, id).await.map(Some),
            Monitors::Installed(_) => self.remove(monitors, account, id).await.map(Some),
        }
    }

    async fn write(
        &self,
        monitors: &Monitors,
        account: &CaasAccount,
        id: &AccountId,
    ) -> Result<Finding, ApplyError> {
        let wanted = service_monitor(self.providers, account, id, &self.service);
        let name = wanted.name_any();
        if let Some(existing) = monitors.get(&id.namespace, &name)
            && let Ok(existing) = &existing.object
            && existing.written == written(&wanted)
        {
            return Ok(applied(&wanted, account));
        }
        // The store has only what carries our label; another owner's of that name is found by reading it.
        let api: Api<WatchedMonitor> = Api::namespaced(self.client.clone(), &id.namespace);
        let existing = match call(api.get_opt(&name)).await {
            Ok(existing) => existing.map(|existing| existing.meta().clone()),
            Err(error) => return self.refused(account, &wanted, ApplyError::Read(error)),
        };
        match existing.map(|existing| (owner::of(&existing, account), existing)) {
            None | Some((Owner::Account, _)) => {}
            Some((Owner::Foreign, _)) => return Ok(not_owned(&wanted)),
            // Writing over it would leave a second controller where somebody else has written the former one's name.
            Some((Owner::Former, former)) => {
                if let Err(error) = delete(&api, &name, former.uid).await {
                    return self.refused(account, &wanted, error);
                }
            }
        }
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match call(api.patch(&name, &params, &Patch::Apply(&wanted))).await {
            Ok(_) => Ok(applied(&wanted, account)),
            Err(error) => self.refused(account, &wanted, ApplyError::Apply(error)),
        }
    }

    /// Deletes the ServiceMonitor if it belongs to the account, or to a former one of its name.
    async fn remove(
        &self,
        monitors: &Monitors,
        account: &CaasAccount,
        id: &AccountId,
    ) -> Result<Finding, ApplyError> {
        let wanted = service_monitor(self.providers, account, id, &self.service);
        let name = wanted.name_any();
        let api: Api<WatchedMonitor> = Api::namespaced(self.client.clone(), &id.namespace);
        let disabled = disabled(account);
        let existing = match monitors.get(&id.namespace, &name) {
            Some(existing) => Some(existing.meta().clone()),
            None if is_reported(account, &disabled) => None,
            // One without our label is not in the store. One read is enough: after it nothing writes one.
            None => match call(api.get_opt(&name)).await {
                Ok(existing) => existing.map(|existing| existing.meta().clone()),
                // Nobody who wants no ServiceMonitor has to fix a missing permission or CRD.
                Err(error) if matches!(error.code(), Some(403 | 404)) => None,
                Err(error) => return Err(ApplyError::Read(error)),
            },
        };
        if let Some(existing) = existing
            && owner::of(&existing, account) != Owner::Foreign
            && let Err(error) = delete(&api, &name, existing.uid).await
            // A conflict means that this one is gone and another one has its name.
            && error.call().code() != Some(409)
        {
            return self.refused(account, &wanted, error);
        }
        Ok(disabled)
    }

    /// A finding where somebody has to act on a refusal, else the error, which is tried again.
    fn refused(
        &self,
        account: &CaasAccount,
        wanted: &ServiceMonitor,
        error: ApplyError,
    ) -> Result<Finding, ApplyError> {
        match error.call().code() {
            Some(404) => {
                self.discovery.check_soon();
                Ok(not_installed(account))
            }
            Some(403) => Ok(forbidden(wanted)),
            Some(400 | 422) => Ok(invalid(wanted)),
            Some(500) if error.call().is_unknown_field() => Ok(invalid(wanted)),
            _ => Err(error),
        }
    }
}

/// Deletes the one with this UID; another one is a conflict. That there is none is as good.
async fn delete(api: &Api<WatchedMonitor>, name: &str, uid: Option<String>) -> Result<(), ApplyError> {
    let this_one = Preconditions { uid, resource_version: None };
    let params = DeleteParams { preconditions: Some(this_one), ..DeleteParams::default() };
    match call(api.delete(name, &params)).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(404) => Ok(()),
        Err(error) => Err(ApplyError::Delete(error)),
    }
}

/// Whether the status reports this finding for this very spec already.
fn is_reported(account: &CaasAccount, finding: &Finding) -> bool {
    account.status.iter().flat_map(|status| &status.conditions).any(|current| {
        current.type_ == finding.condition.as_str()
            && current.reason == finding.reason.as_str()
            && current.observed_generation == account.metadata.generation
    })
}

fn forbidden(wanted: &ServiceMonitor) -> Finding {
    Finding::new(
        Reason::Forbidden,
        format!(
            "The operator is not allowed to write ServiceMonitor {}. Grant its ServiceAccount get, \
             list, watch, create, patch and delete on servicemonitors.monitoring.coreos.com in that \
             namespace, or set spec.serviceMonitor.mode to Never.",
            shown(wanted)
        ),
    )
}

fn invalid(wanted: &ServiceMonitor) -> Finding {
    Finding::new(
        Reason::Invalid,
        format!(
            "The API server rejects ServiceMonitor {} as invalid. Check spec.serviceMonitor and \
             spec.metrics.labels, and that the installed ServiceMonitor CRD is from Prometheus \
             Operator 0.47 or later.",
            shown(wanted)
        ),
    )
}

/// The most labels that a message names.
const SHOWN_LABELS: usize = 8;

fn applied(wanted: &ServiceMonitor, account: &CaasAccount) -> Finding {
    let mut message = format!("ServiceMonitor {} is up to date.", shown(wanted));
    let omitted: Vec<String> =
        omitted_labels(&account.spec).map(|label| format!("{label:?}")).take(SHOWN_LABELS).collect();
    if !omitted.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(
            message,
            " spec.metrics.labels has reserved or invalid names, which are ignored: {}. Use other names.",
            omitted.join(", ")
        );
    }
    Finding::new(Reason::Applied, message)
}

fn disabled(account: &CaasAccount) -> Finding {
    let why = match account.spec.service_monitor.mode {
        _ if account.spec.suspend => "The account is suspended, so it has no ServiceMonitor.",
        MonitorMode::Never => "spec.serviceMonitor.mode is Never, so there is no ServiceMonitor.",
        MonitorMode::Auto | MonitorMode::Always => {
            "The operator runs with --no-service-monitors and spec.serviceMonitor.mode is not Always, so there is no \
             ServiceMonitor. Prometheus can discover the account at the operator's /sd."
        }
    };
    Finding::new(Reason::Disabled, why)
}

fn not_installed(account: &CaasAccount) -> Finding {
    if account.spec.service_monitor.mode == MonitorMode::Always {
        return Finding::new(
            Reason::CRDNotInstalled,
            "The ServiceMonitor CRD of Prometheus Operator is not installed, and spec.serviceMonitor.mode is Always. \
             The account is collected anyway. Install Prometheus Operator, or set spec.serviceMonitor.mode to Auto.",
        );
    }
    Finding::new(
        Reason::PrometheusOperatorNotInstalled,
        "The ServiceMonitor CRD of Prometheus Operator is not installed, so there is no ServiceMonitor. The operator \
         creates one when the CRD is installed. Until then, Prometheus can discover the account at the operator's \
         /sd.",
    )
}

fn not_owned(wanted: &ServiceMonitor) -> Finding {
    Finding::new(
        Reason::NotOwned,
        format!(
            "ServiceMonitor {} exists and is not owned by this account. Rename or delete it, or set \
             spec.serviceMonitor.mode to Never.",
            shown(wanted)
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn labels_that_an_older_version_accepted_and_this_one_leaves_out_are_named() {
        let message = |labels: serde_json::Value| {
            let account: CaasAccount = serde_json::from_value(json!({
                "apiVersion": "caas-operator.io/v1alpha1",
                "kind": "CaasAccount",
                "metadata": {"namespace": "team-a", "name": "acme"},
                "spec": {
                    "provider": {"alauda": {"endpoint": "https://caas.example.com/v1/"}},
                    "credentials": {"secretRef": {"name": "acme-alauda"}},
                    "metrics": {"labels": labels},
                },
            }))
            .unwrap();
            let service = ScrapeService {
                namespace: "caas-system".into(),
                name: "caas-operator".into(),
                labels: BTreeMap::new(),
                port: 8080,
            };
            let id = AccountId::new("team-a", "acme");
            let wanted = service_monitor(Providers::ALL, &account, &id, &service);
            applied(&wanted, &account).message
        };
        let current = "ServiceMonitor team-a/caas-acme is up to date.";
        assert_eq!(message(json!({"team": "checkout"})), current);
        assert_eq!(
            message(json!({"team": "checkout", "state": "x", "code\n": "y"})),
            format!(
                "{current} spec.metrics.labels has reserved or invalid names, which are ignored: \
                 \"code\\n\", \"state\". Use other names."
            )
        );
    }
}
