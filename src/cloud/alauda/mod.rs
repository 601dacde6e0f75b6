//! Alauda's v1 API.
//!
//! `wire` and `points` know the URLs and the responses, `login` obtains a token, `cycle` decides what one cycle requests
//! and `collect` sends it. A cycle costs one request a page of services and one a running instance, and a login where
//! there is no token.

mod collect;
mod cycle;
mod login;
mod points;
mod wire;

use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::header::HeaderValue;
use url::Url;

use super::http::AccountClient;
use super::kit::Session;
use super::{Cloud, CloudError, Collection, Credentials, ServiceFilter};

/// The words of `current_status` that are known.
pub const STATUS_WORDS: &[&str] = &["Running", "Deploying", "Starting", "Stopped"];

/// Which account at which Alauda cloud is collected.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The API's base URL, ending in a slash, such as `https://caas.example.com/v1/`.
    pub endpoint: Url,
    /// User or organization whose services are listed.
    pub namespace: String,
    /// How far back from `now - metrics_lag` to request points.
    pub metrics_window: Duration,
    /// How far behind now the newest point is expected.
    pub metrics_lag: Duration,
}

/// One account at an Alauda cloud. Other settings or credentials need another value.
pub struct Alauda {
    settings: Settings,
    credentials: Credentials,
    /// Its token is the `Authorization` header of every request.
    session: Session<HeaderValue>,
    client: AccountClient,
}

impl Alauda {
    /// An account that sends its requests through this client. Sends nothing yet.
    pub fn new(settings: Settings, credentials: Credentials, client: AccountClient) -> Self {
        Self { settings, credentials, session: Session::new(), client }
    }
}

impl Cloud for Alauda {
    fn collect<'a>(&'a self, filter: &'a ServiceFilter) -> BoxFuture<'a, Result<Collection, CloudError>> {
        Box::pin(collect::collect(self, filter))
    }
}
