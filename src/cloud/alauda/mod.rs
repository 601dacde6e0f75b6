//! Alauda's v1 API.
//!
//! `wire` and `points` say what goes over the wire, `session` holds the token, `collect` drives one cycle.
//! One cycle costs one request a page of services and one an instance that runs, and a login when there is no token.

mod collect;
mod cycle;
mod list;
mod loose;
mod points;
mod room;
mod session;
mod streak;
mod wire;

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use url::Url;

use super::http::{AccountClient, Call};
use super::{Cloud, CloudError, Collection, Credentials, ServiceFilter};
use crate::cloud::error::AnswerProblem;
use session::{Session, Token};

/// Where and as whom an Alauda account is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The API's base address, ending in a slash, such as `https://caas.example.com/v1/`.
    pub endpoint: Url,
    /// User or organization whose services are listed.
    pub namespace: String,
    /// How far back from `now - metrics_lag` to ask for points.
    pub metrics_window: Duration,
    /// How far behind now the newest point is looked for.
    pub metrics_lag: Duration,
}

/// One account at an Alauda cloud. Lives as long as its settings and credentials; changed ones make a new value.
pub struct Alauda {
    settings: Settings,
    filter: ServiceFilter,
    session: Session,
    client: AccountClient,
}

/// A failed request: whether it speaks for itself or for all that would follow.
#[derive(Debug)]
enum Failure {
    /// Other requests may still succeed.
    Request(CloudError),
    /// No other request of this cycle can succeed: no session, a cloud that wants silence, a refused endpoint.
    Account(CloudError),
}

impl From<CloudError> for Failure {
    fn from(error: CloudError) -> Self {
        match error {
            CloudError::LoginRejected | CloudError::RateLimited { .. } | CloudError::EndpointRefused(_) => {
                Self::Account(error)
            }
            error => Self::Request(error),
        }
    }
}

impl Alauda {
    /// An account that asks with this client for the services that the filter wants. Sends nothing yet.
    pub fn new(
        settings: Settings,
        filter: ServiceFilter,
        credentials: Credentials,
        client: AccountClient,
    ) -> Self {
        Self { settings, filter, session: Session::new(credentials), client }
    }

    /// Asks with the session's token; where the cloud does not take it, once more with a new one.
    async fn ask<T>(
        &self,
        operation: &'static str,
        url: Url,
        most_bytes: usize,
        read: impl Fn(&[u8]) -> Result<T, AnswerProblem>,
    ) -> Result<T, Failure> {
        let endpoint = &self.settings.endpoint;
        let mut call = Call { operation, url, authorization: None, form: None::<Bytes>, most_bytes };
        let token = self.session.token(&self.client, endpoint).await.map_err(Failure::Account)?;
        match self.ask_with(&mut call, &token, &read).await {
            Err(CloudError::Status(401)) => {}
            answered => return answered.map_err(Failure::from),
        }
        let fresh = self.session.replace(&token, &self.client, endpoint).await.map_err(Failure::Account)?;
        match self.ask_with(&mut call, &fresh, &read).await {
            Err(CloudError::Status(401)) => {
                Err(Failure::Account(self.session.reject(&fresh, &self.client).await))
            }
            answered => answered.map_err(Failure::from),
        }
    }

    async fn ask_with<T>(
        &self,
        call: &mut Call,
        token: &Token,
        read: &impl Fn(&[u8]) -> Result<T, AnswerProblem>,
    ) -> Result<T, CloudError> {
        call.authorization = Some(token.header.clone());
        let answered = self.client.fetch(call, read).await;
        if answered.is_ok() {
            self.session.accepted(token).await;
        }
        answered
    }
}

impl Cloud for Alauda {
    fn collect(&self) -> BoxFuture<'_, Result<Collection, CloudError>> {
        Box::pin(collect::collect(self))
    }
}
