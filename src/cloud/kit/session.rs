//! One account's session at its cloud: the token in use, and silence after a refusal.
//!
//! The first request of a cycle judges the token. There is one login a cycle at most, however many requests a cycle has,
//! and a cloud that refuses the credentials gets no request at all for a while, so that it does not lock the account.

use std::sync::Arc;

use http::header::HeaderValue;
use tokio::sync::Mutex;

use crate::cloud::CloudError;
use crate::cloud::credentials::LONGEST_TOKEN;
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::ClientState;
use crate::telemetry::AccountMeter;

/// The session of one account. Other credentials need another session.
pub struct Session<T> {
    /// Locked from the login to the response that judges its token: cycles that start together share one login. A
    /// cancelled cycle unlocks it and leaves the token as it was.
    state: Mutex<State<T>>,
    /// Whether a token that was accepted before is still good, as far as the client knows.
    is_current: fn(&T) -> bool,
}

struct State<T> {
    /// The newest token that a login gave, unless the cloud has refused it.
    token: Option<T>,
    /// Holds the refusals since the cloud last accepted a token.
    client: Arc<ClientState>,
}

impl<T: Clone> Session<T> {
    /// A session without a token, for tokens whose end is not known. It goes on with the silence that earlier refusals of
    /// the same credentials began.
    pub fn new(client: Arc<ClientState>) -> Self {
        Self::renewing(client, |_| true)
    }

    /// The same for tokens with an end: one that is not current is replaced before it is used.
    pub fn renewing(client: Arc<ClientState>, is_current: fn(&T) -> bool) -> Self {
        Self { state: Mutex::new(State { token: None, client }), is_current }
    }

    /// The token for a request in mid-cycle: the one in use, replaced where it is no longer current. Requests that find
    /// that together share one login.
    pub async fn token<L>(&self, meter: &AccountMeter, log_in: impl Fn() -> L) -> Result<T, CloudError>
    where
        L: Future<Output = Result<T, CloudError>>,
    {
        let mut state = self.state.lock().await;
        if state.client.logins.is_silent() {
            return Err(CloudError::LoginRejected);
        }
        if let Some(token) = state.token.clone().filter(self.is_current) {
            return Ok(token);
        }
        match log_in().await {
            Err(CloudError::LoginRejected) => Err(state.refused(meter)),
            Err(error) => Err(error),
            Ok(token) => {
                state.token = Some(token.clone());
                Ok(token)
            }
        }
    }

    /// Starts a cycle: sends its first request with the token in use, and returns that token with the response.
    ///
    /// Logs in where there is no current token, or where the first request is answered with 401, which ends the old token. A given
    /// token that needs no login is what `log_in` returns. `LoginRejected` where the login or its token is refused, and
    /// while silent after that.
    pub async fn start<R, L, F>(
        &self,
        meter: &AccountMeter,
        log_in: impl Fn() -> L,
        first_request: impl Fn(T) -> F,
    ) -> Result<(T, R), CloudError>
    where
        L: Future<Output = Result<T, CloudError>>,
        F: Future<Output = Result<R, CloudError>>,
    {
        let mut state = self.state.lock().await;
        if state.client.logins.is_silent() {
            return Err(CloudError::LoginRejected);
        }
        if let Some(token) = state.token.clone().filter(self.is_current) {
            match first_request(token.clone()).await {
                Err(CloudError::Status(401)) => state.token = None,
                answered => return state.judged(token, answered),
            }
        }
        let token = match log_in().await {
            Err(CloudError::LoginRejected) => return Err(state.refused(meter)),
            answered => answered?,
        };
        state.token = Some(token.clone());
        // A cloud that lost its sessions may give the same token again, now valid: only a request can tell.
        match first_request(token.clone()).await {
            Err(CloudError::Status(401)) => Err(state.refused(meter)),
            answered => state.judged(token, answered),
        }
    }
}

impl<T> State<T> {
    /// The first request was answered otherwise than with 401. Success proves the token.
    fn judged<R>(&mut self, token: T, answered: Result<R, CloudError>) -> Result<(T, R), CloudError> {
        let response = answered?;
        self.client.logins.accepted();
        Ok((token, response))
    }

    fn refused(&mut self, meter: &AccountMeter) -> CloudError {
        meter.login_failure();
        self.token = None;
        self.client.logins.refused();
        CloudError::LoginRejected
    }
}

/// The `Authorization` header of a token, marked sensitive. `Shape` for a token that no header can carry.
pub fn authorization(scheme: &str, token: &str) -> Result<HeaderValue, AnswerProblem> {
    token_header(Some(scheme), token, LONGEST_TOKEN)
}

/// The value of a header that carries a token of at most so many bytes, behind a scheme where there is one, marked
/// sensitive. `Shape` for a token that is empty or longer, or that no header can carry.
pub fn token_header(scheme: Option<&str>, token: &str, longest: usize) -> Result<HeaderValue, AnswerProblem> {
    if token.is_empty() || token.len() > longest {
        return Err(AnswerProblem::Shape);
    }
    let value = match scheme {
        Some(scheme) => HeaderValue::from_str(&format!("{scheme} {token}")),
        None => HeaderValue::from_str(token),
    };
    let mut header = value.map_err(|_| AnswerProblem::Shape)?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
