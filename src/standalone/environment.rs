//! One Alauda account from a username, a password and an endpoint, as the article's exporter was started.
//!
//! It becomes the manifests that somebody would have written, so that the same rules and sentences hold.

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use thiserror::Error;
use url::Url;

use crate::account::{self, Account, Problem, SecretRead, admission};
use crate::api::{API_VERSION, KIND};
use crate::cloud::error::Refusal;

/// Name of the account, in namespace `default`, and of the Secret that it would have.
const NAME: &str = "alauda";

/// An account as the command line and the environment give it.
#[derive(Debug, Clone)]
pub struct Environment {
    /// `ALAUDA_USERNAME`.
    pub username: String,
    /// `ALAUDA_PASSWORD`.
    pub password: SecretString,
    /// `--alauda-endpoint`: the API's base URL.
    pub endpoint: String,
    /// User or organization whose services are collected, where it is not the user.
    pub namespace: Option<String>,
}

/// Why there is no account.
#[derive(Debug, Error)]
pub enum EnvironmentError {
    /// A variable is not there, or has no value.
    #[error("{0} is not set or empty: set it")]
    Empty(&'static str),
    /// The endpoint or the namespace is refused, as an API server would refuse it.
    #[error("the Alauda account is refused: {}", as_given(&.0.to_string()))]
    Refused(#[from] admission::Refused),
    /// The account cannot be collected.
    #[error("the Alauda account cannot be collected: {}", as_given(&.0.message))]
    Problem(#[from] Problem),
}

/// What a manifest's sentences name, and what was given instead of it.
const GIVEN: [(&str, &str); 5] = [
    ("Key username of Secret default/alauda", "ALAUDA_USERNAME"),
    ("Key password of Secret default/alauda", "ALAUDA_PASSWORD"),
    ("The endpoint in spec.provider of CaasAccount default/alauda", "The URL in --alauda-endpoint"),
    ("spec.provider.alauda.endpoint", "--alauda-endpoint"),
    ("spec.provider.alauda.namespace", "--alauda-namespace"),
];

/// A manifest's sentence about an account of the command line, on which there is neither Secret nor spec.
fn as_given(sentence: &str) -> String {
    GIVEN.iter().fold(sentence.to_owned(), |sentence, (named, given)| sentence.replace(named, given))
}

/// The account, with the article's metrics next to the others; `allow` is the administrator's policy on endpoints.
pub fn account(
    environment: &Environment,
    allow: impl Fn(&Url) -> Result<(), Refusal>,
) -> Result<Account, EnvironmentError> {
    let password = environment.password.expose_secret();
    for (variable, value) in [
        ("ALAUDA_USERNAME", environment.username.as_str()),
        ("ALAUDA_PASSWORD", password),
        ("--alauda-endpoint", environment.endpoint.as_str()),
    ] {
        if value.trim_end_matches(['\r', '\n']).is_empty() {
            return Err(EnvironmentError::Empty(variable));
        }
    }
    let account = admission::admit(json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": NAME},
        "spec": {
            "provider": {"alauda": {"endpoint": environment.endpoint, "namespace": environment.namespace}},
            "credentials": {"secretRef": {"name": NAME}},
            "metrics": {"names": "both"},
        },
    }))?;
    let secret = [("username", environment.username.as_str()), ("password", password)]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()))
        .collect();
    Ok(account::resolve(&account, &SecretRead::Found(secret), None, allow)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Names, Provider};

    fn environment(username: &str, endpoint: &str) -> Environment {
        Environment {
            username: username.to_owned(),
            password: SecretString::from("canary-password"),
            endpoint: endpoint.to_owned(),
            namespace: None,
        }
    }

    #[test]
    fn the_articles_variables_make_an_account_with_the_articles_metrics() {
        let account = account(&environment("acme\n", "https://caas.example.com/v1"), |_| Ok(())).unwrap();

        let Provider::Alauda(settings) = &account.connection.provider;
        assert_eq!(settings.endpoint.as_str(), "https://caas.example.com/v1/");
        assert_eq!(settings.namespace, "acme");
        assert_eq!(account.exposition.names, Names::Both);
        assert_eq!(account.id.to_string(), "default/alauda");
    }

    #[test]
    fn an_empty_variable_is_named() {
        let error = account(&environment("", "https://caas.example.com/v1/"), |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "ALAUDA_USERNAME is not set or empty: set it");
    }

    #[test]
    fn an_endpoint_is_refused_with_the_sentence_of_the_definition() {
        let error = account(&environment("acme", "caas.example.com"), |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains(": --alauda-endpoint: write an http:// or https:// URL"), "{error}");
    }

    #[test]
    fn sentences_name_what_was_given_and_no_manifest() {
        let namespace = Environment {
            namespace: Some("a/b".to_owned()),
            ..environment("acme", "https://caas.example.com/")
        };
        for (environment, named) in [
            (
                environment("team/acme", "https://caas.example.com/"),
                "ALAUDA_USERNAME cannot stand in a URL's path: set --alauda-namespace",
            ),
            (environment("ac\tme", "https://caas.example.com/"), "ALAUDA_USERNAME holds control characters"),
            (environment("acme", "https://caas.example.com/?page=1"), "--alauda-endpoint: write"),
            (namespace, "--alauda-namespace: write the name"),
        ] {
            let error = account(&environment, |_| Ok(())).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
            assert!(!["Secret", "spec.", "CaasAccount"].iter().any(|word| error.contains(word)), "{error}");
        }
    }

    #[test]
    fn the_policy_on_endpoints_is_asked() {
        let refuse = |_: &Url| Err(Refusal::PrivateAddress);
        let error =
            account(&environment("acme", "https://caas.example.com/v1/"), refuse).unwrap_err().to_string();
        assert!(
            error.contains("The URL in --alauda-endpoint is refused") && error.contains("--allow-cidr"),
            "{error}"
        );
        assert!(!error.contains("canary"), "{error}");
    }
}
