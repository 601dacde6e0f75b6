//! The session of one account: the token, and when to log in for a new one.
//!
//! Logs in once however many requests find the token gone, and does not press a cloud that refuses: after a refusal
//! nothing at all is asked for a minute, then for two, four, eight and at most fifteen. New credentials are a new
//! account client with a new session, so a rotated Secret is used at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::ExposeSecret;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;
use url::form_urlencoded::Serializer;

use super::refusals::Refusals;
use super::wire;
use crate::cloud::http::{AccountClient, ApiRequest, RequestBody};
use crate::cloud::{CloudError, Credentials};

/// The silence after the first refusal; doubled with each further one.
const FIRST_SILENCE: Duration = Duration::from_secs(60);
/// The longest silence.
const LONGEST_SILENCE: Duration = Duration::from_secs(15 * 60);
/// The most bytes of a login's answer: a token and some words around it.
const MOST_LOGIN_BYTES: usize = 64 * 1024;

/// A token, and which login it came from.
#[derive(Clone)]
pub(super) struct Token {
    /// The `Authorization` header, marked sensitive.
    pub(super) header: HeaderValue,
    pub(super) generation: u64,
}

/// Shared by all requests of the account.
pub(super) struct Session {
    credentials: Credentials,
    /// Held during a login, so that there is one at a time.
    state: Mutex<State>,
    /// Whether a refusal is on record, so that success need not take the lock to clear it.
    refused: AtomicBool,
    /// What is known of tokens to which something was refused. Held while that is found out.
    pub(super) refusals: Mutex<Refusals>,
}

#[derive(Default)]
struct State {
    /// Logins that came to an end, well or not.
    logins: u64,
    token: Option<Token>,
    /// Refusals in a row.
    refusals: u32,
    silent_until: Option<Instant>,
}

impl Session {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            state: Mutex::default(),
            refused: AtomicBool::new(false),
            refusals: Mutex::default(),
        }
    }

    /// The token to use, after a login if there is none yet.
    pub(super) async fn token(&self, client: &AccountClient, endpoint: &Url) -> Result<Token, CloudError> {
        self.newer_than(None, client, endpoint).await
    }

    /// The token to use in place of one that the cloud did not take; `None` where no login gives another.
    pub(super) async fn replace(
        &self,
        stale: &Token,
        client: &AccountClient,
        endpoint: &Url,
    ) -> Result<Option<Token>, CloudError> {
        match self.credentials {
            Credentials::Token(_) => Ok(None),
            Credentials::Password { .. } => {
                self.newer_than(Some(stale.generation), client, endpoint).await.map(Some)
            }
        }
    }

    /// Whether this is the token that is in use.
    pub(super) async fn is_current(&self, token: &Token) -> bool {
        let state = self.state.lock().await;
        state.token.as_ref().is_some_and(|current| current.generation == token.generation)
    }

    /// The cloud did not take a token fresh from a login, or one that no login replaces: silence for a while.
    pub(super) async fn reject(&self, token: &Token, client: &AccountClient) -> CloudError {
        let mut state = self.state.lock().await;
        // Of the requests that found out together the first one counts.
        if state.token.as_ref().is_some_and(|current| current.generation == token.generation) {
            self.refuse(&mut state, client);
        }
        CloudError::LoginRejected
    }

    /// The cloud took a token: earlier refusals are forgotten.
    pub(super) async fn accepted(&self, token: &Token) {
        if !self.refused.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state.lock().await;
        // An answer to an older token that comes late proves nothing.
        if token.generation == state.logins {
            self.refused.store(false, Ordering::Relaxed);
            state.refusals = 0;
            state.silent_until = None;
        }
    }

    async fn newer_than(
        &self,
        old: Option<u64>,
        client: &AccountClient,
        endpoint: &Url,
    ) -> Result<Token, CloudError> {
        let mut state = self.state.lock().await;
        if let Some(token) = state.token.as_ref().filter(|token| old.is_none_or(|old| token.generation > old))
        {
            return Ok(token.clone());
        }
        if state.silent_until.is_some_and(|until| until > Instant::now()) {
            return Err(CloudError::LoginRejected);
        }
        let outcome = self.log_in(client, endpoint).await;
        state.logins += 1;
        match outcome {
            Ok(header) => {
                let token = Token { header, generation: state.logins };
                state.token = Some(token.clone());
                Ok(token)
            }
            Err(error) => {
                state.token = None;
                if error == CloudError::LoginRejected {
                    self.refuse(&mut state, client);
                }
                Err(error)
            }
        }
    }

    fn refuse(&self, state: &mut State, client: &AccountClient) {
        client.meter().login_failure();
        state.token = None;
        state.silent_until = Some(Instant::now() + silence(state.refusals));
        state.refusals += 1;
        self.refused.store(true, Ordering::Relaxed);
    }

    async fn log_in(&self, client: &AccountClient, endpoint: &Url) -> Result<HeaderValue, CloudError> {
        let (username, password) = match &self.credentials {
            Credentials::Token(token) => return Ok(wire::authorization(token.expose_secret())?),
            Credentials::Password { username, password } => (username, password),
        };
        let url = wire::login_url(endpoint);
        let form = Serializer::new(String::new())
            .append_pair("username", username)
            .append_pair("password", password.expose_secret())
            .finish();
        let call = ApiRequest::new("login", url, MOST_LOGIN_BYTES).with_body(RequestBody::Form(form.into()));
        match client.fetch(&call, wire::login).await {
            Err(CloudError::Status(400 | 401 | 403)) => Err(CloudError::LoginRejected),
            other => other,
        }
    }
}

/// How long to keep silent after a refusal that had so many before it.
fn silence(refusals: u32) -> Duration {
    FIRST_SILENCE.saturating_mul(1 << refusals.min(8)).min(LONGEST_SILENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_after_refusals_doubles_up_to_a_quarter_of_an_hour() {
        let minutes: Vec<_> = (0..6).map(|refusals| silence(refusals).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 15, 15]);
        assert_eq!(silence(u32::MAX), LONGEST_SILENCE);
    }
}
