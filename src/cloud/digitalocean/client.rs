//! The client of one account: keeps its session and what cycles hand on, and sends the requests of its cycles.
//!
//! The first page of apps judges the token. All other requests share one queue.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::cycle::Cycle;
use super::kept::Kept;
use super::requests::{CycleRequest, CycleResponse, ListedInstances};
use super::target::Settings;
use super::wire::{self, Page};
use super::{points, urls};
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::{AccountClient, ApiRequest};
use crate::cloud::kit::{Inventory, InventoryBudget, KeptState, Session, queue, session};
use crate::cloud::model::InstanceFacts;
use crate::cloud::{Cloud, CloudError, Collection, ServiceFilter};
use crate::limits::workers::with_permit;

/// The most bytes of a page of apps: 200 with their whole specification.
const MAX_PAGE_BYTES: usize = 16 << 20;
/// The most bytes of an app's instances.
const MAX_LIST_BYTES: usize = 4 << 20;
/// The most bytes of a metric of all instances of an app.
const MAX_POINTS_BYTES: usize = 8 << 20;
/// The most bytes of an app's health, and of the sizes.
const MAX_SMALL_BYTES: usize = 1 << 20;

/// The scopes that requests need, as a token's owner finds them in the control panel.
const READ_APPS: &str = "the scope app:read";
const READ_APPS_AND_PROJECTS: &str = "the scopes app:read and project:read";
const READ_METRICS: &str = "the scope monitoring:read";

/// One account at DigitalOcean. Other settings or another token need another value.
pub struct DigitalOcean {
    settings: Settings,
    token: SecretString,
    /// Its token is the `Authorization` header of every request.
    session: Session<HeaderValue>,
    client: AccountClient,
    kept: KeptState<Kept>,
}

impl DigitalOcean {
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
            async move { requests.page(1).await }
        };
        let (started, permit) = with_permit(session.start(client.meter(), log_in, first_page)).await;
        let (authorization, page) = started?;

        let max_in_flight = client.limits().max_concurrent;
        let requests = Requests { client, settings, authorization };
        let before = kept.get();
        let inventory = Inventory::charged(client.charge());
        let steps = filter.steps(page.components());
        let first = || Cycle::new(settings, filter, before, page, inventory, max_in_flight);
        let mut cycle = client.workers().run_steps(steps, permit, first).await;
        let ended_by =
            queue::run(&mut cycle, max_in_flight, client.workers(), |request| requests.send(request)).await;
        let (collection, after) = cycle.finish(ended_by);
        kept.replace(after);
        Ok(collection)
    }
}

impl Cloud for DigitalOcean {
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
            CycleRequest::Page(number) => CycleResponse::Page(number, self.page(number).await),
            CycleRequest::Sizes => {
                let url = urls::sizes(&self.settings.endpoint);
                CycleResponse::Sizes(self.get("sizes", url, MAX_SMALL_BYTES, READ_APPS, wire::sizes).await)
            }
            CycleRequest::Instances(app, url, budget) => {
                let read = |body: &[u8]| instances(body, budget);
                let listed = self.get("instances", url, MAX_LIST_BYTES, READ_APPS, read).await;
                CycleResponse::Instances(app, listed)
            }
            CycleRequest::Health(app, url) => {
                let health = self.get("health", url, MAX_SMALL_BYTES, READ_APPS, wire::health).await;
                CycleResponse::Health(app, health)
            }
            CycleRequest::Metric(app, metric, url, budget) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let oldest = now.saturating_sub(self.settings.metrics_max_age).as_secs_f64().floor();
                let read = |body: &[u8]| budget.reading(|budget| points::newest(body, oldest, budget));
                let points = self.get("metrics", url, MAX_POINTS_BYTES, READ_METRICS, read).await;
                CycleResponse::Metric(app, metric, points)
            }
        }
    }

    async fn page(&self, number: u64) -> Result<Page, CloudError> {
        let with_projects = !self.settings.projects.is_empty();
        let url = urls::apps(&self.settings.endpoint, number, with_projects);
        let scope = if with_projects { READ_APPS_AND_PROJECTS } else { READ_APPS };
        self.get("apps", url, MAX_PAGE_BYTES, scope, wire::apps).await
    }

    async fn get<T>(
        &self,
        operation: &'static str,
        url: Url,
        max_bytes: usize,
        scope: &'static str,
        read: impl Fn(&[u8]) -> Result<T, AnswerProblem>,
    ) -> Result<T, CloudError> {
        let mut request = ApiRequest::new(operation, url, max_bytes);
        request.headers.insert(AUTHORIZATION, self.authorization.clone());
        match self.client.fetch(&request, read).await {
            Err(CloudError::Status(403)) => Err(CloudError::ScopeMissing(scope)),
            answered => answered,
        }
    }
}

/// Reads the instances of an app. `TooLarge` where they exceed the budget.
fn instances(body: &[u8], mut budget: InventoryBudget) -> Result<ListedInstances, AnswerProblem> {
    let mut listed = ListedInstances::new();
    wire::instances(body, |instance| {
        let facts = InstanceFacts { name: instance.alias, id: instance.name, ..InstanceFacts::default() };
        budget.spend_instance(&facts)?;
        listed.entry(instance.component).or_default().push(Arc::new(facts));
        Ok(())
    })?;
    Ok(listed)
}
