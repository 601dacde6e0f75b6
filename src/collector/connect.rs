//! Makes the client of an account's cloud.

use std::sync::{Arc, Mutex, PoisonError};

use super::demanded::Demanded;
use crate::account::{Account, Connection};
use crate::cloud::error::{TlsProblem, Unreachable};
use crate::cloud::http::{ClientState, Demands, Http, RateShare};
use crate::cloud::{Cloud, CloudError};
use crate::hash::keyed_hash;
use crate::telemetry::Metrics;

/// Makes the client of an account's cloud. A trait, since tests of a task under virtual time need a client without HTTP.
pub trait Connect: Send + Sync {
    /// The client of this account's cloud; nothing is sent yet. It goes on with what the account's clients before it knew.
    fn connect(&self, account: &Account, history: &ClientHistory) -> Result<Arc<dyn Cloud>, CloudError>;

    /// The account's share of what its token or user may send, where the cloud limits that.
    fn rate(&self, account: &Account) -> Option<RateShare> {
        let _ = account;
        None
    }
}

/// What the newest client of an account leaves to the next one of the same object and connection: silence and rate that the
/// cloud asked for, and whether it refused the credentials. It lasts while the account is not collected and holds no
/// credentials: it recognizes a connection by a hash with a random key.
#[derive(Default)]
pub struct ClientHistory {
    newest: Mutex<Option<(u64, Arc<ClientState>)>>,
}

impl ClientHistory {
    /// What the cloud asks of the newest client.
    pub(super) fn demands(&self) -> Demands {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.as_ref().map(|(_, state)| state.demands()).unwrap_or_default()
    }

    /// The same, of an account as it is now.
    pub(super) fn demanded(&self, account: &Account) -> Demanded {
        Demanded { demands: self.demands(), origin: account.origin.clone() }
    }

    /// The clients of this account go on from what the cloud asked of those of another replica.
    pub(super) fn go_on_from(&self, account: &Account, demands: Demands) {
        self.state(account).go_on_from(demands);
    }

    /// The state for this account: that of the newest client, if object and connection are the same.
    fn state(&self, account: &Account) -> Arc<ClientState> {
        let hash = keyed_hash((&account.uid, &account.connection));
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*newest {
            Some((before, state)) if *before == hash => Arc::clone(state),
            _ => {
                let state = Arc::new(ClientState::new(account.connection.limits));
                *newest = Some((hash, Arc::clone(&state)));
                state
            }
        }
    }
}

/// The real clouds over HTTP.
pub struct HttpClouds {
    http: Http,
    metrics: Arc<Metrics>,
}

impl HttpClouds {
    /// Clouds that share one HTTP stack and count into `metrics`.
    pub fn new(http: Http, metrics: Arc<Metrics>) -> Self {
        Self { http, metrics }
    }
}

impl Connect for HttpClouds {
    fn connect(&self, account: &Account, history: &ClientHistory) -> Result<Arc<dyn Cloud>, CloudError> {
        let Connection { provider, ca_bundle, limits } = &account.connection;
        let meter = self.metrics.account(&account.id.namespace, &account.id.name);
        let client = self.http.account(&account.id.namespace, *limits, ca_bundle.as_ref(), meter);
        let client = client.map_err(|problem| {
            tracing::error!(account = %account.id, %problem, "cannot create an HTTP client for the account");
            CloudError::from(Unreachable::from(TlsProblem::Handshake))
        })?;
        let memory = self.http.process().memory.holder(&account.id.namespace, &account.id.name);
        let client = client.with_state(history.state(account)).charging(memory).naming(provider.endpoint());
        Ok(provider.connect(match provider.published_limits() {
            Some(published) => self.http.limited(client, &published),
            None => client,
        }))
    }

    fn rate(&self, account: &Account) -> Option<RateShare> {
        account.connection.provider.published_limits().map(|published| self.http.rate(&published))
    }
}
