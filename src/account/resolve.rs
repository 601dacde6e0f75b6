//! CaasAccount + Secrets -> [`Account`], or the [`Problem`] that its condition shows. Pure.
//!
//! Everything is checked and normalized here, although an API server with the current CRD lets little else through:
//! objects may be older than the CRD.

mod endpoint;
mod keys;

use std::time::Duration;

use kube::ResourceExt;
use url::Url;

use self::keys::{ENDPOINT, Keys};
use super::interval::interval;
use super::{
    Account, AccountId, Connection, Exposition, Names, Origin, Problem, Schedule, SecretRead, targets,
};
use crate::api::spec::{MetricNames, Timestamps};
use crate::api::{CaasAccount, CaasAccountSpec, ProviderSpec, Reason};
use crate::cloud::error::Refusal;
use crate::cloud::http::AccountLimits;
use crate::cloud::provider::ResolveProblem;
use crate::cloud::{Provider, Providers, ServiceFilter};
use crate::schema;

/// The shortest and longest time for a request, as in the CRD's rule.
const REQUEST_TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// The longest that the last values stay where nothing else is set.
const STALE_AFTER_AT_MOST: Duration = Duration::from_secs(300);

/// Turns a CaasAccount into an account, or says what to do about it.
///
/// `credentials` is the result of reading the Secret that `credentials.secretRef` names, `ca_bundle` that of the one that
/// `tls.caBundleSecretRef` names, if any. `allow` is the administrator's policy on endpoints.
///
/// A suspended account is a problem too, with reason `Suspended`, and its Secrets are not read.
pub fn resolve(
    providers: Providers,
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
    let provider = known(providers, &id, &spec.provider)?;
    let values = keys.values(provider)?;
    let ca_bundle = match &spec.tls {
        Some(tls) => {
            let reference = &tls.ca_bundle_secret_ref;
            let read = ca_bundle.unwrap_or(&SecretRead::NotFound);
            Some(Keys::of(&id.namespace, &reference.name, read)?.certificates(&reference.key)?)
        }
        None => None,
    };
    let provider = provider
        .resolve(&spec.provider.settings, &values)
        .map_err(|problem| explain(problem, &id, provider, &keys))?;
    endpoint::check(&id, &*provider, &keys, allow)?;
    Ok(Account {
        uid: account.uid().unwrap_or_else(|| id.to_string()),
        connection: Connection { provider, ca_bundle, limits: limits(spec) },
        schedule: schedule(providers, spec),
        selection: ServiceFilter::new(&spec.services.include, &spec.services.exclude),
        exposition: exposition(spec),
        targets: targets(providers, &id, spec),
        origin: Origin::default(),
        id,
    })
}

/// The keys that [`resolve`] reads in the account's Secret of this name.
pub fn keys_of<'a>(providers: Providers, spec: &'a CaasAccountSpec, secret: &str) -> Vec<&'a str> {
    let mut keys = Vec::new();
    if spec.credentials.secret_ref.name == secret {
        let sets = providers.get(&spec.provider.name).map(Provider::secret_keys).unwrap_or_default();
        keys.extend(sets.iter().copied().flatten().map(|key| key.name));
        keys.push(ENDPOINT);
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

fn known(
    providers: Providers,
    id: &AccountId,
    spec: &ProviderSpec,
) -> Result<&'static dyn Provider, Problem> {
    providers.get(&spec.name).ok_or_else(|| {
        let message = format!(
            "spec.provider of CaasAccount {id} names a provider that this version of caas-operator does not support: use one of {}, or upgrade the operator.",
            providers.names()
        );
        Problem::new(Reason::EndpointRefused, message)
    })
}

fn explain(problem: ResolveProblem, id: &AccountId, provider: &dyn Provider, keys: &Keys<'_>) -> Problem {
    match problem {
        ResolveProblem::Endpoint(refusal) => Problem::endpoint(id, refusal),
        ResolveProblem::Key(problem) => keys.problem(&problem),
        ResolveProblem::Setting { field, advice } => {
            let field = if field.is_empty() { String::new() } else { format!(".{field}") };
            let message = format!("spec.provider.{}{field} of CaasAccount {id} {advice}.", provider.name());
            Problem::new(Reason::EndpointRefused, message)
        }
    }
}

/// How long the last values stay: as set, else 3 intervals and at most 5 minutes, but never less than one
/// interval, since values would else be gone before they can be fetched again.
fn stale_after(interval: Duration, set: Option<schema::Duration>) -> Duration {
    let default = || interval.saturating_mul(3).min(STALE_AFTER_AT_MOST);
    set.map_or_else(default, Duration::from).max(interval)
}

fn schedule(providers: Providers, spec: &CaasAccountSpec) -> Schedule {
    let interval = interval(providers, spec);
    Schedule { interval, stale_after: stale_after(interval, spec.collection.stale_after) }
}

fn limits(spec: &CaasAccountSpec) -> AccountLimits {
    let collection = &spec.collection;
    AccountLimits {
        request_timeout: Duration::from(collection.request_timeout)
            .clamp(REQUEST_TIMEOUT.0, REQUEST_TIMEOUT.1),
        max_concurrent: positive(collection.max_concurrent_requests) as usize,
        requests_per_second: positive(collection.requests_per_second),
    }
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
