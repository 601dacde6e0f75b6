//! A provider for the test of the seam, in one folder: settings, client, and the API it speaks to.
//!
//! Its cloud knows cores, limits and requests to services, which Alauda does not, and has an id for each service. A token
//! is all that its Secret needs.

mod client;
mod server;
mod settings;

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use caas_operator::cloud::error::Refusal;
use caas_operator::cloud::http::AccountClient;
use caas_operator::cloud::provider::ResolveProblem;
use caas_operator::cloud::secret::{KeySets, SecretKey, SecretValues};
use caas_operator::cloud::{Cloud, Provider, ProviderAccount};
use caas_operator::schema::{self, address};
use schemars::Schema;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

pub(crate) use server::{TOKEN, start};
use settings::HarborSpec;

/// The words that the cloud has for a service's phase.
pub(crate) const PHASES: &[&str] = &["sailing", "docked"];

const PROJECT_TOKEN: SecretKey = SecretKey::word("projectToken");

/// Harbor, a cloud that exists in this folder only.
pub(crate) struct Harbor;

/// A project at Harbor.
#[derive(Debug, Clone)]
struct Project {
    endpoint: Url,
    name: String,
    token: SecretString,
}

impl PartialEq for Project {
    fn eq(&self, other: &Self) -> bool {
        self.endpoint == other.endpoint
            && self.name == other.name
            && self.token.expose_secret() == other.token.expose_secret()
    }
}

impl Hash for Project {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.endpoint, &self.name, self.token.expose_secret()).hash(state);
    }
}

impl Provider for Harbor {
    fn name(&self) -> &'static str {
        "harbor"
    }

    fn title(&self) -> &'static str {
        "Harbor"
    }

    fn settings(&self) -> Schema {
        schema::of::<HarborSpec>()
    }

    fn secret_keys(&self) -> KeySets {
        &[&[PROJECT_TOKEN]]
    }

    fn default_interval(&self) -> Duration {
        Duration::from_secs(120)
    }

    fn status_words(&self) -> &'static [&'static str] {
        PHASES
    }

    fn resolve(
        &self,
        settings: &Value,
        secret: &SecretValues,
    ) -> Result<Arc<dyn ProviderAccount>, ResolveProblem> {
        let spec: HarborSpec = serde_json::from_value(settings.clone()).map_err(|_| {
            ResolveProblem::Setting { field: "", advice: "cannot be read: name a project".to_owned() }
        })?;
        Ok(Arc::new(Project {
            endpoint: address::base_url(&spec.endpoint).ok_or(Refusal::NotAnEndpoint)?,
            name: spec.project,
            token: secret.require(PROJECT_TOKEN.name)?.clone(),
        }))
    }
}

impl ProviderAccount for Project {
    fn provider(&self) -> &'static dyn Provider {
        &Harbor
    }

    fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    fn cloud_account(&self) -> String {
        format!("harbor {} {}", self.endpoint, self.name)
    }

    fn connect(&self, client: AccountClient) -> Arc<dyn Cloud> {
        Arc::new(client::Client { project: self.clone(), client })
    }
}
