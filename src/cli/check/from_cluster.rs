//! What `check --from-cluster` reads: CaasAccounts, and Secrets of accounts. It never writes, and asks with the rights of the
//! kubeconfig's user, so a user without permission to read a Secret learns nothing about it here.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::Status;
use serde_json::Value;
use thiserror::Error;

use crate::account::admission::{is_label, is_subdomain};
use crate::account::{AccountId, SecretData, SecretRead};
use crate::api::{API_VERSION, CaasAccount, KIND};
use crate::cli::cluster::{self, ClusterError};
use crate::controller::{self, causes};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A CaasAccount in the cluster, as `NAME` or `NAMESPACE/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccountName {
    namespace: Option<String>,
    name: String,
}

impl FromStr for AccountName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text),
        };
        if namespace.is_some_and(|namespace| !is_label(namespace)) || !is_subdomain(name) {
            return Err(
                "use NAME or NAMESPACE/NAME for a CaasAccount; for a file, add its extension (.yaml, .yml or .json) or begin it with ./",
            );
        }
        Ok(Self { namespace: namespace.map(str::to_owned), name: name.to_owned() })
    }
}

impl AccountName {
    /// The account, in this namespace where it names none.
    fn within(&self, namespace: &str) -> AccountId {
        AccountId::new(self.namespace.as_deref().unwrap_or(namespace), &self.name)
    }
}

/// Why something cannot be read.
#[derive(Debug, Error)]
pub(in crate::cli) enum ReadError {
    /// No way to the API server.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The settings do not make a client.
    #[error("cannot create a client for the API server: {}", causes(&**.0))]
    Client(Box<kube::Error>),
    /// No answer in time.
    #[error("{0} cannot be read: no response from the API server within {PATIENCE:?}")]
    Deadline(String),
    /// The user is not known.
    #[error(
        "the API server rejects the kubeconfig's credentials ({0}): log in again, or use another --context"
    )]
    Unauthorized(String),
    /// The user may not read CaasAccounts.
    #[error(
        "{what} cannot be read ({said}): ask the cluster's administrator for permission to get and list CaasAccounts, or check files"
    )]
    Forbidden {
        /// What was to be read.
        what: String,
        /// The API server's words.
        said: String,
    },
    /// The definition is missing.
    #[error(
        "the CaasAccount CRD is not installed in the cluster: install the operator first, or check files, which need no operator"
    )]
    NoDefinition,
    /// Anything else.
    #[error(
        "{what} cannot be read: {causes}; check that kubectl reaches the cluster with the same KUBECONFIG and context"
    )]
    Failed {
        /// What was to be read.
        what: String,
        /// Why.
        causes: String,
    },
}

/// The accounts that were asked for.
#[derive(Default)]
pub(super) struct Accounts {
    /// As the API server gives them, each with where it is.
    pub(super) objects: Vec<(String, Value)>,
    /// Those that do not exist.
    pub(super) missing: Vec<AccountId>,
}

/// The cluster of a kubeconfig's context.
pub(super) struct Reader {
    client: Client,
    /// The context's namespace.
    pub(super) namespace: String,
}

impl Reader {
    /// Makes a client; asks nothing yet.
    pub(super) async fn new(context: Option<&str>) -> Result<Self, ReadError> {
        let config = cluster::config(context).await?;
        let namespace = config.default_namespace.clone();
        let client = controller::client(config).map_err(|error| ReadError::Client(Box::new(error)))?;
        Ok(Self { client, namespace })
    }

    /// The accounts of these names; one without a namespace is in this one.
    pub(super) async fn named(&self, names: &[AccountName], namespace: &str) -> Result<Accounts, ReadError> {
        let mut accounts = Accounts::default();
        for id in names.iter().map(|name| name.within(namespace)) {
            let what = format!("CaasAccount {id}");
            let call = self.api(&id.namespace);
            match answer(&what, call.get(&id.name)).await {
                Ok(object) => accounts.objects.push((place(&id), json(object))),
                Err(Failure::NotFound) => accounts.missing.push(id),
                Err(failure) => return Err(failure.of_accounts(what)),
            }
        }
        Ok(accounts)
    }

    /// All accounts of a namespace.
    pub(super) async fn all(&self, namespace: &str) -> Result<Accounts, ReadError> {
        let what = format!("the CaasAccounts of namespace {namespace}");
        let (api, mut accounts) = (self.api(namespace), Accounts::default());
        let mut page = ListParams::default().limit(500);
        loop {
            let list =
                answer(&what, api.list(&page)).await.map_err(|failure| failure.of_accounts(what.clone()))?;
            for object in list.items {
                let id = AccountId::new(namespace, object.metadata.name.as_deref().unwrap_or_default());
                accounts.objects.push((place(&id), json(object)));
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(accounts),
            }
        }
    }

    /// These Secrets.
    pub(super) async fn secrets(
        &self,
        ids: BTreeSet<AccountId>,
    ) -> Result<BTreeMap<AccountId, SecretRead>, ReadError> {
        let mut secrets = BTreeMap::new();
        for id in ids {
            let what = format!("Secret {id}");
            let api: Api<Secret> = Api::namespaced(self.client.clone(), &id.namespace);
            let read = match answer(&what, api.get(&id.name)).await {
                Ok(secret) => {
                    let data = secret.data.unwrap_or_default().into_iter();
                    SecretRead::Found(SecretData::new(&id.namespace, data.map(|(key, value)| (key, value.0))))
                }
                Err(Failure::NotFound) => SecretRead::NotFound,
                Err(Failure::Forbidden(_)) => SecretRead::Forbidden,
                Err(failure) => return Err(failure.of_accounts(what)),
            };
            secrets.insert(id, read);
        }
        Ok(secrets)
    }

    /// The accounts as they are, with fields that this program does not know: those are part of the result.
    fn api(&self, namespace: &str) -> Api<DynamicObject> {
        let kind = ApiResource::erase::<CaasAccount>(&());
        Api::namespaced_with(self.client.clone(), namespace, &kind)
    }
}

/// Why there is no object.
enum Failure {
    /// There is none of this name.
    NotFound,
    /// There is no such kind.
    NoDefinition,
    Forbidden(String),
    Other(ReadError),
}

impl Failure {
    fn of_accounts(self, what: String) -> ReadError {
        match self {
            Self::NotFound | Self::NoDefinition => ReadError::NoDefinition,
            Self::Forbidden(said) => ReadError::Forbidden { what, said },
            Self::Other(error) => error,
        }
    }
}

/// The answer to one call about this object.
async fn answer<T>(what: &str, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failure> {
    let what = what.to_owned();
    let Ok(answer) = tokio::time::timeout(PATIENCE, call).await else {
        return Err(Failure::Other(ReadError::Deadline(what)));
    };
    answer.map_err(|error| match &error {
        kube::Error::Api(status) => match status.code {
            401 => Failure::Other(ReadError::Unauthorized(status.message.clone())),
            403 => Failure::Forbidden(status.message.clone()),
            404 if is_of_object(status) => Failure::NotFound,
            404 => Failure::NoDefinition,
            _ => Failure::Other(ReadError::Failed { what, causes: causes(&error) }),
        },
        _ => Failure::Other(ReadError::Failed { what, causes: causes(&error) }),
    })
}

/// Whether it is the object that is not found, and not the path: a kind that is not defined has no `Status` in its answer.
fn is_of_object(status: &Status) -> bool {
    status.details.as_ref().is_some_and(|details| !details.name.is_empty())
}

fn place(id: &AccountId) -> String {
    format!("CaasAccount {id} in the cluster")
}

/// The object as a manifest. A list's items need not say what they are.
fn json(object: DynamicObject) -> Value {
    // An object that came as JSON goes back into it.
    let mut value = serde_json::to_value(object).unwrap_or_default();
    value["apiVersion"] = API_VERSION.into();
    value["kind"] = KIND.into();
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_named_with_or_without_its_namespace() {
        let of = |text: &str| text.parse::<AccountName>().map(|name| name.within("default").to_string());
        assert_eq!(of("acme"), Ok("default/acme".to_owned()));
        assert_eq!(of("team-a/acme.eu"), Ok("team-a/acme.eu".to_owned()));
        for wrong in ["", "team-a/", "/acme", "a/b/c", "Acme", "team.a/acme", "accounts/acme yaml"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
