//! What one cycle knows so far, and what it still has to request. Decides, and sends nothing itself.
//!
//! Each service is asked for its metrics, which come for all its containers in one answer. Its containers, and the details
//! that only a request for the service itself tells, are asked for when it is time or when something shows that they changed.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use url::Url;

use super::kept::{Kept, KeptService};
use super::listing::{ListPage, Listing};
use super::metrics::Metrics;
use super::service::{ContainerList, CycleEnd, PartialService, Question};
use super::target::Settings;
use super::wire::{Details, ListedProject, ListedService, Page, Plans};
use super::{cost, urls};
use crate::cloud::error::AnswerProblem;
use crate::cloud::kit::queue::Plan;
use crate::cloud::kit::{CircuitBreaker, Inventory, InventoryBudget, Spent};
use crate::cloud::model::InstanceFacts;
use crate::cloud::{CloudError, Collection, ServiceFilter};

/// A request, and for which project or service of the cycle it is.
pub(super) enum CycleRequest {
    Projects(Option<String>),
    /// A page of the services of the project of this number.
    Services(usize, Option<String>, Url),
    Plans,
    /// The metrics of a service, read within this budget.
    Metrics(usize, Url, InventoryBudget),
    Containers(usize, Url),
    Details(usize, Url),
}

/// The response to a request, or why there is none.
pub(super) enum CycleResponse {
    Projects(Option<String>, Result<Page<ListedProject>, CloudError>),
    Services(usize, Option<String>, Result<Page<ListedService>, CloudError>),
    Plans(Result<Plans, CloudError>),
    Metrics(usize, Result<Spent<Metrics>, CloudError>),
    Containers(usize, Result<Page<InstanceFacts>, CloudError>),
    Details(usize, Result<Details, CloudError>),
}

/// A request about a service that waits to be sent, with the cursor of its page.
type PendingQuestion = (usize, Question, Option<String>);

/// One cycle as far as it has come.
pub(super) struct Cycle<'a> {
    settings: &'a Settings,
    kept: Arc<Kept>,
    started: Instant,
    listing: Listing<'a>,
    services: Vec<PartialService>,
    plans: Option<(Instant, Arc<Plans>)>,
    asks_for_plans: bool,
    pending: VecDeque<PendingQuestion>,
    /// Whether it is decided whose details are asked for.
    are_details_chosen: bool,
    breaker: CircuitBreaker,
    batch_errors: Vec<CloudError>,
    /// What the token may not ask: one error each, and no more requests that would be denied.
    denied: Vec<Question>,
    /// Metrics in units that are not known.
    pub(super) unknown_units: u64,
}

impl<'a> Cycle<'a> {
    /// A cycle whose first page of projects has arrived, and which keeps up to `max_in_flight` requests in flight.
    pub(super) fn new(
        settings: &'a Settings,
        filter: &'a ServiceFilter,
        kept: Arc<Kept>,
        first_page: Page<ListedProject>,
        inventory: Inventory,
        max_in_flight: usize,
    ) -> Self {
        let mut listing = Listing::new(settings, filter, inventory);
        listing.add_projects(first_page);
        Self {
            settings,
            started: Instant::now(),
            listing,
            services: Vec::new(),
            plans: kept.plans.clone(),
            asks_for_plans: false,
            pending: VecDeque::new(),
            are_details_chosen: false,
            breaker: CircuitBreaker::new(max_in_flight),
            batch_errors: Vec::new(),
            denied: Vec::new(),
            unknown_units: 0,
            kept,
        }
    }

    /// The collection, and what the next cycle should know. Whatever was not requested failed for the reason that ended
    /// the cycle.
    pub(super) fn finish(mut self, ended_by: Option<CloudError>) -> (Collection, Kept) {
        let cut_short =
            self.listing.cut_short.clone().or(ended_by.clone().filter(|_| !self.listing.is_complete()));
        self.batch_errors.extend(self.listing.missing_project());
        self.batch_errors.extend(ended_by.clone());
        let is_denied = |error: &&CloudError| matches!(error, CloudError::ScopeMissing(_));
        let denied = self.batch_errors.iter().find(is_denied).cloned();
        let end = CycleEnd {
            missing: &ended_by.or(denied).unwrap_or(CloudError::Answer(AnswerProblem::Shape)),
            started: self.started,
            cycle: self.kept.cycles,
            now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            inventory_interval: self.settings.inventory_interval,
        };
        // Projects are listed side by side, so services come in another order each time.
        self.services.sort_by(|one, other| one.key.cmp(&other.key));
        let inventory = &mut self.listing.inventory;
        let lists: Vec<_> = self.services.iter().map(|service| service.instances(&end, inventory)).collect();
        // It refers to the facts of all services, which change now.
        drop(self.listing);
        // What a list that ends early does not have may still exist, for a while: a list may end early in each cycle.
        let is_recent = |service: &KeptService| {
            service.was_read_within(self.started, 2 * self.settings.inventory_interval)
        };
        let unlisted =
            self.kept.services.iter().filter(|(_, service)| cut_short.is_some() && is_recent(service));
        let mut kept = Kept {
            cycles: self.kept.cycles.wrapping_add(1),
            plans: self.plans.clone(),
            services: unlisted.map(|(key, service)| (key.clone(), service.clone())).collect(),
        };
        let plans = self.plans.as_ref().map(|(_, plans)| &**plans);
        let mut services = Vec::with_capacity(self.services.len());
        for (service, list) in self.services.into_iter().zip(lists) {
            let (service, of_service, error) = service.finish(list, plans);
            services.push(service);
            kept.services.extend([of_service]);
            self.batch_errors.extend(error);
        }
        (Collection { services, cut_short, batch_errors: self.batch_errors }, kept)
    }

    /// Takes in the services that the lists have brought since, and asks for what is to be asked of each.
    fn add_listed(&mut self) {
        for number in self.services.len()..self.listing.services.len() {
            let listed = &self.listing.services[number];
            let application = listed.facts.application.clone().unwrap_or_default();
            let key = (application, listed.facts.name.clone());
            let kept = self.kept.services.get(&key).cloned().unwrap_or_default();
            let (facts, deployment) = (Arc::clone(&listed.facts), listed.deployment.clone());
            self.services.push(PartialService::new(key, facts, deployment, kept));
            if number == 0 {
                self.asks_for_plans = self.kept.plans_are_due(self.started);
            }
            if !self.services[number].is_paused() {
                self.ask_for_what_runs(number);
            }
        }
    }

    /// Asks for the metrics of a service, and for its containers where it is time.
    fn ask_for_what_runs(&mut self, number: usize) {
        let service = &mut self.services[number];
        service.was_asked_for_metrics = true;
        let are_containers_due = service.kept.containers.is_none()
            || service.kept.deployment != service.deployment
            || self.kept.is_turn_of(&service.key);
        self.enqueue(number, Question::Metrics, None);
        if are_containers_due {
            self.ask_for_containers(number);
        }
    }

    fn ask_for_containers(&mut self, number: usize) {
        if self.services[number].containers.is_none() {
            self.services[number].containers = Some(ContainerList::new());
            self.enqueue(number, Question::Containers, None);
        }
    }

    /// Asks for the details that are due, the most urgent ones first and not too many in one cycle.
    fn choose_details(&mut self) {
        self.are_details_chosen = true;
        let due = |(number, service): (usize, &PartialService)| {
            let every = self.settings.inventory_interval;
            Some((number, service.kept.details_due(&service.deployment, self.started, every)?))
        };
        let mut due: Vec<_> = self.services.iter().enumerate().filter_map(due).collect();
        due.sort_by_key(|(_, urgency)| Reverse(*urgency));
        due.truncate(cost::most_facts(self.services.len()));
        for (number, _) in due {
            self.enqueue(number, Question::Details, None);
        }
    }

    fn enqueue(&mut self, number: usize, question: Question, cursor: Option<String>) {
        self.services[number].pending += 1;
        self.pending.push_back((number, question, cursor));
    }

    /// The next question about a service that has a URL and may be asked.
    fn next_question(&mut self) -> Option<CycleRequest> {
        loop {
            let (number, question, cursor) = self.pending.pop_front()?;
            let (project, service) = &self.services[number].key;
            let url = match question {
                Question::Metrics => urls::metrics(self.settings, project, service),
                Question::Containers => urls::containers(self.settings, project, service, cursor.as_deref()),
                Question::Details => urls::service(self.settings, project, service),
            };
            if let Some(url) = url.filter(|_| !self.denied.contains(&question)) {
                return Some(match question {
                    Question::Metrics => CycleRequest::Metrics(number, url, self.listing.inventory.budget()),
                    Question::Containers => CycleRequest::Containers(number, url),
                    Question::Details => CycleRequest::Details(number, url),
                });
            }
            // What may not be asked, or has no URL, is not read.
            self.services[number].pending -= 1;
            if question == Question::Containers {
                self.services[number].containers = None;
            }
        }
    }

    /// Records the failure of a request about a service. The error, if any, ends the cycle.
    fn failed(&mut self, number: usize, question: Question, error: CloudError) -> Result<(), CloudError> {
        let service = &mut self.services[number];
        service.pending -= 1;
        if matches!(error, CloudError::ScopeMissing(_)) {
            if question == Question::Containers {
                service.containers = None;
            }
            if !self.denied.contains(&question) {
                self.denied.push(question);
                self.batch_errors.push(error);
            }
            return Ok(());
        }
        match question {
            Question::Metrics => service.metrics = Some(Err(error.clone())),
            Question::Containers => {
                service.containers.get_or_insert_with(ContainerList::new).error = Some(error.clone());
            }
            Question::Details => self.batch_errors.push(error.clone()),
        }
        // This one among them, which had one a moment ago.
        let all = self.services.iter().enumerate();
        let pending = || all.filter(|(other, service)| service.pending > 0 || *other == number).count();
        self.breaker.failure(number, error, pending)
    }

    fn succeeded(&mut self, number: usize) {
        self.services[number].pending -= 1;
        self.breaker.success();
    }

    /// Records the failure of a list. The error, if any, ends the cycle.
    fn list_failed(&mut self, page: &ListPage, error: CloudError) -> Result<(), CloudError> {
        if error.concerns_account() {
            return Err(error);
        }
        self.listing.failed(page, error);
        Ok(())
    }
}

impl Plan for Cycle<'_> {
    type Request = CycleRequest;
    type Response = CycleResponse;

    fn next_request(&mut self) -> Option<CycleRequest> {
        while let Some(page) = self.listing.next_page() {
            match page {
                ListPage::Projects(cursor) => return Some(CycleRequest::Projects(cursor)),
                ListPage::Services(project, cursor) => {
                    let id = self.listing.project(project);
                    if let Some(url) = urls::services(self.settings, id, cursor.as_deref()) {
                        return Some(CycleRequest::Services(project, cursor, url));
                    }
                    let page = ListPage::Services(project, cursor);
                    self.listing.failed(&page, AnswerProblem::Shape.into());
                }
            }
        }
        if std::mem::take(&mut self.asks_for_plans) {
            return Some(CycleRequest::Plans);
        }
        if let Some(question) = self.next_question() {
            return Some(question);
        }
        if self.listing.is_complete() && !self.are_details_chosen {
            self.choose_details();
        }
        self.next_question()
    }

    fn steps(&self, response: &CycleResponse) -> usize {
        match response {
            CycleResponse::Services(_, _, Ok(page)) => self.listing.filter.steps(page.entries.len()),
            _ => 0,
        }
    }

    fn record(&mut self, response: CycleResponse) -> Result<(), CloudError> {
        match response {
            CycleResponse::Projects(_, Ok(page)) => self.listing.add_projects(page),
            CycleResponse::Projects(cursor, Err(error)) => {
                return self.list_failed(&ListPage::Projects(cursor), error);
            }
            CycleResponse::Services(project, _, Ok(page)) => {
                self.listing.add_services(project, page);
                self.add_listed();
            }
            CycleResponse::Services(project, cursor, Err(error)) => {
                return self.list_failed(&ListPage::Services(project, cursor), error);
            }
            CycleResponse::Plans(Ok(plans)) => self.plans = Some((self.started, Arc::new(plans))),
            CycleResponse::Plans(Err(error)) if error.concerns_account() => return Err(error),
            CycleResponse::Plans(Err(error)) => self.batch_errors.push(error),
            CycleResponse::Metrics(number, answered) => {
                match answered.and_then(|metrics| Ok(self.listing.inventory.keep(metrics)?)) {
                    Ok(metrics) => {
                        self.succeeded(number);
                        self.unknown_units += metrics.unknown_units;
                        if self.services[number].add_metrics(metrics) {
                            self.ask_for_containers(number);
                        }
                    }
                    Err(error) => return self.failed(number, Question::Metrics, error),
                }
            }
            CycleResponse::Containers(number, Ok(page)) => {
                self.succeeded(number);
                let service = &mut self.services[number];
                let at = (self.kept.cycles, self.started);
                let next = service.add_containers(page, at, &mut self.listing.inventory);
                if next.is_some() {
                    self.enqueue(number, Question::Containers, next);
                }
            }
            CycleResponse::Containers(number, Err(error)) => {
                return self.failed(number, Question::Containers, error);
            }
            CycleResponse::Details(number, Ok(details)) => {
                self.succeeded(number);
                let service = &mut self.services[number];
                service.kept.details = Some((self.started, Arc::new(details)));
                service.kept.deployment = service.deployment.clone();
                // It was resumed: it has been taken for paused so far.
                if !service.is_paused() && !service.was_asked_for_metrics {
                    self.ask_for_what_runs(number);
                }
            }
            CycleResponse::Details(number, Err(error)) => {
                return self.failed(number, Question::Details, error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "cycle_tests.rs"]
mod tests;
