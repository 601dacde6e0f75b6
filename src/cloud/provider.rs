//! What a provider says of itself, so that nothing else has to name it.
//!
//! A provider is a folder here with a unit struct that implements [`Provider`]; [`super::Providers`] lists them.

use std::any::{Any, TypeId};
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use schemars::Schema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;
use url::Url;

use super::Cloud;
use super::error::Refusal;
use super::http::{AccountClient, PublishedLimits};
use super::secret::{KeyProblem, KeySets, SecretValues};
use super::variables::Variable;
use crate::schema::address::base_url;

/// A provider: a cloud, or many that speak one API.
pub trait Provider: Send + Sync {
    /// Its key under `spec.provider`, in camelCase.
    fn name(&self) -> &'static str;

    /// Its name for people.
    fn title(&self) -> &'static str;

    /// The schema of its settings, with doc text, defaults and CEL rules: what [`crate::schema::of`] makes of a type.
    fn settings(&self) -> Schema;

    /// Which keys of the Secret it takes.
    fn secret_keys(&self) -> KeySets;

    /// The variables of the environment that describe one account, as the cloud's own tools call them; none where an account
    /// needs a manifest.
    fn variables(&self) -> &'static [Variable] {
        &[]
    }

    /// How often an account is collected that does not say so itself.
    fn default_interval(&self) -> Duration;

    /// The words that its services have as `status`.
    fn status_words(&self) -> &'static [&'static str];

    /// The API's base URL that such settings name, whatever the Secret is; `None` where they name none that can be used.
    fn endpoint(&self, settings: &Value) -> Option<Url> {
        base_url(settings.get("endpoint")?.as_str()?)
    }

    /// Turns settings that fit the schema of this version or an older one, and the Secret's values, into an account.
    fn resolve(
        &self,
        settings: &Value,
        secret: &SecretValues,
    ) -> Result<Arc<dyn ProviderAccount>, ResolveProblem>;
}

/// One account at a provider: where, as whom, and with which settings. Its credentials are a part of it, and of what
/// makes it equal to another, but `Debug` does not show them.
pub trait ProviderAccount: Comparable + Debug + Send + Sync {
    /// The provider.
    fn provider(&self) -> &'static dyn Provider;

    /// The API's base URL.
    fn endpoint(&self) -> &Url;

    /// Whether credentials that are bound to the API at this URL may be sent to every server that the settings name
    /// besides the API's own. There is none unless the provider says otherwise.
    fn is_bound_by(&self, _bound: &Url) -> bool {
        true
    }

    /// Which account at which cloud: equal for all that would collect the same services.
    fn cloud_account(&self) -> String;

    /// The limits that the cloud publishes, and who shares them; `None` where it has none. All accounts of one token or user
    /// keep them together, and their intervals become longer where they have to.
    fn published_limits(&self) -> Option<PublishedLimits> {
        None
    }

    /// Makes a client; sends nothing yet.
    fn connect(&self, client: AccountClient) -> Arc<dyn Cloud>;
}

impl dyn ProviderAccount {
    /// The provider's name.
    pub fn name(&self) -> &'static str {
        self.provider().name()
    }
}

impl PartialEq for dyn ProviderAccount {
    fn eq(&self, other: &Self) -> bool {
        self.equals(other)
    }
}

impl Hash for dyn ProviderAccount {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash_into(state);
    }
}

/// `PartialEq` between values of types that are not known, and `Hash`. Every type that derives both has it.
pub trait Comparable: Any {
    /// Whether the other value has the same type and is equal.
    fn equals(&self, other: &dyn Any) -> bool;

    /// Feeds type and value into the hasher.
    fn hash_into(&self, state: &mut dyn Hasher);
}

impl<T: PartialEq + Hash + Any> Comparable for T {
    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<T>().is_some_and(|other| self == other)
    }

    fn hash_into(&self, mut state: &mut dyn Hasher) {
        TypeId::of::<T>().hash(&mut state);
        self.hash(&mut state);
    }
}

/// Reads a provider's settings, which an older schema may have let pass.
pub fn read_settings<T: DeserializeOwned>(
    provider: &dyn Provider,
    settings: &Value,
) -> Result<T, ResolveProblem> {
    let name = provider.name();
    T::deserialize(settings).map_err(|_| ResolveProblem::Setting {
        field: "",
        advice: format!("cannot be read: write it as kubectl explain caas.spec.provider.{name} describes it"),
    })
}

/// Why settings and Secret are not an account at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResolveProblem {
    /// The endpoint is refused.
    #[error("the endpoint is refused: {0}")]
    Endpoint(#[from] Refusal),
    /// A setting is refused that an older schema let pass.
    #[error("the setting {field} {advice}")]
    Setting {
        /// The setting's path below the provider's settings; empty for the settings as a whole.
        field: &'static str,
        /// What is wrong and what to do: the rest of a sentence about the field, without its full stop.
        advice: String,
    },
    /// The Secret does not fit.
    #[error(transparent)]
    Key(#[from] KeyProblem),
}
