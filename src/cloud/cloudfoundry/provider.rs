//! What Cloud Foundry says of itself as a provider, and how its settings and a Secret become an account.

use std::sync::Arc;
use std::time::Duration;

use schemars::Schema;
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::credentials::{CloudFoundryCredentials, Grant};
use super::login::may_log_in_at;
use super::settings::{CloudFoundrySpec, EntityName, is_name};
use super::{CloudFoundry, Settings};
use crate::cloud::error::Refusal;
use crate::cloud::http::{AccountClient, PublishedLimits, RateGroup};
use crate::cloud::provider::{Provider, ProviderAccount, ResolveProblem, read_settings};
use crate::cloud::secret::{KeyProblem, KeySets, SecretKey, SecretValues, fingerprint};
use crate::cloud::{Cloud, Variable};
use crate::schema::{self, address};

const USERNAME: SecretKey = SecretKey::line("username");
const PASSWORD: SecretKey = SecretKey::text("password");
const CLIENT_ID: SecretKey = SecretKey::line("clientId");
const CLIENT_SECRET: SecretKey = SecretKey::text("clientSecret");

/// The window of a limit on requests, where an installation has one: its server's default, which no answer tells.
const LIMIT_WINDOW: Duration = Duration::from_secs(60 * 60);

/// Cloud Foundry's API, version 3.
pub struct CloudFoundryProvider;

/// An account at an installation of Cloud Foundry.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct CloudFoundryAccount {
    /// Where, and which applications.
    pub settings: Settings,
    /// As whom.
    pub credentials: CloudFoundryCredentials,
}

impl Provider for CloudFoundryProvider {
    fn name(&self) -> &'static str {
        "cloudfoundry"
    }

    fn title(&self) -> &'static str {
        "Cloud Foundry"
    }

    fn settings(&self) -> Schema {
        schema::of::<CloudFoundrySpec>()
    }

    fn secret_keys(&self) -> KeySets {
        &[&[USERNAME, PASSWORD], &[CLIENT_ID, CLIENT_SECRET]]
    }

    fn variables(&self) -> &'static [Variable] {
        const {
            &[
                Variable::setting("endpoint", &["CF_API_URL"]),
                Variable::key(USERNAME.name, &["CF_USERNAME", "CF_USER"]),
                Variable::key(PASSWORD.name, &["CF_PASSWORD"]),
                Variable::key(CLIENT_ID.name, &["CF_CLIENT_ID"]),
                Variable::key(CLIENT_SECRET.name, &["CF_CLIENT_SECRET"]),
            ]
        }
    }

    fn default_interval(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn status_words(&self) -> &'static [&'static str] {
        super::STATUS_WORDS
    }

    fn resolve(
        &self,
        settings: &Value,
        secret: &SecretValues,
    ) -> Result<Arc<dyn ProviderAccount>, ResolveProblem> {
        let spec: CloudFoundrySpec = read_settings(self, settings)?;
        let login_endpoint = spec.login_endpoint.as_deref().map(login_endpoint).transpose()?;
        let settings = Settings {
            endpoint: address::base_url(&spec.endpoint).ok_or(Refusal::NotAnEndpoint)?,
            organizations: names("organizations", spec.organizations)?,
            spaces: names("spaces", spec.spaces)?,
            label_selector: spec.label_selector,
            login_endpoint,
            login_origin: spec.login_origin,
        };
        Ok(Arc::new(CloudFoundryAccount { settings, credentials: credentials(secret)? }))
    }
}

impl ProviderAccount for CloudFoundryAccount {
    fn provider(&self) -> &'static dyn Provider {
        &CloudFoundryProvider
    }

    fn endpoint(&self) -> &Url {
        &self.settings.endpoint
    }

    fn is_bound_by(&self, bound: &Url) -> bool {
        // Someone who can edit the account but not read its Secret must not have the password sent elsewhere.
        self.settings.login_endpoint.as_ref().is_none_or(|login| may_log_in_at(bound, login))
    }

    fn cloud_account(&self) -> String {
        let Settings { endpoint, organizations, spaces, label_selector, .. } = &self.settings;
        // Another user may see other spaces.
        let name = &self.credentials.name;
        format!("cloudfoundry {endpoint} {name:?} {organizations:?} {spaces:?} {label_selector:?}")
    }

    fn published_limits(&self) -> Option<PublishedLimits> {
        // The API counts the requests of a user or client, whatever they are for. One name may be that of two users, at two
        // identity providers or login servers. Who knows a user's name only must not slow down the user's accounts.
        let (CloudFoundryCredentials { grant, name, secret }, settings) = (&self.credentials, &self.settings);
        let Settings { endpoint, login_endpoint, login_origin, .. } = settings;
        let login_endpoint = login_endpoint.as_ref().map(Url::as_str);
        let secret = fingerprint(secret);
        let user = format!("{grant:?} {name:?} {secret} {login_origin:?} {login_endpoint:?}");
        Some(PublishedLimits {
            group: RateGroup::new(endpoint, &user),
            // No installation has one by default. Where there is one, `X-RateLimit-Limit` of each answer names it.
            limits: Vec::new(),
            header_window: Some(LIMIT_WINDOW),
        })
    }

    fn connect(&self, client: AccountClient) -> Arc<dyn Cloud> {
        Arc::new(CloudFoundry::new(self.settings.clone(), self.credentials.clone(), client))
    }
}

fn login_endpoint(text: &str) -> Result<Url, ResolveProblem> {
    address::base_url(text).ok_or_else(|| ResolveProblem::Setting {
        field: "loginEndpoint",
        advice:
            "is not a base URL: use an http:// or https:// URL with a host and no user, query or fragment"
                .to_owned(),
    })
}

fn names(field: &'static str, names: Vec<EntityName>) -> Result<Vec<String>, ResolveProblem> {
    let mut names: Vec<String> = names.into_iter().map(|EntityName(name)| name).collect();
    if !names.iter().all(|name| is_name(name)) {
        let advice = "has a name that is empty or contains a comma or a control character: use the names that cf shows";
        return Err(ResolveProblem::Setting { field, advice: advice.to_owned() });
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// The pair of keys that the Secret has; a user's where it has none.
fn credentials(secret: &SecretValues) -> Result<CloudFoundryCredentials, KeyProblem> {
    let is_client = secret.set().iter().any(|key| key.name == CLIENT_ID.name);
    let (grant, name, password) = if is_client {
        (Grant::ClientCredentials, CLIENT_ID, CLIENT_SECRET)
    } else {
        (Grant::Password, USERNAME, PASSWORD)
    };
    Ok(CloudFoundryCredentials {
        grant,
        name: secret.require(name.name)?.expose_secret().to_owned(),
        secret: secret.require(password.name)?.clone(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolve(settings: &Value, keys: &[(&str, &str)]) -> Result<CloudFoundryAccount, String> {
        let find =
            |key: &str| keys.iter().find(|(name, _)| *name == key).map(|(_, value)| Some(value.as_bytes()));
        let values = SecretValues::read(CloudFoundryProvider.secret_keys(), find);
        let account =
            CloudFoundryProvider.resolve(settings, &values).map_err(|problem| problem.to_string())?;
        let account: &dyn std::any::Any = &*account;
        Ok(account.downcast_ref::<CloudFoundryAccount>().unwrap().clone())
    }

    const USER: [(&str, &str); 2] = [("username", "ops"), ("password", "canary")];

    #[test]
    fn settings_are_checked_and_normalized() {
        let settings = json!({
            "endpoint": "https://api.sys.example.com", "organizations": ["b", "a", "b"], "spaces": ["prod"],
            "loginEndpoint": "https://login.example.com", "loginOrigin": "corp", "labelSelector": "env=prod",
        });
        let account = resolve(&settings, &USER).unwrap();
        assert_eq!(account.settings.endpoint.as_str(), "https://api.sys.example.com/");
        assert_eq!(account.settings.organizations, ["a", "b"]);
        assert_eq!(account.settings.login_endpoint.unwrap().as_str(), "https://login.example.com/");
        for (field, value, says) in [
            ("endpoint", json!("api.sys.example.com"), "endpoint is refused"),
            ("loginEndpoint", json!("login"), "loginEndpoint is not a base URL"),
            ("organizations", json!(["a,b"]), "organizations has a name"),
            ("spaces", json!([""]), "spaces has a name"),
            ("spaces", json!("prod"), "cannot be read"),
        ] {
            let mut wrong = settings.clone();
            wrong[field] = value;
            let problem = resolve(&wrong, &USER).unwrap_err();
            assert!(problem.contains(says), "{field}: {problem}");
        }
    }

    #[test]
    fn a_complete_pair_of_keys_decides_how_to_log_in() {
        let settings = json!({"endpoint": "https://api.sys.example.com"});
        let client = [("clientId", "exporter"), ("clientSecret", "canary")];
        for (keys, grant) in [
            (&USER[..], Grant::Password),
            (&client[..], Grant::ClientCredentials),
            (&[USER[0], client[0], client[1]][..], Grant::ClientCredentials),
            (&[USER[0], USER[1], client[0]][..], Grant::Password),
        ] {
            let account = resolve(&settings, keys).unwrap();
            assert_eq!(account.credentials.grant, grant);
            assert!(!format!("{account:?}").contains("canary"));
        }
        assert_eq!(resolve(&settings, &client[..1]).unwrap_err(), "key clientSecret: Add the key");
        assert_eq!(resolve(&settings, &[]).unwrap_err(), "key username: Add the key");
    }

    #[test]
    fn accounts_that_would_collect_the_same_are_equal_and_others_are_not() {
        let of = |spaces: Value, keys: &[(&str, &str)]| {
            let settings = json!({"endpoint": "https://api.sys.example.com", "spaces": spaces});
            resolve(&settings, keys).unwrap().cloud_account()
        };
        assert_eq!(of(json!(["a", "b"]), &USER), of(json!(["b", "a"]), &USER));
        assert_ne!(of(json!(["a"]), &USER), of(json!(["a"]), &[("username", "x"), ("password", "y")]));
        assert_ne!(of(json!([]), &USER), of(json!([]), &[("username", "other"), ("password", "canary")]));
        assert!(!of(json!([]), &USER).contains("canary"));
    }

    #[test]
    fn accounts_with_the_credentials_of_one_user_share_a_limit_that_only_answers_name() {
        let of = |settings: Value, keys: &[(&str, &str)]| {
            let mut all = json!({"endpoint": "https://api.sys.example.com"});
            all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
            resolve(&all, keys).unwrap().published_limits().unwrap()
        };
        let one = of(json!({}), &USER);
        assert!(one.limits.is_empty() && one.header_window == Some(Duration::from_secs(3600)));
        assert_eq!(one.group, of(json!({"spaces": ["prod"]}), &USER).group);
        let client = [("clientId", "ops"), ("clientSecret", "canary")];
        for other in [
            of(json!({}), &[("username", "dev"), ("password", "canary")]),
            of(json!({}), &client),
            of(json!({"loginOrigin": "corp"}), &USER),
            // Who does not know the password must not be able to slow down those who do.
            of(json!({}), &[("username", "ops"), ("password", "guessed")]),
            of(json!({"loginEndpoint": "https://login.another.example"}), &USER),
            of(json!({"endpoint": "https://api.other.example.com"}), &USER),
        ] {
            assert_ne!(one.group, other.group);
        }
    }
}
