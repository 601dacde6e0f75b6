//! Alauda's v1 API.
//!
//! `wire` and `points` say what goes over the wire, `session` holds the token, `collect` drives one cycle.
//! One cycle costs one request a page of services and one an instance that runs, and a login when there is no token.

mod collect;
mod cycle;
mod list;
mod loose;
mod points;
mod refusals;
mod room;
mod session;
mod streak;
mod wire;

use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::header::AUTHORIZATION;
use tokio::time::Instant;
use url::Url;

use super::http::{AccountClient, ApiRequest};
use super::{Cloud, CloudError, Collection, Credentials, ServiceFilter};
use crate::cloud::error::AnswerProblem;
use refusals::Verdict;
use session::{Session, Token};

/// The words of `current_status` that are known.
pub const STATUS_WORDS: &[&str] = &["Running", "Deploying", "Starting", "Stopped"];

/// The operation of asking for a page of services.
const PAGES: &str = "services";

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
    /// An account that is queried with this client. Sends nothing yet.
    pub fn new(settings: Settings, credentials: Credentials, client: AccountClient) -> Self {
        Self { settings, session: Session::new(credentials), client }
    }

    /// Asks with the session's token; where the cloud does not take it, once more with a new one. What is refused to
    /// that one as well concerns the account if it is a page, and else where a page is refused too. There is no login for
    /// what was refused before, nor while a page says that the token is good.
    async fn ask<T>(
        &self,
        operation: &'static str,
        url: Url,
        most_bytes: usize,
        read: impl Fn(&[u8]) -> Result<T, AnswerProblem>,
    ) -> Result<T, Failure> {
        let endpoint = &self.settings.endpoint;
        let mut call = ApiRequest::new(operation, url, most_bytes);
        let mut token = self.session.token(&self.client, endpoint).await.map_err(Failure::Account)?;
        match self.ask_with(&mut call, &token, &read).await {
            Err(CloudError::Status(401)) => {}
            answered => return answered.map_err(Failure::from),
        }
        let is_page = operation == PAGES;
        if !is_page
            && self.was_doubted(&token, &call.url).await
            && let Some(own) = self.own_refusal(&token, &call.url).await
        {
            return Err(own);
        }
        let fresh = self.session.replace(&token, &self.client, endpoint).await.map_err(Failure::Account)?;
        if let Some(fresh) = fresh {
            match self.ask_with(&mut call, &fresh, &read).await {
                Err(CloudError::Status(401)) => token = fresh,
                answered => return answered.map_err(Failure::from),
            }
        }
        if !is_page && let Some(own) = self.own_refusal(&token, &call.url).await {
            return Err(own);
        }
        Err(Failure::Account(self.session.reject(&token, &self.client).await))
    }

    /// Whether this was refused before to a token that was good, or anything to this token.
    async fn was_doubted(&self, token: &Token, url: &Url) -> bool {
        let refusals = self.session.refusals.lock().await;
        refusals.knows(url) || refusals.verdict(token.generation).is_some()
    }

    /// Finds out whether the cloud refuses this token as a whole, or what was asked with it only, which is the failure
    /// then: a page of services tells. Otherwise one instance that always answers 401 would silence its account.
    ///
    /// A page speaks for all that was refused before it was asked for. What is refused later needs another one, since the
    /// token may have gone meanwhile, except where the same was refused before.
    async fn own_refusal(&self, token: &Token, url: &Url) -> Option<Failure> {
        let own = Some(Failure::Request(CloudError::Status(401)));
        let refused = Instant::now();
        let mut refusals = self.session.refusals.lock().await;
        match refusals.verdict(token.generation) {
            _ if refusals.knows(url) => return own,
            Some(Verdict::GoodAt(asked)) if asked >= refused => {
                refusals.note(url);
                return own;
            }
            Some(Verdict::Gone) => return None,
            Some(Verdict::GoodAt(_)) | None => {}
        }
        let asked = Instant::now();
        let Settings { endpoint, namespace, .. } = &self.settings;
        let answered = match wire::services_url(endpoint, namespace) {
            Ok(url) if self.session.is_current(token).await => {
                let most_bytes = collect::MOST_PAGE_BYTES;
                let mut call = ApiRequest::new(PAGES, url, most_bytes);
                self.ask_with(&mut call, token, &|_: &[u8]| Ok(())).await
            }
            _ => Err(CloudError::Status(401)),
        };
        match answered {
            Ok(()) => {
                refusals.judge(token.generation, Verdict::GoodAt(asked));
                refusals.note(url);
            }
            Err(CloudError::Status(401)) => {
                refusals.judge(token.generation, Verdict::Gone);
                return None;
            }
            // It says nothing of the token; the next cycle's first page will.
            Err(_) => {}
        }
        own
    }

    async fn ask_with<T>(
        &self,
        call: &mut ApiRequest,
        token: &Token,
        read: &impl Fn(&[u8]) -> Result<T, AnswerProblem>,
    ) -> Result<T, CloudError> {
        call.headers.insert(AUTHORIZATION, token.header.clone());
        let answered = self.client.fetch(call, read).await;
        if answered.is_ok() {
            self.session.accepted(token).await;
        }
        answered
    }
}

impl Cloud for Alauda {
    fn collect<'a>(&'a self, filter: &'a ServiceFilter) -> BoxFuture<'a, Result<Collection, CloudError>> {
        Box::pin(collect::collect(self, filter))
    }
}
