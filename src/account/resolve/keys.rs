//! The keys of a Secret, and the problems with them. No sentence holds a value.

use std::sync::Arc;

use secrecy::ExposeSecret;

use super::super::secret::{SecretData, SecretRead, Value};
use super::super::{AccountId, Problem};
use crate::api::Reason;
use crate::cloud::Provider;
use crate::cloud::http::{CaBundleProblem, check_ca_bundle};
use crate::cloud::secret::{KeyFault, KeyProblem, KeySets, SecretKey, SecretValues, alternatives};

/// The key that binds credentials to an endpoint, in the Secret of every provider.
pub(super) const ENDPOINT: &str = "endpoint";

/// A Secret that was found.
pub(super) struct Keys<'a> {
    secret: AccountId,
    data: &'a SecretData,
}

impl<'a> Keys<'a> {
    pub(super) fn of(namespace: &str, name: &str, read: &'a SecretRead) -> Result<Self, Problem> {
        match read {
            SecretRead::Found(data) => Ok(Self { secret: AccountId::new(namespace, name), data }),
            SecretRead::NotFound => Err(Problem::new(
                Reason::SecretNotFound,
                format!(
                    "Secret {namespace}/{name} does not exist: create it, or reference another Secret in the CaasAccount."
                ),
            )),
            SecretRead::Forbidden => Err(Problem::new(
                Reason::SecretForbidden,
                format!(
                    "Secret {namespace}/{name} cannot be read: allow the operator's ServiceAccount to get Secrets in namespace {namespace}."
                ),
            )),
        }
    }

    /// The values for a provider. The Secret has all keys of one of the provider's sets, whatever else it has.
    pub(super) fn values(&self, provider: &dyn Provider) -> Result<SecretValues, Problem> {
        let (secret, sets) = (&self.secret, provider.secret_keys());
        let values = self.read(sets);
        let missing = values.missing();
        let message = match missing[..] {
            _ if values.set().is_empty() => {
                let (title, keys) = (provider.title(), alternatives(sets));
                format!("Secret {secret} has none of the keys for {title}: add {keys}.")
            }
            [] => return Ok(values),
            [key] => return Err(self.problem(&KeyProblem::new(key, KeyFault::Missing, "Add the key"))),
            _ => format!("Secret {secret} lacks the keys {}. Add them.", missing.join(" and ")),
        };
        Err(Problem::new(Reason::SecretKeyMissing, message))
    }

    /// The URL that the credentials are bound to, where there is one.
    pub(super) fn endpoint(&self) -> Result<Option<String>, Problem> {
        const KEYS: KeySets = &[&[SecretKey::text(ENDPOINT)]];
        let values = self.read(KEYS);
        match values.get(ENDPOINT) {
            Ok(bound) => Ok(bound.map(|bound| bound.expose_secret().to_owned())),
            Err(problem) => Err(self.problem(&problem)),
        }
    }

    /// The certificates under a key, in PEM form, each fit to be trusted.
    pub(super) fn certificates(&self, key: &str) -> Result<Arc<[u8]>, Problem> {
        let problem = |fault, advice| self.problem(&KeyProblem::new(key, fault, advice));
        match self.data.value(key) {
            None => Err(problem(KeyFault::Missing, "Add CA certificates in PEM form")),
            Some(Value::TooLong) => Err(problem(
                KeyFault::Invalid,
                "is longer than 512 KiB: store only the certificates of the CAs that sign the cloud's certificates",
            )),
            Some(Value::NoRoom) => Err(problem(
                KeyFault::Invalid,
                "is not loaded because the CA bundles of this namespace use all the memory allowed for them: share \
                 one bundle among accounts, or use a smaller one",
            )),
            Some(Value::Kept(pem)) if pem.is_empty() => {
                Err(problem(KeyFault::Empty, "is empty: store CA certificates in PEM form"))
            }
            Some(Value::Kept(pem)) => match check_ca_bundle(pem) {
                Ok(()) => Ok(Arc::clone(pem)),
                Err(CaBundleProblem::TooMany) => Err(problem(
                    KeyFault::Invalid,
                    "has more than 1,000 certificates: store only those of the CAs that sign the cloud's certificates",
                )),
                Err(_) => Err(problem(
                    KeyFault::Invalid,
                    "has no valid CA certificates: store certificates in PEM form, including the BEGIN and END lines",
                )),
            },
        }
    }

    /// The problem with a key of this Secret.
    pub(super) fn problem(&self, problem: &KeyProblem) -> Problem {
        let KeyProblem { key, fault, advice } = problem;
        let secret = &self.secret;
        match fault {
            KeyFault::Missing => {
                Problem::new(Reason::SecretKeyMissing, format!("Secret {secret} has no key {key}. {advice}."))
            }
            KeyFault::Empty => Problem::value(Reason::SecretKeyEmpty, secret, key, advice),
            KeyFault::Invalid => Problem::value(Reason::SecretKeyInvalid, secret, key, advice),
        }
    }

    /// The key `endpoint` forbids what the spec asks for; `advice` goes on with the sentence.
    pub(super) fn mismatch(&self, advice: &str) -> Problem {
        Problem::value(Reason::EndpointMismatch, &self.secret, ENDPOINT, advice)
    }

    fn read(&self, sets: KeySets) -> SecretValues {
        SecretValues::read(sets, |key| {
            self.data.value(key).map(|value| match value {
                Value::Kept(value) => Some(&**value),
                Value::TooLong | Value::NoRoom => None,
            })
        })
    }
}
