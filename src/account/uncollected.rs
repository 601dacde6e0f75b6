//! A CaasAccount that is not an [`Account`]: it is not collected, but listed, so that it does not seem unknown.

#[cfg(test)]
use super::Account;
use super::{AccountId, Problem, Target, resolve, targets};
use crate::api::{CaasAccount, Reason};
use crate::cloud::{Provider, Providers};

/// An account that cannot be collected, should not, or not yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Uncollected {
    /// Namespace and name.
    pub id: AccountId,
    /// The provider's name; `unknown` where this program does not have it.
    pub provider: &'static str,
    /// Why it is not collected.
    pub problem: Problem,
    /// What Prometheus would scrape of it.
    pub targets: Vec<Target>,
}

impl Uncollected {
    /// The account with the problem that came of resolving it.
    pub fn new(providers: Providers, account: &CaasAccount, problem: Problem) -> Self {
        let id = resolve::id(account);
        let targets = targets(providers, &id, &account.spec);
        let provider = providers.get(&account.spec.provider.name).map_or("unknown", Provider::name);
        Self { id, provider, problem, targets }
    }

    /// The account before its Secrets were read.
    pub fn unread(providers: Providers, account: &CaasAccount) -> Self {
        let id = resolve::id(account);
        let message = format!(
            "Secret {}/{} has not been read yet. If this persists, check the operator's log for errors from the API server.",
            id.namespace, account.spec.credentials.secret_ref.name,
        );
        Self::new(providers, account, Problem::new(Reason::Pending, message))
    }

    /// An account of which nothing but the name is known.
    pub fn refused(id: AccountId, problem: Problem) -> Self {
        Self { id, provider: "unknown", problem, targets: Vec::new() }
    }

    /// Whether the account is suspended: then it is not listed as a target either.
    pub fn is_suspended(&self) -> bool {
        self.problem.reason == Reason::Suspended
    }
}

#[cfg(test)]
impl Uncollected {
    /// This account without its Secret, for tests of modules that know no custom resource.
    pub(crate) fn without_secret(account: &Account) -> Self {
        let problem = Problem::new(Reason::SecretNotFound, "The Secret does not exist: create it.");
        let (id, targets) = (account.id.clone(), account.targets.clone());
        Self { id, provider: account.connection.provider.name(), problem, targets }
    }
}
