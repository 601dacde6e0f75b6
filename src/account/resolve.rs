//! CaasAccount + Secrets -> [`Account`], or the [`Problem`] that its condition shows. Pure.
//!
//! What stands in an [`Account`] holds: it is checked and normalised here, although an API server with the current
//! definition lets little else through, since objects may be older than the definition.

mod endpoint;
mod keys;

use std::time::Duration;

use kube::ResourceExt;
use url::Url;

use self::keys::Keys;
use super::secret::CREDENTIALS;
use super::{
    Account, AccountId, Connection, Exposition, Names, Problem, Provider, Schedule, SecretRead, targets,
};
use crate::api::spec::{MetricNames, Timestamps};
use crate::api::{self, CaasAccount, CaasAccountSpec, Reason};
use crate::cloud::error::Refusal;
use crate::cloud::http::AccountLimits;
use crate::cloud::{ServiceFilter, alauda};

/// The shortest and longest interval, as in the definition's rule.
pub(super) const INTERVAL: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3600));

/// The shortest and longest time for a request, as in the definition's rule.
const REQUEST_TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// The shortest window that can hold a point, as in the definition's rule.
const LEAST_METRICS_WINDOW: Duration = Duration::from_secs(1);

/// Turns a CaasAccount into an account, or tells what to do about it.
///
/// `credentials` is what was read of the Secret that `credentials.secretRef` names, `ca_bundle` of the one that
/// `tls.caBundleSecretRef` names, if any. `allow` is the administrator's policy on endpoints.
///
/// A suspended account is a problem too, with reason `Suspended`, and its Secrets are not looked at.
pub fn resolve(
    account: &CaasAccount,
    credentials: &SecretRead,
    ca_bundle: Option<&SecretRead>,
    allow: impl Fn(&Url) -> Result<(), Refusal>,
) -> Result<Account, Problem> {
    let id = id(account);
    let spec = &account.spec;
    if spec.suspend {
        return Err(Problem::new(
            Reason::Suspended,
            format!("CaasAccount {id} is suspended: set spec.suspend to false to collect it."),
        ));
    }
    let keys = Keys::of(&id.namespace, &spec.credentials.secret_ref.name, credentials)?;
    let credentials = keys.credentials()?;
    let ca_bundle = match &spec.tls {
        Some(tls) => {
            let reference = &tls.ca_bundle_secret_ref;
            let read = ca_bundle.unwrap_or(&SecretRead::NotFound);
            Some(Keys::of(&id.namespace, &reference.name, read)?.certificates(&reference.key)?)
        }
        None => None,
    };
    let provider = provider(&id, &spec.provider, &keys, allow)?;
    Ok(Account {
        uid: account.uid().unwrap_or_else(|| id.to_string()),
        connection: Connection { provider, credentials, ca_bundle, limits: limits(spec) },
        schedule: schedule(spec),
        selection: ServiceFilter::new(&spec.services.include, &spec.services.exclude),
        exposition: exposition(spec),
        targets: targets(&id, spec),
        id,
    })
}

/// The keys that [`resolve`] looks at in the account's Secret of this name.
pub fn keys_of<'a>(spec: &'a CaasAccountSpec, secret: &str) -> Vec<&'a str> {
    let mut keys = Vec::new();
    if spec.credentials.secret_ref.name == secret {
        keys.extend(CREDENTIALS);
    }
    if let Some(tls) = &spec.tls
        && tls.ca_bundle_secret_ref.name == secret
    {
        keys.push(&tls.ca_bundle_secret_ref.key);
    }
    keys
}

/// Namespace and name of a CaasAccount; the namespace is `default` where there is none.
pub fn id(account: &CaasAccount) -> AccountId {
    AccountId::new(account.metadata.namespace.as_deref().unwrap_or("default"), &account.name_any())
}

fn provider(
    id: &AccountId,
    provider: &api::Provider,
    keys: &Keys<'_>,
    allow: impl Fn(&Url) -> Result<(), Refusal>,
) -> Result<Provider, Problem> {
    match provider {
        api::Provider::Alauda(spec) => {
            let address = spec.cloud.map(api::AlaudaCloud::endpoint).or(spec.endpoint.as_deref());
            let endpoint = endpoint::checked(id, address, keys, allow)?;
            let namespace = match &spec.namespace {
                Some(namespace) => namespace.as_str(),
                None => keys.username()?.ok_or_else(|| keys.missing(
                    "username",
                    "Set spec.provider.alauda.namespace to the user or organization whose services are collected, or add the key",
                ))?,
            };
            if !is_segment(namespace) {
                return Err(match spec.namespace {
                    Some(_) => Problem::new(
                        Reason::EndpointRefused,
                        format!("spec.provider.alauda.namespace of CaasAccount {id} is no name of a user or organization: write one without slashes, spaces, ?, # and %."),
                    ),
                    None => keys.unusable(
                        "username",
                        "cannot stand in a URL's path: set spec.provider.alauda.namespace to the user or organization whose services are collected",
                    ),
                });
            }
            Ok(Provider::Alauda(alauda::Settings {
                endpoint,
                namespace: namespace.to_owned(),
                metrics_window: Duration::from(spec.metrics_window).max(LEAST_METRICS_WINDOW),
                metrics_lag: spec.metrics_lag.into(),
            }))
        }
    }
}

/// Whether the text can stand between two slashes of a URL's path and mean itself there.
fn is_segment(text: &str) -> bool {
    let forbidden = |c: char| "/?#%\\".contains(c) || c == ' ' || c.is_ascii_control();
    !matches!(text, "" | "." | "..") && !text.contains(forbidden)
}

fn schedule(spec: &CaasAccountSpec) -> Schedule {
    let interval = clamp(spec.collection.interval, INTERVAL);
    Schedule { interval, stale_after: spec.collection.effective_stale_after().max(interval) }
}

fn limits(spec: &CaasAccountSpec) -> AccountLimits {
    let collection = &spec.collection;
    AccountLimits {
        request_timeout: clamp(collection.request_timeout, REQUEST_TIMEOUT),
        max_concurrent: positive(collection.max_concurrent_requests) as usize,
        requests_per_second: positive(collection.requests_per_second),
    }
}

fn clamp(duration: api::Duration, (least, greatest): (Duration, Duration)) -> Duration {
    Duration::from(duration).clamp(least, greatest)
}

fn exposition(spec: &CaasAccountSpec) -> Exposition {
    Exposition {
        names: match spec.metrics.names {
            MetricNames::Modern => Names::Modern,
            MetricNames::Legacy => Names::Legacy,
            MetricNames::Both => Names::Both,
        },
        source_timestamps: spec.metrics.timestamps == Timestamps::Source,
        max_series: positive(spec.metrics.max_series) as usize,
    }
}

/// A number of at least 1.
fn positive(number: i32) -> u32 {
    number.max(1).unsigned_abs()
}

#[cfg(test)]
mod tests;
