//! The client of one account: keeps its session and sends the requests of its cycles.
//!
//! The first page of services judges the token. Further pages, lists of instances and samples share one queue, so samples
//! arrive while later pages are in flight.

use std::sync::Arc;

use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderValue};
use url::Url;

use super::cycle::{Cycle, CycleRequest, CycleResponse};
use super::target::Settings;
use super::{login, points, wire};
use crate::cloud::error::AnswerProblem;
use crate::cloud::filter::Matching;
use crate::cloud::http::{AccountClient, ApiRequest};
use crate::cloud::kit::{Inventory, InventoryBudget, Session, queue};
use crate::cloud::{Cloud, CloudError, Collection, Credentials, ServiceFilter};

/// The most bytes of a page of services.
const MAX_PAGE_BYTES: usize = 16 << 20;
/// The most bytes of a service's list of instances.
const MAX_LIST_BYTES: usize = 4 << 20;
/// The most bytes of an instance's points.
const MAX_POINTS_BYTES: usize = 1 << 20;

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
        Self { settings, credentials, session: Session::new(Arc::clone(client.state())), client }
    }

    async fn run_cycle(&self, filter: &ServiceFilter) -> Result<Collection, CloudError> {
        let Self { settings, credentials, session, client } = self;
        client.policy().check_endpoint(&settings.endpoint)?;
        let first = wire::services_url(&settings.endpoint, &settings.namespace)?;

        let log_in = || login::log_in(client, &settings.endpoint, credentials);
        let first_page = |token| {
            let requests = Requests { client, filter, token };
            let url = first.clone();
            async move { requests.page(url, InventoryBudget::PER_CYCLE).await }
        };
        let (token, page) = session.start(client.meter(), log_in, first_page).await?;

        let max_in_flight = client.limits().max_concurrent;
        let requests = Requests { client, filter, token };
        let mut cycle =
            Cycle::new(settings, &first, page, Inventory::charged(client.charge()), max_in_flight);
        let ended_by =
            queue::run(&mut cycle, max_in_flight, client.workers(), |request| requests.send(request)).await;
        Ok(cycle.finish(ended_by))
    }
}

impl Cloud for Alauda {
    fn collect<'a>(&'a self, filter: &'a ServiceFilter) -> BoxFuture<'a, Result<Collection, CloudError>> {
        Box::pin(self.run_cycle(filter))
    }
}

/// The requests that carry one token.
struct Requests<'a> {
    client: &'a AccountClient,
    filter: &'a ServiceFilter,
    token: HeaderValue,
}

impl Requests<'_> {
    async fn send(&self, request: CycleRequest) -> CycleResponse {
        match request {
            CycleRequest::Page(url, budget) => CycleResponse::Page(url.clone(), self.page(url, budget).await),
            CycleRequest::Instances(service, url, budget) => {
                let read = |body: &[u8]| wire::instances(body, budget);
                CycleResponse::Instances(service, self.get("instances", url, MAX_LIST_BYTES, read).await)
            }
            CycleRequest::Sample(service, instance, url, window) => {
                let read = |body: &[u8]| points::newest(body, window.oldest());
                let reading = self.get("metrics", url, MAX_POINTS_BYTES, read).await;
                CycleResponse::Sample(service, instance, reading)
            }
        }
    }

    async fn page(&self, url: Url, budget: InventoryBudget) -> Result<wire::Page, CloudError> {
        let read = |body: &[u8]| {
            let mut matching = Matching::default();
            wire::services(body, |name| matching.wants(self.filter, name), budget)
        };
        self.get("services", url, MAX_PAGE_BYTES, read).await
    }

    async fn get<T>(
        &self,
        operation: &'static str,
        url: Url,
        max_bytes: usize,
        read: impl Fn(&[u8]) -> Result<T, AnswerProblem>,
    ) -> Result<T, CloudError> {
        let mut request = ApiRequest::new(operation, url, max_bytes);
        request.headers.insert(AUTHORIZATION, self.token.clone());
        self.client.fetch(&request, read).await
    }
}
