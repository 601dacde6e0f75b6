//! The keys of a Secret, and the sentences for what is wrong with them. No sentence holds a value.

use std::sync::Arc;

use super::super::Problem;
use super::super::secret::{SecretData, SecretRead, Value};
use crate::api::Reason;
use crate::cloud::Credentials;
use crate::cloud::credentials::LONGEST_TOKEN;
use crate::cloud::http::check_ca_bundle;

/// A Secret that was found.
pub(super) struct Keys<'a> {
    namespace: &'a str,
    name: &'a str,
    data: &'a SecretData,
}

impl<'a> Keys<'a> {
    pub(super) fn of(namespace: &'a str, name: &'a str, read: &'a SecretRead) -> Result<Self, Problem> {
        match read {
            SecretRead::Found(data) => Ok(Self { namespace, name, data }),
            SecretRead::NotFound => Err(Problem::new(
                Reason::SecretNotFound,
                format!(
                    "Secret {namespace}/{name} does not exist: create it, or name another in the CaasAccount."
                ),
            )),
            SecretRead::Forbidden => Err(Problem::new(
                Reason::SecretForbidden,
                format!(
                    "Secret {namespace}/{name} may not be read: allow the operator's ServiceAccount to get Secrets in namespace {namespace}."
                ),
            )),
        }
    }

    /// A token where there is one, since it needs no login; else username and password.
    pub(super) fn credentials(&self) -> Result<Credentials, Problem> {
        if self.data.has("token") {
            let token = self.required("token")?;
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(
                    self.unusable("token", "is not one word of printable ASCII: store the token alone")
                );
            }
            if token.len() > LONGEST_TOKEN {
                return Err(self.unusable("token", "is longer than any token: store the token alone"));
            }
            return Ok(Credentials::Token(token.into()));
        }
        if !self.data.has("username") && !self.data.has("password") {
            return Err(self.missing(
                "username",
                "Nor has it the keys password and token: add username and password, or token",
            ));
        }
        let username = self.username()?.ok_or_else(|| self.missing("username", "Add the user's name"))?;
        let password = self.required("password")?;
        Ok(Credentials::Password { username: username.to_owned(), password: password.into() })
    }

    /// The key `username`, which may stand beside a token.
    pub(super) fn username(&self) -> Result<Option<&'a str>, Problem> {
        match self.text("username")? {
            Some(username) if username.contains(char::is_control) => {
                Err(self.unusable("username", "holds control characters: store the user's name alone"))
            }
            username => Ok(username),
        }
    }

    /// The certificates under a key, in PEM form, each fit to be trusted.
    pub(super) fn certificates(&self, key: &str) -> Result<Arc<[u8]>, Problem> {
        let pem = match self.data.value(key) {
            None => return Err(self.missing(key, "Add CA certificates in PEM form")),
            Some(Value::TooLong) => {
                return Err(self.unusable(
                    key,
                    "is longer than 512 KiB: store only the certificates of the CAs that vouch for the cloud",
                ));
            }
            Some(Value::Kept(pem)) => pem,
        };
        if check_ca_bundle(pem).is_err() {
            return Err(self.unusable(
                key,
                "holds no CA certificates, or broken ones: store certificates in PEM form, BEGIN and END lines included",
            ));
        }
        Ok(Arc::clone(pem))
    }

    fn required(&self, key: &str) -> Result<&'a str, Problem> {
        self.text(key)?.ok_or_else(|| self.missing(key, "Add the key"))
    }

    /// A key's value as text; an empty one is a problem, an absent key is none.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, Problem> {
        let value = match self.data.value(key) {
            None => return Ok(None),
            Some(Value::TooLong) => {
                return Err(self.unusable(key, "is longer than 16 KiB: store the plain value alone"));
            }
            Some(Value::Kept(value)) => value,
        };
        match std::str::from_utf8(value) {
            Ok("") => Err(self.unusable(key, "is empty: store a value under it")),
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(self.unusable(key, "is not UTF-8 text: store the plain value")),
        }
    }

    /// Whether a key holds more than any text of use.
    pub(super) fn is_too_long(&self, key: &str) -> bool {
        self.data.value(key) == Some(Value::TooLong)
    }

    /// The key is not there; `advice` says what to do, without its full stop.
    pub(super) fn missing(&self, key: &str, advice: &str) -> Problem {
        let Self { namespace, name, .. } = self;
        Problem::new(
            Reason::SecretKeyMissing,
            format!("Secret {namespace}/{name} has no key {key}. {advice}."),
        )
    }

    /// The key is there and its value is of no use; `advice` goes on with the sentence, without its full stop.
    pub(super) fn unusable(&self, key: &str, advice: &str) -> Problem {
        Problem::new(Reason::SecretKeyEmpty, self.about(key, advice))
    }

    /// The key `endpoint` forbids what the spec wants; `advice` as above.
    pub(super) fn mismatch(&self, advice: &str) -> Problem {
        Problem::new(Reason::EndpointMismatch, self.about("endpoint", advice))
    }

    fn about(&self, key: &str, advice: &str) -> String {
        format!("Key {key} of Secret {}/{} {advice}.", self.namespace, self.name)
    }
}
