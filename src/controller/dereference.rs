//! The first step: reads the Secrets that an account names, or takes the last reading while that is recent enough.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::api_call::{ApiError, call};
use super::charged::COPIES;
use super::references::References;
use super::secret_reads::{LaterReads, Population, ReadConcurrency, period};
use crate::account::resolve::keys_of;
use crate::account::{AccountId, SecretData, SecretRead};
use crate::api::spec::{Credentials, Tls};
use crate::api::{CaasAccount, CaasAccountSpec, ProviderSpec};
use crate::cloud::Providers;
use crate::limits::{Charge, Holder};
use crate::telemetry::Metrics;

/// How long a Secret that has gone missing, or may not be read any more, has to be so before it counts.
const LOST_AFTER: Duration = Duration::from_secs(5);

/// Why an account's Secrets are not known.
#[derive(Debug, Error)]
pub(super) enum DereferenceError {
    /// A Secret could not be read. That it is missing or forbidden is a finding, not an error.
    #[error("reading a Secret: {0}")]
    Read(#[source] ApiError),
}

/// What the Secrets of an account held when they were read.
#[derive(Debug, Clone)]
pub(super) struct SecretSnapshot {
    source: Source,
    /// The spec's generation: a changed spec is evaluated with the Secrets as they are now.
    generation: Option<i64>,
    /// When the reading began.
    at: Instant,
    /// The factor of the period until the next reading, which spreads accounts that were read together.
    jitter: f64,
    credentials: Reading,
    /// The `resourceVersion` of that Secret.
    version: Option<Arc<str>>,
    ca_bundle: Option<Reading>,
}

/// What one Secret held.
#[derive(Debug, Clone)]
struct Reading {
    read: Arc<SecretRead>,
    /// When it went missing or forbidden. Until that counts, `read` is what it held before.
    lost_since: Option<Instant>,
}

impl Reading {
    /// What was read at this moment, after what was read before.
    fn after(before: Option<&Self>, read: SecretRead, at: Instant) -> Self {
        match before {
            Some(before) if *before.read == read => Self { lost_since: None, ..before.clone() },
            Some(before) if is_lost(&before.read, &read) => {
                let since = before.lost_since.unwrap_or(at);
                if at < since + LOST_AFTER {
                    return Self { lost_since: Some(since), ..before.clone() };
                }
                Self::new(read)
            }
            _ => Self::new(read),
        }
    }

    fn new(read: SecretRead) -> Self {
        Self { read: Arc::new(read), lost_since: None }
    }
}

/// Who reads which Secrets for which cloud. No other object and no other cloud is given what they held.
#[derive(Debug, Clone, PartialEq)]
struct Source {
    uid: Option<String>,
    provider: ProviderSpec,
    credentials: Credentials,
    tls: Option<Tls>,
}

impl Source {
    fn of(account: &CaasAccount) -> Self {
        let spec = &account.spec;
        Self {
            uid: account.uid(),
            provider: spec.provider.clone(),
            credentials: spec.credentials.clone(),
            tls: spec.tls.clone(),
        }
    }
}

impl SecretSnapshot {
    /// When the Secrets are read again, if nothing asks for it earlier.
    fn due(&self, failing: bool, population: Population) -> Instant {
        let due = self.at + period(failing, population).mul_f64(self.jitter);
        let readings = std::iter::once(&self.credentials).chain(&self.ca_bundle);
        let counts = readings.filter_map(|reading| reading.lost_since).map(|since| since + LOST_AFTER);
        counts.min().map_or(due, |counts| counts.min(due))
    }

    /// The memory that the Secrets take, in bytes.
    fn bytes(&self) -> usize {
        let readings = std::iter::once(&self.credentials).chain(&self.ca_bundle);
        readings.map(|reading| reading.read.bytes()).sum()
    }

    /// The Secret with the credentials.
    pub(super) fn credentials(&self) -> &Arc<SecretRead> {
        &self.credentials.read
    }

    /// The `resourceVersion` of that Secret; `None` where it was not there when it was read last.
    pub(super) fn version(&self) -> Option<&Arc<str>> {
        self.version.as_ref()
    }

    /// The Secret with the CA bundle, where the account names one.
    pub(super) fn ca_bundle(&self) -> Option<&SecretRead> {
        self.ca_bundle.as_ref().map(|reading| &*reading.read)
    }
}

/// Reads Secrets and keeps the last reading of each account.
pub(super) struct SecretReader {
    client: Client,
    providers: Providers,
    metrics: Arc<Metrics>,
    concurrency: ReadConcurrency,
    later: LaterReads,
    references: References,
    accounts: Mutex<Accounts>,
}

/// What is known of each account's Secrets, by namespace and account. No namespace is empty.
#[derive(Default)]
struct Accounts {
    namespaces: HashMap<Arc<str>, HashMap<AccountId, Known>>,
    count: usize,
}

impl Accounts {
    fn get_or_new(&mut self, id: &AccountId) -> &mut Known {
        let namespace = self.namespaces.entry(Arc::clone(&id.namespace)).or_default();
        if !namespace.contains_key(id) {
            self.count += 1;
        }
        namespace.entry(id.clone()).or_default()
    }

    fn remove(&mut self, id: &AccountId) {
        let Some(namespace) = self.namespaces.get_mut(&id.namespace) else { return };
        if namespace.remove(id).is_some() {
            self.count -= 1;
        }
        if namespace.is_empty() {
            self.namespaces.remove(&id.namespace);
        }
    }

    /// Keeps what was read of an account's Secrets. Where it does not fit, its holder is cut, and the account is removed.
    fn keep(&mut self, id: &AccountId, snapshot: SecretSnapshot, holder: Option<Holder>) {
        let known = self.get_or_new(id);
        let before = known.charge.take().filter(|charge| !charge.is_cut());
        known.charge = before.or_else(|| Some(holder?.charge()));
        if let Some(charge) = &mut known.charge {
            let _ = charge.resize(COPIES * snapshot.bytes());
        }
        known.snapshot = Some(snapshot);
    }

    /// With whom this account shares the rates.
    fn population(&self, id: &AccountId) -> Population {
        Population {
            accounts: self.count,
            namespaces: self.namespaces.len(),
            neighbors: self.namespaces.get(&id.namespace).map_or(0, HashMap::len),
        }
    }
}

/// What is known of one account's Secrets.
#[derive(Default)]
struct Known {
    snapshot: Option<SecretSnapshot>,
    /// The memory of the snapshot and of the account that is made of it.
    charge: Option<Charge>,
    /// When there was a reason to read them at once.
    requested: Option<Instant>,
}

impl SecretReader {
    /// A reader that has read nothing.
    pub(super) fn new(client: Client, providers: Providers, metrics: Arc<Metrics>) -> Self {
        Self {
            client,
            providers,
            metrics,
            concurrency: ReadConcurrency::default(),
            later: LaterReads::default(),
            references: References::default(),
            accounts: Mutex::default(),
        }
    }

    /// The Secrets of an account; `None` of a suspended one. The first reading waits for a permit only. A later one
    /// that the rate does not allow yet is queued, and the reading before it is returned. `holder` is who keeps the account:
    /// it is cut where what was read does not fit.
    pub(super) async fn dereference(
        &self,
        account: &CaasAccount,
        id: &AccountId,
        failing: bool,
        holder: Option<Holder>,
    ) -> Result<Option<SecretSnapshot>, DereferenceError> {
        if account.spec.suspend {
            self.remove(id);
            return Ok(None);
        }
        let source = Source::of(account);
        let (last, requested, population) = {
            let mut accounts = self.accounts();
            let known = accounts.get_or_new(id);
            let last = known.snapshot.clone().filter(|last| last.source == source);
            (last, known.requested, accounts.population(id))
        };
        if let Some(last) = &last {
            let requested = requested.is_some_and(|requested| last.at < requested);
            let is_due = Instant::now() >= last.due(failing, population);
            let is_changed = last.generation != account.metadata.generation;
            if !(requested || is_due || is_changed) || !self.later.may_read(id, secrets(&account.spec)) {
                return Ok(Some(last.clone()));
            }
        }
        let snapshot = self.read(account, id, source, last).await.map_err(DereferenceError::Read)?;
        self.accounts().keep(id, snapshot.clone(), holder);
        Ok(Some(snapshot))
    }

    /// How long an account may wait for its next reconcile; `None` where it waits in the queue, which names it.
    pub(super) fn next_reading(
        &self,
        id: &AccountId,
        snapshot: &SecretSnapshot,
        failing: bool,
    ) -> Option<Duration> {
        let due = snapshot.due(failing, self.accounts().population(id));
        due.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero())
    }

    /// The time until an account is reconciled again for no other reason than that time has passed: longer than at best
    /// where there are many.
    pub(super) fn pause(&self, id: &AccountId, at_best: Duration, a_second: u32) -> Duration {
        at_best.max(self.accounts().population(id).period(a_second))
    }

    /// Has an account's Secrets read with its next reconcile: the cloud refused them, or one was changed.
    pub(super) fn request(&self, id: &AccountId) {
        self.accounts().get_or_new(id).requested = Some(Instant::now());
    }

    /// The accounts that have seen another version of this Secret.
    pub(super) fn outdated(&self, namespace: &str, name: &str, version: Option<&str>) -> Vec<AccountId> {
        self.references.outdated(namespace, name, version)
    }

    /// Names the accounts whose queued reading may be made now. Never ends.
    pub(super) async fn grant(&self, reconcile: mpsc::Sender<AccountId>) {
        self.later.grant(reconcile).await;
    }

    /// The accounts that have a reading or a request.
    pub(super) fn ids(&self) -> Vec<AccountId> {
        self.accounts().namespaces.values().flat_map(HashMap::keys).cloned().collect()
    }

    /// Removes an account, with what its Secrets held.
    pub(super) fn remove(&self, id: &AccountId) {
        self.references.remove(id);
        self.later.remove(id);
        self.accounts().remove(id);
    }

    async fn read(
        &self,
        account: &CaasAccount,
        id: &AccountId,
        source: Source,
        last: Option<SecretSnapshot>,
    ) -> Result<SecretSnapshot, ApiError> {
        let at = Instant::now();
        let last = last.as_ref();
        let name = &account.spec.credentials.secret_ref.name;
        let (read, version) = self.read_one(&account.spec, id, name).await?;
        let own_version = version.as_deref().map(Arc::from);
        let mut references = vec![(name.clone(), version)];
        let credentials = Reading::after(last.map(|last| &last.credentials), read, at);
        let ca_bundle = match &account.spec.tls {
            Some(tls) if tls.ca_bundle_secret_ref.name == *name => Some(credentials.clone()),
            Some(tls) => {
                let name = &tls.ca_bundle_secret_ref.name;
                let (read, version) = self.read_one(&account.spec, id, name).await?;
                references.push((name.clone(), version));
                Some(Reading::after(last.and_then(|last| last.ca_bundle.as_ref()), read, at))
            }
            None => None,
        };
        self.references.record(id, references);
        // After a start all are read together; their next readings come at any time of the period.
        let jitter = if last.is_none() { fastrand::f64() } else { 0.9 + 0.2 * fastrand::f64() };
        let generation = account.metadata.generation;
        Ok(SecretSnapshot { source, generation, at, jitter, credentials, version: own_version, ca_bundle })
    }

    /// One Secret with its version.
    async fn read_one(
        &self,
        spec: &CaasAccountSpec,
        id: &AccountId,
        name: &str,
    ) -> Result<(SecretRead, Option<String>), ApiError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &id.namespace);
        let (outcome, read) = match self.concurrency.run(&id.namespace, || call(api.get_opt(name))).await {
            Ok(Some(secret)) => {
                let version = secret.resource_version();
                ("found", Ok((SecretRead::Found(used(self.providers, spec, id, name, secret)), version)))
            }
            Ok(None) => ("not_found", Ok((SecretRead::NotFound, None))),
            Err(error) if error.code() == Some(403) => ("forbidden", Ok((SecretRead::Forbidden, None))),
            Err(error) => ("error", Err(error)),
        };
        self.metrics.secret_reads.with_label_values(&[outcome]).inc();
        read
    }

    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many Secrets an account reads.
fn secrets(spec: &CaasAccountSpec) -> NonZeroU32 {
    let ca_bundle = spec.tls.as_ref().map(|tls| &tls.ca_bundle_secret_ref.name);
    let another = ca_bundle.is_some_and(|name| *name != spec.credentials.secret_ref.name);
    NonZeroU32::MIN.saturating_add(another.into())
}

/// Whether a Secret that was there is missing or forbidden now, as for a moment when it or its RBAC is replaced.
fn is_lost(before: &SecretRead, now: &SecretRead) -> bool {
    matches!(before, SecretRead::Found(_)) && !matches!(now, SecretRead::Found(_))
}

/// What the account uses of a Secret, which may hold a mebibyte of other things.
fn used(
    providers: Providers,
    spec: &CaasAccountSpec,
    id: &AccountId,
    name: &str,
    secret: Secret,
) -> SecretData {
    let keys = keys_of(providers, spec, name);
    let data = secret.data.unwrap_or_default().into_iter();
    let used = data.filter(|(key, _)| keys.contains(&key.as_str())).map(|(key, value)| (key, value.0));
    SecretData::new(&id.namespace, used)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use serde_json::json;

    use super::*;

    /// What is kept of a Secret of this name with all kinds of keys, for an account with these Secrets.
    fn kept(credentials: &str, ca_bundle: &str, name: &str) -> SecretData {
        let spec: CaasAccountSpec = serde_json::from_value(json!({
            "provider": {"alauda": {"endpoint": "https://caas.example.com/v1/"}},
            "credentials": {"secretRef": {"name": credentials}},
            "tls": {"caBundleSecretRef": {"name": ca_bundle, "key": "our-ca"}},
        }))
        .unwrap();
        let keys = ["username", "password", "token", "endpoint", "our-ca", "ca.crt", "backup.tar"];
        let data = keys.map(|key| (key.to_owned(), ByteString(vec![b'x'; 9])));
        let id = AccountId::new("team-a", "acme");
        used(Providers::ALL, &spec, &id, name, Secret { data: Some(data.into()), ..Secret::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn each_secret_counts_as_lost_for_itself() {
        let start = Instant::now();
        let there = Reading::new(SecretRead::Found(SecretData::default()));
        let read = |before: &Reading, read, second: u64| {
            Reading::after(Some(before), read, start + Duration::from_secs(second))
        };
        let lost = read(&there, SecretRead::NotFound, 0);
        assert_eq!((&lost.read, lost.lost_since), (&there.read, Some(start)));
        // The other one goes missing when this one is about to count.
        let other = read(&there, SecretRead::Forbidden, 4);
        assert_eq!(*read(&lost, SecretRead::NotFound, 5).read, SecretRead::NotFound);
        assert_eq!(read(&other, SecretRead::Forbidden, 5).read, there.read);
        // What comes back begins anew.
        let back = read(&lost, SecretRead::Found(SecretData::default()), 4);
        assert_eq!(read(&back, SecretRead::NotFound, 6).read, there.read);
    }

    #[test]
    fn only_the_keys_of_a_secret_that_the_account_uses_are_kept() {
        let shown = |data: SecretData| format!("{data:?}");
        let credentials = r#"{"endpoint", "password", "token", "username"}"#;
        assert_eq!(shown(kept("acme", "acme-ca", "acme")), credentials);
        assert_eq!(shown(kept("acme", "acme-ca", "acme-ca")), r#"{"our-ca"}"#);
        let both = r#"{"endpoint", "our-ca", "password", "token", "username"}"#;
        assert_eq!(shown(kept("acme", "acme", "acme")), both);
    }
}
