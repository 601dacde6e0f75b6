//! Sends the requests of one cycle: the first page of services, which judges the token, then everything else.
//!
//! Further pages, lists of instances and samples share one queue, so samples arrive while later pages are in flight.

use reqwest::header::{AUTHORIZATION, HeaderValue};
use url::Url;

use super::cycle::{Cycle, CycleRequest, CycleResponse};
use super::{Alauda, login, points, wire};
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::ApiRequest;
use crate::cloud::kit::{InventoryBudget, queue};
use crate::cloud::{CloudError, Collection, ServiceFilter};

/// The most bytes of a page of services.
const MAX_PAGE_BYTES: usize = 16 << 20;
/// The most bytes of a service's list of instances.
const MAX_LIST_BYTES: usize = 4 << 20;
/// The most bytes of an instance's points.
const MAX_POINTS_BYTES: usize = 1 << 20;

/// Runs one cycle. Dropping the future drops the requests in flight.
pub(super) async fn collect(cloud: &Alauda, filter: &ServiceFilter) -> Result<Collection, CloudError> {
    let Alauda { settings, credentials, session, client, .. } = cloud;
    client.policy().check_endpoint(&settings.endpoint)?;
    let first = wire::services_url(&settings.endpoint, &settings.namespace)?;

    let log_in = || login::log_in(client, &settings.endpoint, credentials);
    let first_page = |token| {
        let requests = Requests { cloud, filter, token };
        let url = first.clone();
        async move { requests.page(url, InventoryBudget::PER_CYCLE).await }
    };
    let (token, page) = session.start(client.meter(), log_in, first_page).await?;

    let max_in_flight = client.limits().max_concurrent;
    let requests = Requests { cloud, filter, token };
    let mut cycle = Cycle::new(settings, &first, page, max_in_flight);
    let ended_by = queue::run(&mut cycle, max_in_flight, |request| requests.send(request)).await;
    Ok(cycle.finish(ended_by))
}

/// The requests that carry one token.
struct Requests<'a> {
    cloud: &'a Alauda,
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
            CycleRequest::Sample(service, instance, url) => {
                let reading = self.get("metrics", url, MAX_POINTS_BYTES, points::newest).await;
                CycleResponse::Sample(service, instance, reading)
            }
        }
    }

    async fn page(&self, url: Url, budget: InventoryBudget) -> Result<wire::Page, CloudError> {
        let read = |body: &[u8]| wire::services(body, |name| self.filter.wants(name), budget);
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
        self.cloud.client.fetch(&request, read).await
    }
}
