//! One Alauda account from a username, a password and an endpoint, as the legacy exporter was started.
//!
//! It becomes a manifest, so that the same rules apply. What is wrong with it is phrased here, in terms of the variables
//! and options that were given.

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use thiserror::Error;
use url::Url;

use crate::account::admission::{Admission, FieldError, Refused};
use crate::account::{self, Account, Problem, SecretData, SecretRead, Subject};
use crate::api::{API_VERSION, KIND};
use crate::cloud::Providers;
use crate::cloud::error::Refusal;
use crate::schema::address;

/// Name of the account, in namespace `default`, and of the Secret that it would have.
const NAME: &str = "alauda";

/// The options and variables of the account's parts.
const ENDPOINT: &str = "--alauda-endpoint";
const NAMESPACE: &str = "--alauda-namespace";
const USERNAME: &str = "ALAUDA_USERNAME";
const PASSWORD: &str = "ALAUDA_PASSWORD";

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
    /// A variable or option has no value.
    #[error("{0} is not set or empty: set it")]
    Empty(&'static str),
    /// A value is refused, as an API server would refuse it.
    #[error("the Alauda account is invalid: {0}")]
    Refused(String),
    /// The account cannot be collected.
    #[error("the Alauda account cannot be collected: {0}")]
    Problem(String),
}

/// The account, with legacy metrics beside the modern ones; `allow` is the administrator's policy on endpoints.
pub fn account(
    environment: &Environment,
    allow: impl Fn(&Url) -> Result<(), Refusal>,
) -> Result<Account, EnvironmentError> {
    let username = environment.username.trim_end_matches(['\r', '\n']);
    let password = environment.password.expose_secret();
    for (name, value) in [
        (USERNAME, username),
        (PASSWORD, password.trim_end_matches(['\r', '\n'])),
        (ENDPOINT, environment.endpoint.trim_end_matches(['\r', '\n'])),
    ] {
        if value.is_empty() {
            return Err(EnvironmentError::Empty(name));
        }
    }
    if environment.namespace.is_none()
        && !username.contains(char::is_control)
        && !address::is_segment(username)
    {
        return Err(EnvironmentError::Problem(format!(
            "{USERNAME} cannot be part of a URL path: set {NAMESPACE} to the user or organization whose services are collected"
        )));
    }
    let manifest = json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": NAME},
        "spec": {
            "provider": {"alauda": {"endpoint": environment.endpoint, "namespace": environment.namespace}},
            "credentials": {"secretRef": {"name": NAME}},
            "metrics": {"names": "Both"},
        },
    });
    let account =
        Admission::new(Providers::ALL).admit(manifest).map_err(|refused| explain_refusal(&refused))?;
    let secret = [("username", environment.username.as_str()), ("password", password)]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()));
    let secret = SecretRead::Found(SecretData::new(NAME, secret));
    account::resolve(Providers::ALL, &account, &secret, None, allow)
        .map_err(|problem| explain_problem(&problem))
}

fn explain_refusal(Refused(errors): &Refused) -> EnvironmentError {
    let explain = |FieldError { path, message }: &FieldError| match path.as_str() {
        "spec.provider.alauda.endpoint" => format!("{ENDPOINT}: {message}"),
        "spec.provider.alauda.namespace" => format!("{NAMESPACE}: {message}"),
        _ => format!("{path}: {message}"),
    };
    EnvironmentError::Refused(errors.iter().map(explain).collect::<Vec<_>>().join("; "))
}

fn explain_problem(problem: &Problem) -> EnvironmentError {
    EnvironmentError::Problem(match &problem.subject {
        Subject::Endpoint(refusal) => format!("the URL in {ENDPOINT} is refused: {refusal}"),
        Subject::Key(key, advice) if key == "username" => format!("{USERNAME} {advice}"),
        Subject::Key(key, advice) if key == "password" => format!("{PASSWORD} {advice}"),
        Subject::Key(..) | Subject::Object => problem.message.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Names;

    fn environment(username: &str, endpoint: &str) -> Environment {
        Environment {
            username: username.to_owned(),
            password: SecretString::from("canary-password"),
            endpoint: endpoint.to_owned(),
            namespace: None,
        }
    }

    #[test]
    fn the_legacy_variables_make_an_account_with_legacy_metrics() {
        let account = account(&environment("acme\n", "https://caas.example.com/v1"), |_| Ok(())).unwrap();

        let provider = &account.connection.provider;
        assert_eq!(provider.endpoint().as_str(), "https://caas.example.com/v1/");
        assert_eq!(provider.cloud_account(), "alauda https://caas.example.com/v1/ acme");
        assert_eq!(account.exposition.names, Names::Both);
        assert_eq!(account.id.to_string(), "default/alauda");
    }

    #[test]
    fn an_empty_variable_is_named() {
        let error = account(&environment("", "https://caas.example.com/v1/"), |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "ALAUDA_USERNAME is not set or empty: set it");
    }

    #[test]
    fn an_endpoint_is_refused_with_the_sentence_of_the_crd() {
        let error = account(&environment("acme", "caas.example.com"), |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains(": --alauda-endpoint: use an http:// or https:// URL"), "{error}");
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
                "ALAUDA_USERNAME cannot be part of a URL path: set --alauda-namespace",
            ),
            (
                environment("ac\tme", "https://caas.example.com/"),
                "ALAUDA_USERNAME contains control characters",
            ),
            (environment("acme", "https://caas.example.com/?page=1"), "--alauda-endpoint: use"),
            (namespace, "--alauda-namespace: use the name"),
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
            error.contains("the URL in --alauda-endpoint is refused") && error.contains("--allow-cidr"),
            "{error}"
        );
        assert!(!error.contains("canary"), "{error}");
    }
}
