//! What one cycle knows so far, and what it still has to request. Decides, and sends nothing itself.
//!
//! Each environment is asked for its services, and where an instance exists for what was measured of all of them, in one
//! answer.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::answer::Answer;
use super::cost::SERVICES_PER_HTTP_REQUEST;
use super::environment::{Kept, PartialEnvironment, PartialService, Traffic};
use super::facts::{self, ListedService};
use super::page::Page;
use super::requests::{CycleRequest, CycleResponse, ServicesRequest};
use super::target::{Settings, TokenKind};
use super::usage::RESOLUTION;
use super::wire::{Environment, Project};
use crate::cloud::error::AnswerProblem;
use crate::cloud::kit::queue::Plan;
use crate::cloud::kit::{CircuitBreaker, Inventory, Moment, Pages, Spent};
use crate::cloud::{CloudError, Collection};

/// A request that waits to be sent.
enum PendingRequest {
    Environments(usize, String),
    Services(usize, Option<String>),
    Usage(usize),
    Http(usize, Vec<usize>),
}

/// A project whose environments are listed.
struct PartialProject {
    id: String,
    name: String,
    pages: Pages<String>,
}

/// One cycle as far as it has come.
pub(super) struct Cycle<'a> {
    settings: &'a Settings,
    token: TokenKind,
    before: Arc<Kept>,
    started: Moment,
    pages: Pages<String>,
    /// The page of projects to request before anything else, so that environments are read while later ones are in flight.
    next_page: Option<String>,
    pending: VecDeque<PendingRequest>,
    projects: Vec<PartialProject>,
    environments: Vec<PartialEnvironment>,
    /// The ids of all projects and environments that were listed, collected or not.
    listed: HashSet<String>,
    /// Which of the projects and environments that the settings name were found, by their places there.
    found: [HashSet<usize>; 2],
    inventory: Inventory,
    breaker: CircuitBreaker,
    /// Requests for lists without a response.
    listing: usize,
    /// Whether a page of services has arrived.
    has_services: bool,
    cut_short: Option<CloudError>,
    /// Environments that were not found: they may have been deleted after they were listed.
    not_found: Vec<CloudError>,
    batch_errors: Vec<CloudError>,
}

impl<'a> Cycle<'a> {
    /// A cycle whose first page of projects has arrived, and which keeps up to `max_in_flight` requests in flight.
    pub(super) fn new(
        settings: &'a Settings,
        token: TokenKind,
        before: Arc<Kept>,
        first_page: Answer<Page<Project>>,
        inventory: Inventory,
        max_in_flight: usize,
    ) -> Self {
        let mut cycle = Self {
            settings,
            token,
            before,
            started: Moment::now(),
            pages: Pages::starting_at(String::new()),
            next_page: None,
            pending: VecDeque::new(),
            projects: Vec::new(),
            environments: Vec::new(),
            listed: HashSet::new(),
            found: Default::default(),
            inventory,
            breaker: CircuitBreaker::new(max_in_flight),
            listing: 0,
            has_services: false,
            cut_short: None,
            not_found: Vec::new(),
            batch_errors: Vec::new(),
        };
        let page = cycle.data_of(first_page);
        cycle.add_projects(page);
        cycle
    }

    /// The collection, and the instances that the next cycle should know. Whatever was not requested failed for the reason
    /// that ended the cycle.
    ///
    /// `NotVisible` where the settings name projects or environments and none of them exists.
    pub(super) fn finish(mut self, ended_by: Option<CloudError>) -> Result<(Collection, Kept), CloudError> {
        // It refers to the facts of all instances, which change now.
        drop(std::mem::take(&mut self.inventory));
        let unfinished = ended_by.clone().filter(|_| self.listing > 0);
        // One that others were read beside has been deleted meanwhile.
        let not_found = self.not_found.first().filter(|_| !self.has_services).cloned();
        let cut_short = self.cut_short.or(unfinished).or(not_found);
        if cut_short.is_none() {
            for (what, wanted, found) in [
                ("project", &self.settings.projects, &self.found[0]),
                ("environment", &self.settings.environments, &self.found[1]),
            ] {
                match found.len() {
                    0 if !wanted.is_empty() => return Err(CloudError::NotVisible(what)),
                    found if found < wanted.len() => self.batch_errors.push(CloudError::NotVisible(what)),
                    _ => {}
                }
            }
        }
        self.batch_errors.extend(ended_by);
        let arrivals =
            |environment: &PartialEnvironment| (environment.id.clone(), environment.arrivals(self.started));
        let environments = self.environments.iter().map(arrivals).collect();
        let services: Vec<_> = self
            .environments
            .into_iter()
            .flat_map(|environment| environment.into_services(&self.before))
            .collect();
        let instances = services.iter().filter_map(|service| service.instances.as_ref().ok()).flatten();
        let instances = instances.map(|one| (one.facts.id.clone(), Arc::clone(&one.facts))).collect();
        let kept = Kept { instances, environments };
        Ok((Collection { services, cut_short, batch_errors: self.batch_errors }, kept))
    }

    /// The data of an answer. An error beside it is reported once.
    fn data_of<T>(&mut self, answer: Answer<T>) -> T {
        self.batch_errors.extend(answer.error);
        answer.data
    }

    /// Adds the projects of a page, and decides on the page after it.
    fn add_projects(&mut self, mut page: Page<Project>) {
        let (listed, before) = (page.entries.len(), self.listed.len());
        let mut entries = std::mem::take(&mut page.entries).into_iter();
        page.cut |= entries.try_for_each(|project| self.add_project(project)).is_err();
        let only_known = listed > 0 && self.listed.len() == before;
        match page.next(only_known, &mut self.pages, &mut self.inventory) {
            Ok(None) => {}
            Ok(Some(next)) => {
                self.listing += 1;
                self.next_page = Some(next);
            }
            Err(problem) => self.cut_short = Some(problem.into()),
        }
        self.note(&page);
    }

    /// Adds a project that is new and collected. The error is that it exceeds the budget.
    fn add_project(&mut self, project: Project) -> Result<(), AnswerProblem> {
        let Project { id, name, environments } = project;
        if !self.inventory.is_new::<(), _>(&mut self.listed, id.clone(), id.len())? {
            return Ok(());
        }
        if !self.settings.projects.is_empty() {
            let Some(place) = self.settings.project(&name, &id) else { return Ok(()) };
            self.found[0].insert(place);
        }
        self.inventory.remember::<PartialProject>(id.len() + name.len())?;
        self.projects.push(PartialProject { id, name, pages: Pages::starting_at(String::new()) });
        self.add_environments(self.projects.len() - 1, environments);
        Ok(())
    }

    /// Adds a page of a project's environments, and decides on the page after it.
    fn add_environments(&mut self, project: usize, mut page: Page<Environment>) {
        let (listed, before) = (page.entries.len(), self.listed.len());
        let mut entries = std::mem::take(&mut page.entries).into_iter();
        page.cut |= entries.try_for_each(|environment| self.add_environment(project, environment)).is_err();
        let only_known = listed > 0 && self.listed.len() == before;
        match page.next(only_known, &mut self.projects[project].pages, &mut self.inventory) {
            Ok(None) => {}
            Ok(Some(next)) => {
                self.listing += 1;
                self.pending.push_back(PendingRequest::Environments(project, next));
            }
            Err(problem) => self.cut_short = Some(problem.into()),
        }
        self.note(&page);
    }

    /// Adds an environment that is new and collected. The error is that it exceeds the budget.
    fn add_environment(&mut self, project: usize, environment: Environment) -> Result<(), AnswerProblem> {
        let Environment { id, name } = environment;
        if !self.inventory.is_new::<(), _>(&mut self.listed, id.clone(), id.len())? {
            return Ok(());
        }
        if !self.settings.environments.is_empty() {
            let Some(place) = self.settings.environment(&name, &id) else { return Ok(()) };
            self.found[1].insert(place);
        }
        let PartialProject { id: project, name: of, .. } = &self.projects[project];
        let application = facts::application(of, &name);
        // Its request waits with those of all others.
        let texts = id.len() + project.len() + application.len();
        self.inventory.remember::<(PartialEnvironment, PendingRequest)>(texts)?;
        let arrivals = self.before.environments.get(&id).copied().unwrap_or_default();
        self.environments.push(PartialEnvironment::new(id, project.clone(), application, arrivals));
        self.enqueue_services(self.environments.len() - 1, None);
        Ok(())
    }

    /// Adds a page of an environment's services, asks for what was measured of them, and decides on the page after it.
    fn add_services(&mut self, place: usize, mut page: Page<ListedService>) {
        self.has_services = true;
        let environment = &mut self.environments[place];
        let (listed, before) = (page.entries.len(), environment.services.len());
        for listed in std::mem::take(&mut page.entries) {
            let added = match self.inventory.add_service(&listed.facts) {
                Ok(true) => self.inventory.add_instances(&listed.instances),
                Ok(false) => continue,
                Err(problem) => Err(problem),
            };
            if added.is_err() {
                page.cut = true;
                break;
            }
            environment.services.push(PartialService { listed, traffic: Traffic::NotAsked });
        }
        let only_known = listed > 0 && environment.services.len() == before;
        let next = page.next(only_known, &mut environment.pages, &mut self.inventory);
        let new = &environment.services[before..];
        let is_due = environment.arrivals.usage.is_due(self.started, RESOLUTION.into());
        let has_instances = new.iter().any(|service| !service.listed.instances.is_empty());
        if !environment.asked_usage && is_due && has_instances {
            environment.asked_usage = true;
            environment.pending += 1;
            self.pending.push_back(PendingRequest::Usage(place));
        }
        if self.settings.http {
            self.enqueue_http(place, before);
        }
        match next {
            Ok(None) => {}
            Ok(Some(next)) => self.enqueue_services(place, Some(next)),
            Err(problem) => self.cut_short = Some(problem.into()),
        }
        self.note(&page);
    }

    /// Asks for the HTTP traffic of an environment's services from this one on.
    fn enqueue_http(&mut self, place: usize, first: usize) {
        let environment = &mut self.environments[place];
        let is_due = environment.arrivals.traffic.is_due(self.started, RESOLUTION.into());
        let new = environment.services.iter_mut().enumerate().skip(first);
        let serving: Vec<usize> = new
            .filter(|(_, service)| service.listed.serves_http)
            .map(|(number, service)| {
                service.traffic = if is_due { Traffic::Unread } else { Traffic::Current };
                number
            })
            .collect();
        if !is_due {
            return;
        }
        for services in serving.chunks(SERVICES_PER_HTTP_REQUEST) {
            environment.pending += 1;
            self.pending.push_back(PendingRequest::Http(place, services.to_vec()));
        }
    }

    fn enqueue_services(&mut self, place: usize, after: Option<String>) {
        self.listing += 1;
        self.environments[place].pending += 1;
        self.pending.push_back(PendingRequest::Services(place, after));
    }

    /// Notes what a page lacks.
    fn note<T>(&mut self, page: &Page<T>) {
        if page.cut {
            self.cut_short = Some(AnswerProblem::TooLarge.into());
        } else if page.unreadable > 0 {
            self.cut_short.get_or_insert(AnswerProblem::Shape.into());
        }
    }

    /// What was measured in an environment; `None` where that could not be read, or exceeds the budget. The error ends the
    /// cycle.
    fn measured<T>(
        &mut self,
        place: usize,
        answered: Result<Answer<Spent<T>>, CloudError>,
    ) -> Result<Option<T>, CloudError> {
        let kept = answered.and_then(|answer| {
            let read = self.data_of(answer);
            Ok(self.inventory.keep(read)?)
        });
        match kept {
            Ok(measured) => {
                self.succeeded(place);
                Ok(Some(measured))
            }
            Err(error) => {
                self.failed(place, error.clone())?;
                self.batch_errors.push(error);
                Ok(None)
            }
        }
    }

    /// Records that a request for an environment failed; the error, if any, ends the cycle.
    fn failed(&mut self, place: usize, error: CloudError) -> Result<(), CloudError> {
        let pending = || self.environments.iter().filter(|environment| environment.pending > 0).count();
        let failed = self.breaker.failure(place, error, pending);
        self.environments[place].pending -= 1;
        failed
    }

    fn succeeded(&mut self, place: usize) {
        self.environments[place].pending -= 1;
        self.breaker.success();
    }
}

impl Plan for Cycle<'_> {
    type Request = CycleRequest;
    type Response = CycleResponse;

    fn next_request(&mut self) -> Option<CycleRequest> {
        if let Some(after) = self.next_page.take() {
            return Some(CycleRequest::Projects(after, self.inventory.budget()));
        }
        Some(match self.pending.pop_front()? {
            PendingRequest::Environments(project, after) => {
                let id = self.projects[project].id.clone();
                CycleRequest::Environments(project, id, after, self.inventory.budget())
            }
            PendingRequest::Services(place, after) => {
                let PartialEnvironment { id, project, application, .. } = &self.environments[place];
                let request = ServicesRequest {
                    environment: id.clone(),
                    project: project.clone(),
                    application: Arc::clone(application),
                    after,
                };
                CycleRequest::Services(place, request, self.inventory.budget())
            }
            PendingRequest::Usage(place) => {
                CycleRequest::Usage(place, self.environments[place].id.clone(), self.inventory.budget())
            }
            PendingRequest::Http(place, services) => {
                let environment = &self.environments[place];
                let id = |service: &usize| environment.services[*service].listed.facts.id.clone();
                let ids = services.iter().filter_map(id).collect();
                CycleRequest::Http(place, environment.id.clone(), services, ids, self.inventory.budget())
            }
        })
    }

    fn record(&mut self, response: CycleResponse) -> Result<(), CloudError> {
        if let Some(error) = response.error().filter(|error| error.concerns_account()) {
            return Err(error.clone());
        }
        self.listing -= usize::from(response.is_list());
        match response {
            CycleResponse::Projects(Ok(answer)) => {
                let page = self.data_of(answer);
                self.add_projects(page);
            }
            CycleResponse::Environments(project, Ok(answer)) => {
                let page = self.data_of(answer);
                self.add_environments(project, page);
            }
            CycleResponse::Projects(Err(error)) | CycleResponse::Environments(_, Err(error)) => {
                self.cut_short = Some(error);
            }
            CycleResponse::Services(place, Ok(answer)) => {
                self.succeeded(place);
                let page = self.data_of(answer);
                self.add_services(place, page);
            }
            CycleResponse::Services(place, Err(error)) => {
                match error {
                    // A project token is of this very environment.
                    CloudError::Status(404) if self.token == TokenKind::Account => {
                        self.not_found.push(error.clone());
                    }
                    _ => self.cut_short = Some(error.clone()),
                }
                return self.failed(place, error);
            }
            CycleResponse::Usage(place, answered) => {
                let usage = self.measured(place, answered)?;
                self.environments[place].usage = usage;
            }
            CycleResponse::Http(place, services, answered) => {
                let samples = self.measured(place, answered)?.unwrap_or_default();
                for (service, sample) in services.into_iter().zip(samples) {
                    self.environments[place].services[service].traffic = Traffic::Read(sample);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "cycle_tests.rs"]
mod tests;
