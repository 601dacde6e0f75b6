//! The client of one account: keeps its session and what cycles hand on, and sends the requests of its cycles.
//!
//! The first page of projects judges the token. All other requests share one queue.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::cycle::{Cycle, CycleRequest, CycleResponse};
use super::kept::Kept;
use super::target::Settings;
use super::wire::{self, ListedProject, Page};
use super::{metrics, urls};
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::{AccountClient, ApiRequest};
use crate::cloud::kit::{Inventory, KeptState, Session, queue, session};
use crate::cloud::{Cloud, CloudError, Collection, ServiceFilter};

/// The most bytes of a page of projects or services, and of the plans.
const MAX_LIST_BYTES: usize = 2 << 20;
/// The most bytes of a page of containers.
const MAX_CONTAINERS_BYTES: usize = 1 << 20;
/// The most bytes of one service with all its settings, files and variables among them.
const MAX_SERVICE_BYTES: usize = 8 << 20;
/// The most bytes of all metrics of a service.
const MAX_METRICS_BYTES: usize = 8 << 20;

/// The permissions that requests need, as a role of the API has them.
const READ_PROJECTS: Option<&str> = Some("the permission Projects > Manage > Read");
const READ_SERVICES: Option<&str> = Some("the permission Services > General > Read");
const VIEW_INSTANCES: Option<&str> = Some("the permission Services > Deployment > View Instances");
const VIEW_METRICS: Option<&str> = Some("the permission Services > Deployment > View Observability");

/// One account at Northflank. Other settings or another token need another value.
pub struct Northflank {
    settings: Settings,
    token: SecretString,
    /// Its token is the `Authorization` header of every request.
    session: Session<HeaderValue>,
    client: AccountClient,
    kept: KeptState<Kept>,
}

impl Northflank {
    /// An account that sends its requests through this client. Sends nothing yet.
    pub fn new(settings: Settings, token: SecretString, client: AccountClient) -> Self {
        let session = Session::new(Arc::clone(client.state()));
        Self { settings, token, session, client, kept: KeptState::default() }
    }

    async fn run_cycle(&self, filter: &ServiceFilter) -> Result<Collection, CloudError> {
        let Self { settings, token, session, client, kept } = self;
        client.policy().check_endpoint(&settings.endpoint)?;

        // A given token needs no login; one that is refused is not tried again for a while.
        let log_in = async || Ok(session::authorization("Bearer", token.expose_secret())?);
        let first_page = |authorization| {
            let requests = Requests { client, settings, authorization };
            async move { requests.projects(None).await }
        };
        let (authorization, page) = session.start(client.meter(), log_in, first_page).await?;

        let max_in_flight = client.limits().max_concurrent;
        let requests = Requests { client, settings, authorization };
        let before = kept.get();
        let inventory = Inventory::charged(client.charge());
        let mut cycle = Cycle::new(settings, filter, before, page, inventory, max_in_flight);
        let ended_by =
            queue::run(&mut cycle, max_in_flight, client.workers(), |request| requests.send(request)).await;
        client.meter().unknown_units(cycle.unknown_units);
        let (collection, after) = cycle.finish(ended_by);
        kept.replace(after);
        Ok(collection)
    }
}

impl Cloud for Northflank {
    fn collect<'a>(&'a self, filter: &'a ServiceFilter) -> BoxFuture<'a, Result<Collection, CloudError>> {
        Box::pin(self.run_cycle(filter))
    }

    fn kept_bytes(&self) -> usize {
        self.kept.bytes()
    }

    fn forget(&self) {
        self.kept.forget();
    }
}

/// The requests that carry one token.
struct Requests<'a> {
    client: &'a AccountClient,
    settings: &'a Settings,
    authorization: HeaderValue,
}

impl Requests<'_> {
    async fn send(&self, request: CycleRequest) -> CycleResponse {
        match request {
            CycleRequest::Projects(cursor) => {
                let page = self.projects(cursor.as_deref()).await;
                CycleResponse::Projects(cursor, page)
            }
            CycleRequest::Services(project, cursor, url) => {
                let page = self.get("services", url, MAX_LIST_BYTES, READ_SERVICES, wire::services).await;
                CycleResponse::Services(project, cursor, page)
            }
            CycleRequest::Plans => {
                let url = urls::plans(self.settings);
                CycleResponse::Plans(self.get("plans", url, MAX_LIST_BYTES, None, wire::plans).await)
            }
            CycleRequest::Metrics(service, url, budget) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let oldest = now.saturating_sub(self.settings.metrics_max_age).as_secs_f64();
                let read = |body: &[u8]| budget.reading(|budget| metrics::read(body, oldest, budget));
                let metrics = self.get("metrics", url, MAX_METRICS_BYTES, VIEW_METRICS, read).await;
                CycleResponse::Metrics(service, metrics)
            }
            CycleRequest::Containers(service, url) => {
                let read = wire::containers;
                let page = self.get("containers", url, MAX_CONTAINERS_BYTES, VIEW_INSTANCES, read).await;
                CycleResponse::Containers(service, page)
            }
            CycleRequest::Details(service, url) => {
                let details = self.get("service", url, MAX_SERVICE_BYTES, READ_SERVICES, wire::details).await;
                CycleResponse::Details(service, details)
            }
        }
    }

    async fn projects(&self, cursor: Option<&str>) -> Result<Page<ListedProject>, CloudError> {
        let url = urls::projects(self.settings, cursor);
        self.get("projects", url, MAX_LIST_BYTES, READ_PROJECTS, wire::projects).await
    }

    async fn get<T>(
        &self,
        operation: &'static str,
        url: Url,
        max_bytes: usize,
        permission: Option<&'static str>,
        read: impl Fn(&[u8]) -> Result<T, AnswerProblem>,
    ) -> Result<T, CloudError> {
        let mut request = ApiRequest::new(operation, url, max_bytes);
        request.headers.insert(AUTHORIZATION, self.authorization.clone());
        match (self.client.fetch(&request, read).await, permission) {
            (Err(CloudError::Status(403)), Some(permission)) => Err(CloudError::ScopeMissing(permission)),
            (answered, _) => answered,
        }
    }
}
