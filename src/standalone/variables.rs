//! One account of any provider from the variables of the environment that the cloud's own tools read.
//!
//! It becomes a manifest, so that the same rules apply. What is wrong with it is said in terms of the variables.

use serde_json::{Map, Value, json};
use thiserror::Error;
use url::Url;

use crate::account::admission::{Admission, FieldError, Refused};
use crate::account::{self, Account, Problem, SecretData, SecretRead, Subject};
use crate::api::{API_VERSION, KIND};
use crate::cloud::error::Refusal;
use crate::cloud::{Part, Provider, Providers, Variable};

/// Why there is no account.
#[derive(Debug, Error)]
pub enum VariablesError {
    /// The credentials are not complete.
    #[error("the {provider} account has no credentials: set {wanted}")]
    NoCredentials {
        /// The provider, for people.
        provider: &'static str,
        /// The variables to set.
        wanted: String,
    },
    /// A value is refused, as an API server would refuse it.
    #[error("the {provider} account is invalid: {problems}")]
    Refused {
        /// The provider, for people.
        provider: &'static str,
        /// What is wrong with which variables.
        problems: String,
    },
    /// The account cannot be collected.
    #[error("the {provider} account cannot be collected: {problem}")]
    Problem {
        /// The provider, for people.
        provider: &'static str,
        /// Why.
        problem: String,
    },
}

/// The account of this provider whose parts `get` finds by the names of variables.
///
/// It is called after the provider, in namespace `default`. `allow` is the administrator's policy on endpoints. An empty
/// variable counts as none, and the end of a line at its end as nothing.
pub fn account(
    providers: Providers,
    provider: &'static dyn Provider,
    get: impl Fn(&str) -> Option<String>,
    allow: impl Fn(&Url) -> Result<(), Refusal>,
) -> Result<Account, VariablesError> {
    let given = |variable: &Variable| {
        let value = |name: &&str| Some(get(name)?.trim_end_matches(['\r', '\n']).to_owned());
        variable.names.iter().filter_map(value).find(|value| !value.is_empty())
    };
    let (mut settings, mut secret) = (Map::new(), Vec::new());
    for variable in provider.variables() {
        match (variable.part, given(variable)) {
            (Part::Setting(setting), Some(value)) => {
                settings.insert(setting.to_owned(), value.into());
            }
            (Part::Key(key), Some(value)) => secret.push((key.to_owned(), value.into_bytes())),
            (Part::Setting(_) | Part::Key(_), None) => {}
        }
    }
    let has = |key: &str| secret.iter().any(|(name, _)| name == key);
    if !provider.secret_keys().iter().any(|set| set.iter().all(|key| has(key.name))) {
        return Err(VariablesError::NoCredentials {
            provider: provider.title(),
            wanted: credentials(provider),
        });
    }
    let name = provider.name();
    let manifest = json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {
            "provider": {name: Value::Object(settings)},
            "credentials": {"secretRef": {"name": name}},
        },
    });
    let account =
        Admission::new(providers).admit(manifest).map_err(|refused| explain_refusal(provider, &refused))?;
    let secret = SecretRead::Found(SecretData::new("default", secret));
    account::resolve(providers, &account, &secret, None, allow)
        .map_err(|problem| explain_problem(provider, &problem))
}

/// The variables with the provider's credentials: alternatives in a sentence, such as `A_TOKEN, or A_USER and A_PASSWORD`.
pub fn credentials(provider: &dyn Provider) -> String {
    let set = |set: &&[crate::cloud::secret::SecretKey]| {
        let names = set.iter().map(|key| shown(provider, |part| part == Part::Key(key.name)));
        names.collect::<Option<Vec<_>>>()
    };
    let sets: Vec<String> =
        provider.secret_keys().iter().filter_map(set).map(|names| names.join(" and ")).collect();
    sets.join(", or ")
}

/// The names of the variable with such a part.
fn shown(provider: &dyn Provider, is_it: impl Fn(Part) -> bool) -> Option<String> {
    provider.variables().iter().find(|variable| is_it(variable.part)).map(Variable::shown)
}

fn explain_refusal(provider: &dyn Provider, Refused(errors): &Refused) -> VariablesError {
    let prefix = format!("spec.provider.{}.", provider.name());
    let explain = |FieldError { path, message }: &FieldError| {
        let field = path.strip_prefix(&prefix);
        let names = shown(provider, |part| matches!(part, Part::Setting(setting) if field == Some(setting)));
        format!("{}: {message}", names.as_ref().unwrap_or(path))
    };
    let problems = errors.iter().map(explain).collect::<Vec<_>>().join("; ");
    VariablesError::Refused { provider: provider.title(), problems }
}

fn explain_problem(provider: &dyn Provider, problem: &Problem) -> VariablesError {
    let said = match &problem.subject {
        Subject::Endpoint(refusal) => shown(provider, |part| part == Part::Setting("endpoint"))
            .map(|names| format!("the URL in {names} is refused: {refusal}")),
        Subject::Key(key, advice) => shown(provider, |part| matches!(part, Part::Key(name) if name == key))
            .map(|names| format!("{names} {advice}")),
        Subject::Object => None,
    };
    VariablesError::Problem {
        provider: provider.title(),
        problem: said.unwrap_or_else(|| problem.message.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(name: &str, variables: &[(&str, &str)]) -> Result<Account, VariablesError> {
        let provider = Providers::ALL.get(name).unwrap();
        let get = |name: &str| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        };
        account(Providers::ALL, provider, get, |_| Ok(()))
    }

    #[test]
    fn a_token_in_the_variable_of_the_clouds_own_tools_makes_an_account() {
        for variable in ["DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"] {
            let account = from("digitalocean", &[(variable, "dop_v1_canary\n")]).unwrap();
            assert_eq!(account.id.to_string(), "default/digitalocean");
            assert_eq!(account.connection.provider.endpoint().as_str(), "https://api.digitalocean.com/");
        }
    }

    #[test]
    fn every_provider_with_variables_names_those_of_its_credentials() {
        let with_variables = || Providers::ALL.iter().filter(|provider| !provider.variables().is_empty());
        assert!(with_variables().count() >= 2);
        for provider in with_variables() {
            let error = from(provider.name(), &[]).unwrap_err().to_string();
            assert!(error.contains(provider.title()), "{error}");
            assert!(error.contains(&credentials(provider)) && credentials(provider).len() > 5, "{error}");
        }
        let wanted = credentials(Providers::ALL.get("cloudfoundry").unwrap());
        assert_eq!(wanted, "CF_USERNAME (or CF_USER) and CF_PASSWORD, or CF_CLIENT_ID and CF_CLIENT_SECRET");
    }

    #[test]
    fn every_variable_sets_a_key_or_setting_that_the_provider_has() {
        for provider in Providers::ALL.iter() {
            let schema = serde_json::to_value(provider.settings()).unwrap();
            let keys: Vec<&str> =
                provider.secret_keys().iter().copied().flatten().map(|key| key.name).collect();
            for variable in provider.variables() {
                match variable.part {
                    Part::Key(key) => assert!(keys.contains(&key), "{variable:?}"),
                    Part::Setting(setting) => {
                        assert!(schema["properties"][setting].is_object(), "{variable:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn sentences_name_the_variables_and_no_manifest_and_no_value() {
        let token = ("DIGITALOCEAN_TOKEN", "canary");
        for (name, variables, says) in [
            ("digitalocean", &[token, ("DIGITALOCEAN_API_URL", "canary")][..], "DIGITALOCEAN_API_URL: use"),
            (
                "digitalocean",
                &[("DIGITALOCEAN_TOKEN", "ca nary")],
                "DIGITALOCEAN_TOKEN (or DIGITALOCEAN_ACCESS_TOKEN) is not one word",
            ),
            ("digitalocean", &[("DIGITALOCEAN_TOKEN", "\n")], "set DIGITALOCEAN_TOKEN"),
            ("cloudfoundry", &[("CF_USER", "acme"), ("CF_PASSWORD", "canary")], "CF_API_URL: is required"),
        ] {
            let error = from(name, variables).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
            let hidden = ["canary", "Secret", "spec.", "CaasAccount"];
            assert!(!hidden.iter().any(|word| error.contains(word)), "{error}");
        }
    }

    #[test]
    fn the_policy_on_endpoints_is_asked() {
        let provider = Providers::ALL.get("digitalocean").unwrap();
        let get = |name: &str| (name == "DIGITALOCEAN_TOKEN").then(|| "canary".to_owned());
        let refused = account(Providers::ALL, provider, get, |_| Err(Refusal::PrivateAddress)).unwrap_err();
        assert!(refused.to_string().contains("the URL in DIGITALOCEAN_API_URL is refused"), "{refused}");
    }
}
