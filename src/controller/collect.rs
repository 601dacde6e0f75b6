//! The second and third step: makes the account from its spec and Secrets, and hands it to the collector. Both are done
//! without waiting for anything.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use super::dereference::SecretSnapshot;
use crate::account::{Account, AccountId, Origin, Problem, SecretRead, Uncollected, resolve, targets};
use crate::api::{CaasAccount, ProviderSpec};
use crate::cloud::http::Policy;
use crate::cloud::{Provider, Providers};
use crate::collector::registry::Elsewhere;
use crate::collector::{Health, Inherited, Registry, Supervisor};

/// The collector, as reconciles use it.
pub(super) struct Collection {
    /// The providers that accounts may name.
    pub(super) providers: Providers,
    /// Runs the collectors.
    pub(super) supervisor: Arc<Supervisor>,
    /// Holds their snapshots.
    pub(super) registry: Arc<Registry>,
    /// What the administrator allows.
    pub(super) policy: Policy,
    /// Accounts that have changed since it was last said which other one queries the same cloud account.
    pub(super) unreported: Mutex<HashSet<AccountId>>,
}

impl Collection {
    /// The account to collect, or the problem that its condition will show.
    pub(super) fn resolve(
        &self,
        account: &CaasAccount,
        secrets: Option<&SecretSnapshot>,
    ) -> Result<Account, Problem> {
        let nothing = SecretRead::NotFound;
        let credentials = secrets.map_or(&nothing, |secrets| &**secrets.credentials());
        let ca_bundle = secrets.and_then(SecretSnapshot::ca_bundle);
        let resolved = resolve::resolve(self.providers, account, credentials, ca_bundle, |url| {
            self.policy.check_endpoint(url)
        })?;
        let origin = Origin {
            generation: account.metadata.generation,
            secret: secrets.and_then(SecretSnapshot::version).cloned(),
        };
        Ok(Account { origin, ..resolved })
    }

    /// Hands a resolved account to the supervisor, with what another replica has left, or lists it with its problem.
    pub(super) fn collect(
        &self,
        account: &CaasAccount,
        id: &AccountId,
        resolved: Result<Account, Problem>,
        inherited: Option<Inherited>,
    ) {
        match resolved {
            Ok(resolved) => {
                if self.supervisor.put_inheriting(resolved, inherited) {
                    self.unreported(|ids| ids.insert(id.clone()));
                }
            }
            Err(problem) => {
                self.supervisor.mark_uncollected(Uncollected::new(self.providers, account, problem));
            }
        }
    }

    /// Lists an account whose object is not kept, with its problem.
    pub(super) fn refuse(&self, id: &AccountId, problem: Problem) {
        self.supervisor.mark_uncollected(Uncollected::refused(id.clone(), problem));
    }

    /// Lists an account that another replica collects; it is not collected here any longer. `account` is `None` where its
    /// object is not kept. Returns until when its last snapshot stays.
    pub(super) fn list_elsewhere(
        &self,
        account: Option<&CaasAccount>,
        id: &AccountId,
        uid: &str,
        is_coming: bool,
    ) -> Option<Instant> {
        self.unreported(|ids| ids.remove(id));
        let provider = account.and_then(|account| self.providers.get(&account.spec.provider.name));
        self.supervisor.mark_elsewhere(Elsewhere {
            id: id.clone(),
            uid: uid.to_owned(),
            provider: provider.map_or("unknown", Provider::name),
            targets: account.map(|account| targets(self.providers, id, &account.spec)).unwrap_or_default(),
            is_suspended: account.is_some_and(|account| account.spec.suspend),
            is_coming,
            before: None,
            report: None,
        })
    }

    /// Another account that queries the same cloud account, once for each change of this one, and not before the cloud has
    /// accepted the credentials of both: anybody may write an account with invented ones.
    pub(super) fn unreported_duplicate(&self, id: &AccountId, health: &Health) -> Option<AccountId> {
        let is_due = health.is_up() && self.unreported(|ids| ids.remove(id));
        is_due.then(|| self.supervisor.duplicate_of(id)).flatten()
    }

    fn unreported<T>(&self, look: impl FnOnce(&mut HashSet<AccountId>) -> T) -> T {
        look(&mut self.unreported.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lists an account that is not known yet. Reading its Secret may take long, and nobody should think it unknown.
    pub(super) fn list_unread(&self, account: &CaasAccount, id: &AccountId) {
        if self.registry.listed(id).is_none() {
            self.supervisor.mark_uncollected(Uncollected::unread(self.providers, account));
        }
    }

    /// The reported outcome of collecting this very object, as its spec and Secrets are now.
    pub(super) fn health(&self, account: &CaasAccount, id: &AccountId) -> Health {
        let entry = self.registry.get(id);
        let entry = entry.filter(|entry| Some(&entry.account.uid) == account.metadata.uid.as_ref());
        entry.map_or(Health::Pending, |entry| entry.reported)
    }

    /// The endpoint that the account's spec names, whether it is queried or not.
    pub(super) fn endpoint(&self, account: &CaasAccount) -> Option<String> {
        let ProviderSpec { name, settings } = &account.spec.provider;
        Some(self.providers.get(name)?.endpoint(settings)?.to_string())
    }

    /// How many services and instances are exposed, once there is a collection.
    pub(super) fn counts(&self, id: &AccountId) -> Option<(usize, usize)> {
        Some(self.registry.get(id)?.snapshot?.counts())
    }

    /// When the last collection that succeeded ended, in whole seconds.
    pub(super) fn last_success(&self, id: &AccountId) -> Option<Timestamp> {
        let seconds = self.registry.get(id)?.snapshot?.values.gauges.last_success?;
        #[allow(clippy::cast_possible_truncation)] // A time; its fraction is dropped.
        Timestamp::from_second(seconds as i64).ok()
    }

    /// The UID of the object that is collected under this name, here or elsewhere.
    pub(super) fn uid(&self, id: &AccountId) -> Option<String> {
        let elsewhere = || self.registry.elsewhere(id).map(|account| account.uid.clone());
        self.supervisor.uid_of(id).or_else(elsewhere)
    }

    /// All accounts that are collected or listed.
    pub(super) fn ids(&self) -> Vec<AccountId> {
        self.supervisor.ids()
    }

    /// Ends an account's collection; its series go at once.
    pub(super) fn remove(&self, id: &AccountId) {
        self.supervisor.remove(id);
        self.unreported(|ids| ids.remove(id));
    }
}
