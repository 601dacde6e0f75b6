//! The step that writes: the ServiceMonitor as wanted, put back after an edit, never taken from someone else.

use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Resource, ResourceExt};

use super::FIELD_MANAGER;
use super::build::{is_as_wanted, service_monitor};
use super::context::{Context, Error, within};
use super::monitoring::{Guarded, Monitors, ServiceMonitor, shown};
use super::owner::{self, Owner};
use crate::account::AccountId;
use crate::api::{CaasAccount, Finding, Reason};

/// Sees that the account's ServiceMonitor is as its spec says; `None` while it is not known whether there can be any.
pub(super) async fn apply(
    context: &Context,
    monitors: &Monitors,
    account: &CaasAccount,
    id: &AccountId,
) -> Result<Option<Finding>, Error> {
    let wanted = account.spec.service_monitor.enabled && !account.spec.suspend;
    match monitors {
        Monitors::Unknown => Ok(None),
        Monitors::NotInstalled if wanted => Ok(Some(not_installed())),
        Monitors::NotInstalled => Ok(Some(disabled(account))),
        Monitors::Installed(_) if wanted => put(context, monitors, account, id).await.map(Some),
        Monitors::Installed(_) => remove(context, monitors, account, id).await.map(Some),
    }
}

async fn put(
    context: &Context,
    monitors: &Monitors,
    account: &CaasAccount,
    id: &AccountId,
) -> Result<Finding, Error> {
    let wanted = service_monitor(account, id, &context.service);
    let name = wanted.name_any();
    let api: Api<Guarded> = Api::namespaced(context.client.clone(), &id.namespace);

    if let Some(stands) = monitors.get(&id.namespace, &name)
        && let Ok(stands) = &stands.0
        && is_as_wanted(stands, &wanted)
    {
        return Ok(applied(&wanted));
    }
    // The store knows only what carries our label; someone else's of that name is seen by asking.
    let stands = match within("reading the ServiceMonitor", api.get_metadata_opt(&name)).await {
        Ok(stands) => stands,
        Err(error) => return refused(context, &wanted, error),
    };
    match stands.map(|stands| (owner::of(&stands.metadata, account), stands.metadata)) {
        None | Some((Owner::Account, _)) => {}
        Some((Owner::Foreign, _)) => return Ok(not_owned(&wanted)),
        // To write over it would leave a controller too many where somebody else has written the former one's name.
        Some((Owner::Former, former)) => {
            if let Err(error) = delete(&api, &name, former.uid).await {
                return refused(context, &wanted, error);
            }
        }
    }
    let params = PatchParams::apply(FIELD_MANAGER).force();
    match within("applying the ServiceMonitor", api.patch(&name, &params, &Patch::Apply(&wanted))).await {
        Ok(_) => Ok(applied(&wanted)),
        Err(error) => refused(context, &wanted, error),
    }
}

/// Deletes the ServiceMonitor if it is the account's own, or was left by one of its name.
async fn remove(
    context: &Context,
    monitors: &Monitors,
    account: &CaasAccount,
    id: &AccountId,
) -> Result<Finding, Error> {
    let wanted = service_monitor(account, id, &context.service);
    let name = wanted.name_any();
    let api: Api<Guarded> = Api::namespaced(context.client.clone(), &id.namespace);
    let disabled = disabled(account);
    let stands = match monitors.get(&id.namespace, &name) {
        Some(stands) => Some(stands.meta().clone()),
        None if is_told(account, &disabled) => None,
        // One without our label is not in the store. To ask once is enough: after that, nobody writes one.
        None => match within("reading the ServiceMonitor", api.get_metadata_opt(&name)).await {
            Ok(stands) => stands.map(|stands| stands.metadata),
            // What may not be read, or is not even defined, is nothing that somebody who wants none has to mend.
            Err(error) if matches!(error.code(), Some(403 | 404)) => None,
            Err(error) => return Err(error),
        },
    };
    if let Some(stands) = stands
        && owner::of(&stands, account) != Owner::Foreign
        && let Err(error) = delete(&api, &name, stands.uid).await
        // Another one stands there by now, and this one does not.
        && error.code() != Some(409)
    {
        return refused(context, &wanted, error);
    }
    Ok(disabled)
}

/// Deletes the one with this UID; another one is a conflict. That there is none is as good.
async fn delete(api: &Api<Guarded>, name: &str, uid: Option<String>) -> Result<(), Error> {
    let this_one = Preconditions { uid, resource_version: None };
    let params = DeleteParams { preconditions: Some(this_one), ..DeleteParams::default() };
    match within("deleting the ServiceMonitor", api.delete(name, &params)).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(404) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the status says so of this very spec already.
fn is_told(account: &CaasAccount, finding: &Finding) -> bool {
    account.status.iter().flat_map(|status| &status.conditions).any(|stands| {
        stands.type_ == finding.condition.as_str()
            && stands.reason == finding.reason.as_str()
            && stands.observed_generation == account.metadata.generation
    })
}

/// What a refusal means: a finding where somebody has to do something, else an error that is tried again.
fn refused(context: &Context, wanted: &ServiceMonitor, error: Error) -> Result<Finding, Error> {
    match error.code() {
        Some(404) => {
            context.look_for_monitors.notify_waiters();
            Ok(not_installed())
        }
        Some(403) => Ok(Finding::new(
            Reason::Forbidden,
            format!(
                "The operator may not write ServiceMonitor {}; grant it get, list, watch, create, patch and \
                 delete on servicemonitors.monitoring.coreos.com in that namespace, or set \
                 spec.serviceMonitor.enabled to false.",
                shown(wanted)
            ),
        )),
        Some(400 | 422) => Ok(invalid(wanted)),
        Some(500) if error.unknown_field() => Ok(invalid(wanted)),
        _ => Err(error),
    }
}

fn invalid(wanted: &ServiceMonitor) -> Finding {
    Finding::new(
        Reason::Invalid,
        format!(
            "The API server refuses ServiceMonitor {} as invalid; check spec.serviceMonitor and \
             spec.metrics.labels, and that the installed ServiceMonitor definition is not older than \
             Prometheus Operator 0.47.",
            shown(wanted)
        ),
    )
}

fn applied(wanted: &ServiceMonitor) -> Finding {
    Finding::new(Reason::Applied, format!("ServiceMonitor {} stands as wanted.", shown(wanted)))
}

fn disabled(account: &CaasAccount) -> Finding {
    let why = if account.spec.suspend {
        "The account is suspended, so it has no ServiceMonitor."
    } else {
        "spec.serviceMonitor.enabled is false, so there is no ServiceMonitor."
    };
    Finding::new(Reason::Disabled, why)
}

fn not_installed() -> Finding {
    Finding::new(
        Reason::CRDNotInstalled,
        "The ServiceMonitor definition of Prometheus Operator is not installed; the account is collected all the \
         same. Install Prometheus Operator, or set spec.serviceMonitor.enabled to false.",
    )
}

fn not_owned(wanted: &ServiceMonitor) -> Finding {
    Finding::new(
        Reason::NotOwned,
        format!(
            "ServiceMonitor {} exists and does not belong to this account; rename or delete it, or set \
             spec.serviceMonitor.enabled to false.",
            shown(wanted)
        ),
    )
}
