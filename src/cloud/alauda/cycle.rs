//! What one cycle knows so far, and what it still has to request. Decides, and sends nothing itself.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use url::Url;

use super::target::Settings;
use super::wire::{self, ListedService, ServicePath, Window};
use crate::cloud::error::AnswerProblem;
use crate::cloud::kit::paging::next_url;
use crate::cloud::kit::queue::Plan;
use crate::cloud::kit::{CircuitBreaker, Inventory, InventoryBudget, Pages};
use crate::cloud::model::{Instance, InstanceFacts, Reading, Service, ServiceFacts, State};
use crate::cloud::{CloudError, Collection};

/// A request, and for which service and instance of the cycle it is.
pub(super) enum CycleRequest {
    /// A page of services, read within this budget.
    Page(Url, InventoryBudget),
    /// A service's list of instances, read within this budget.
    Instances(usize, Url, InventoryBudget),
    /// An instance's newest sample in this window.
    Sample(usize, usize, Url, Window),
}

/// The response to a request, or why there is none.
pub(super) enum CycleResponse {
    Page(Url, Result<wire::Page, CloudError>),
    Instances(usize, Result<Vec<Arc<InstanceFacts>>, CloudError>),
    Sample(usize, usize, Result<Reading, CloudError>),
}

/// A service as far as it is known. `instances` is `None` until their list has arrived.
struct PartialService {
    facts: Arc<ServiceFacts>,
    path: Option<ServicePath>,
    instances: Option<Result<Vec<PartialInstance>, CloudError>>,
}

/// An instance, whose reading is `None` until its sample has arrived.
type PartialInstance = (Arc<InstanceFacts>, Option<Reading>);

/// A request that waits to be sent.
enum PendingRequest {
    /// The list of a service's instances.
    Instances(usize),
    /// The samples of a service's instances, from this one on.
    Samples(usize, usize),
}

/// One cycle as far as it has come.
pub(super) struct Cycle<'a> {
    settings: &'a Settings,
    pages: Pages<Url>,
    /// The page to request before anything else, so that samples arrive while later pages are in flight.
    next_page: Option<Url>,
    pending: VecDeque<PendingRequest>,
    services: Vec<PartialService>,
    /// The services of which a request was not answered yet: those that can fail.
    pending_services: HashSet<usize>,
    inventory: Inventory,
    breaker: CircuitBreaker,
    /// Whether another page is to come.
    is_paging: bool,
    cut_short: Option<CloudError>,
}

impl<'a> Cycle<'a> {
    /// A cycle whose first page has arrived, and which keeps up to `max_in_flight` requests in flight.
    pub(super) fn new(
        settings: &'a Settings,
        url: &Url,
        first_page: wire::Page,
        inventory: Inventory,
        max_in_flight: usize,
    ) -> Self {
        let mut cycle = Self {
            settings,
            pages: Pages::starting_at(url.clone()),
            next_page: None,
            pending: VecDeque::new(),
            services: Vec::new(),
            pending_services: HashSet::new(),
            inventory,
            breaker: CircuitBreaker::new(max_in_flight),
            is_paging: true,
            cut_short: None,
        };
        cycle.add_page(url, first_page);
        cycle
    }

    /// The collection. Whatever was not requested failed for the reason that ended the cycle.
    pub(super) fn finish(self, ended_by: Option<CloudError>) -> Collection {
        let missing = ended_by.clone().unwrap_or(CloudError::Answer(AnswerProblem::Shape));
        let instance = |(facts, reading): PartialInstance| Instance {
            facts,
            reading: reading.unwrap_or_else(|| Reading::failed(missing.clone())),
        };
        let service = |service: PartialService| Service {
            facts: service.facts,
            reading: Reading::default(),
            instances: service
                .instances
                .unwrap_or_else(|| Err(missing.clone()))
                .map(|instances| instances.into_iter().map(instance).collect()),
        };
        Collection {
            cut_short: self.cut_short.or(ended_by.filter(|_| self.is_paging)),
            services: self.services.into_iter().map(service).collect(),
            batch_errors: Vec::new(),
        }
    }

    /// Adds what a page lists, and decides on the page after it.
    fn add_page(&mut self, url: &Url, page: wire::Page) {
        if page.unreadable > 0 {
            self.cut_short = Some(AnswerProblem::Shape.into());
        }
        let (has_services, known_before) = (!page.services.is_empty(), self.services.len());
        let added = page.services.into_iter().try_for_each(|service| self.add_service(service));
        self.is_paging = false;
        if page.cut || added.is_err() {
            self.cut_short = Some(AnswerProblem::TooLarge.into());
            return;
        }
        let only_known = has_services && self.services.len() == known_before;
        let next = page.next.and_then(|next| next.map(|next| self.next_url(url, &next)).transpose());
        match next.and_then(|next| self.pages.after(next, page.listed, only_known, &mut self.inventory)) {
            Ok(next) => {
                self.is_paging = next.is_some();
                self.next_page = next;
            }
            Err(problem) => self.cut_short = Some(problem.into()),
        }
    }

    /// The URL of the page that `next` names on the page at `url`.
    fn next_url(&self, url: &Url, next: &str) -> Result<Url, AnswerProblem> {
        let next = next_url(&self.settings.endpoint, url, next)?;
        if wire::is_page_one(&next) { Err(AnswerProblem::PageCycle) } else { Ok(next) }
    }

    /// Adds a service, unless an earlier page had it. The error is that it exceeds the budget.
    fn add_service(&mut self, listed: ListedService) -> Result<(), AnswerProblem> {
        let facts = Arc::new(listed.facts);
        if !self.inventory.add_service(&facts)? {
            return Ok(());
        }
        let path = ServicePath::new(&self.settings.endpoint, &self.settings.namespace, &facts);
        let service = self.services.len();
        self.services.push(PartialService { facts, path, instances: None });
        match listed.instances {
            Some(Ok(list)) => self.add_instances(service, list),
            Some(Err(problem)) => self.services[service].instances = Some(Err(problem.into())),
            None if self.is_stopped(service) => self.add_instances(service, Vec::new()),
            None => self.enqueue(service, PendingRequest::Instances(service)),
        }
        Ok(())
    }

    /// Adds a service's instances and enqueues their samples, unless the service is stopped.
    fn add_instances(&mut self, service: usize, list: Vec<Arc<InstanceFacts>>) {
        self.pending_services.remove(&service);
        if let Err(problem) = self.inventory.add_instances(&list) {
            self.services[service].instances = Some(Err(problem.into()));
            return;
        }
        let is_stopped = self.is_stopped(service);
        if !is_stopped && !list.is_empty() {
            self.enqueue(service, PendingRequest::Samples(service, 0));
        }
        let reading = || is_stopped.then(Reading::not_running);
        self.services[service].instances =
            Some(Ok(list.into_iter().map(|facts| (facts, reading())).collect()));
    }

    fn enqueue(&mut self, service: usize, request: PendingRequest) {
        self.pending.push_back(request);
        // A service without a path fails without a request.
        if self.services[service].path.is_some() {
            self.pending_services.insert(service);
        }
    }

    fn set_reading(&mut self, service: usize, instance: usize, reading: Reading) {
        if let Some(Ok(instances)) = &mut self.services[service].instances {
            instances[instance].1 = Some(reading);
        }
    }

    fn instances_of(&self, service: usize) -> usize {
        match &self.services[service].instances {
            Some(Ok(instances)) => instances.len(),
            Some(Err(_)) | None => 0,
        }
    }

    fn is_stopped(&self, service: usize) -> bool {
        self.services[service].facts.state == Some(State::Stopped)
    }

    fn instances_url(&self, service: usize) -> Option<Url> {
        Some(self.services[service].path.as_ref()?.instances_url())
    }

    fn sample_url(&self, service: usize, instance: usize) -> Option<(Url, Window)> {
        let service = &self.services[service];
        let Some(Ok(instances)) = &service.instances else { return None };
        let (facts, _) = instances.get(instance)?;
        let Settings { metrics_lag, metrics_window, .. } = self.settings;
        let window = Window::before(SystemTime::now(), *metrics_lag, *metrics_window);
        Some((service.path.as_ref()?.metrics_url(&facts.id, window)?, window))
    }
}

impl Plan for Cycle<'_> {
    type Request = CycleRequest;
    type Response = CycleResponse;

    fn next_request(&mut self) -> Option<CycleRequest> {
        if let Some(url) = self.next_page.take() {
            return Some(CycleRequest::Page(url, self.inventory.budget()));
        }
        // What has no URL fails without a request.
        let no_url = CloudError::Answer(AnswerProblem::Shape);
        loop {
            match self.pending.pop_front()? {
                PendingRequest::Instances(service) => {
                    if let Some(url) = self.instances_url(service) {
                        return Some(CycleRequest::Instances(service, url, self.inventory.budget()));
                    }
                    self.services[service].instances = Some(Err(no_url.clone()));
                }
                PendingRequest::Samples(service, instance) => {
                    // One sample of each service in turn, so that a few failing services do not look like an outage.
                    if instance + 1 < self.instances_of(service) {
                        self.pending.push_back(PendingRequest::Samples(service, instance + 1));
                    }
                    if let Some((url, window)) = self.sample_url(service, instance) {
                        return Some(CycleRequest::Sample(service, instance, url, window));
                    }
                    self.set_reading(service, instance, Reading::failed(no_url.clone()));
                }
            }
        }
    }

    fn record(&mut self, response: CycleResponse) -> Result<(), CloudError> {
        match response {
            CycleResponse::Page(url, Ok(page)) => self.add_page(&url, page),
            CycleResponse::Page(_, Err(error)) if error.concerns_account() => return Err(error),
            CycleResponse::Page(_, Err(error)) => {
                self.is_paging = false;
                self.cut_short = Some(error);
            }
            CycleResponse::Instances(service, Ok(list)) => {
                self.breaker.success();
                self.add_instances(service, list);
            }
            CycleResponse::Instances(service, Err(error)) => {
                self.services[service].instances = Some(Err(error.clone()));
                let pending = self.pending_services.len();
                self.pending_services.remove(&service);
                return self.breaker.failure(service, error, || pending);
            }
            CycleResponse::Sample(service, instance, result) => {
                let pending = self.pending_services.len();
                if instance + 1 == self.instances_of(service) {
                    self.pending_services.remove(&service);
                }
                match result {
                    Ok(reading) => {
                        self.breaker.success();
                        self.set_reading(service, instance, reading);
                    }
                    Err(error) => {
                        self.set_reading(service, instance, Reading::failed(error.clone()));
                        return self.breaker.failure(service, error, || pending);
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "cycle_tests.rs"]
mod tests;
