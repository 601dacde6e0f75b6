//! What one cycle knows so far, and what it still has to request. Decides, and sends nothing itself.
//!
//! Each app is asked for its instances and its health, and where it has instances for a few metrics, each of which comes
//! for all of them in one answer.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::app::PartialApp;
use super::facts::{self, Phases};
use super::kept::{Kept, KeptApp};
use super::points::{Metric, RESOLUTION};
use super::requests::{CycleRequest, CycleResponse, ListedInstances};
use super::target::Settings;
use super::urls;
use super::wire::{App, Page, Sizes};
use crate::cloud::error::AnswerProblem;
use crate::cloud::kit::point::Point;
use crate::cloud::kit::queue::Plan;
use crate::cloud::kit::{CircuitBreaker, Inventory, Moment, Pages};
use crate::cloud::model::{Instance, InstanceFacts, MeasurementSet, Reading, Service, ServiceFacts};
use crate::cloud::{CloudError, Collection, ServiceFilter};

/// A request that waits to be sent.
enum PendingRequest {
    Sizes,
    Instances(usize),
    Health(usize),
    Metric(usize, Metric),
}

/// A service as far as it is known. `instances` is `None` until their list has arrived.
struct PartialService {
    facts: Arc<ServiceFacts>,
    instances: Option<Result<Vec<Arc<InstanceFacts>>, CloudError>>,
}

/// One cycle as far as it has come.
pub(super) struct Cycle<'a> {
    settings: &'a Settings,
    filter: &'a ServiceFilter,
    kept: Arc<Kept>,
    started: Moment,
    pages: Pages<u64>,
    /// The page to request before anything else, so that metrics arrive while later pages are in flight.
    next_page: Option<u64>,
    pending: VecDeque<PendingRequest>,
    /// The ids of all apps that were listed, collected or not.
    listed: HashSet<String>,
    apps: Vec<PartialApp>,
    services: Vec<PartialService>,
    sizes: Option<(Instant, Arc<Sizes>)>,
    inventory: Inventory,
    breaker: CircuitBreaker,
    /// Whether another page is to come.
    is_paging: bool,
    cut_short: Option<CloudError>,
    batch_errors: Vec<CloudError>,
    /// Why no metric is asked for any more: the token may not read them.
    metrics_denied: bool,
}

impl<'a> Cycle<'a> {
    /// A cycle whose first page has arrived, and which keeps up to `max_in_flight` requests in flight.
    pub(super) fn new(
        settings: &'a Settings,
        filter: &'a ServiceFilter,
        kept: Arc<Kept>,
        first_page: Page,
        inventory: Inventory,
        max_in_flight: usize,
    ) -> Self {
        let started = Moment::now();
        let mut cycle = Self {
            settings,
            filter,
            started,
            pages: Pages::starting_at(1),
            next_page: None,
            pending: VecDeque::new(),
            listed: HashSet::new(),
            apps: Vec::new(),
            services: Vec::new(),
            sizes: kept.sizes.clone(),
            inventory,
            breaker: CircuitBreaker::new(max_in_flight),
            is_paging: true,
            cut_short: None,
            batch_errors: Vec::new(),
            metrics_denied: false,
            kept,
        };
        cycle.add_page(1, first_page);
        if cycle.kept.sizes_are_due(started.at) && !cycle.apps.is_empty() {
            cycle.pending.push_front(PendingRequest::Sizes);
        }
        cycle
    }

    /// The collection, and what the next cycle should know. Whatever was not requested failed for the reason that ended
    /// the cycle.
    pub(super) fn finish(mut self, ended_by: Option<CloudError>) -> (Collection, Kept) {
        let missing = ended_by.clone().unwrap_or(CloudError::Answer(AnswerProblem::Shape));
        // It refers to the facts of all services, which change now.
        drop(std::mem::take(&mut self.inventory));
        let mut kept = Kept {
            cycles: self.kept.cycles.wrapping_add(1),
            sizes: self.sizes.clone(),
            apps: HashMap::with_capacity(self.apps.len()),
        };
        let mut services = Vec::with_capacity(self.services.len());
        let mut partial = std::mem::take(&mut self.services).into_iter();
        for app in std::mem::take(&mut self.apps) {
            let mut restarts = HashMap::new();
            for service in partial.by_ref().take(app.services.len()) {
                services.push(self.service(&app, service, &missing, &mut restarts));
            }
            let was_read = app.restarts.is_some() || app.points[Metric::Restarts as usize].is_some();
            let restarts = was_read.then(|| Arc::new(restarts));
            kept.apps.insert(app.id, KeptApp { restarts, health: app.health, arrivals: app.arrivals });
        }
        let is_cut = self.is_paging;
        self.batch_errors.extend(ended_by.clone());
        let collection = Collection {
            services,
            cut_short: self.cut_short.or(ended_by.filter(|_| is_cut)),
            batch_errors: self.batch_errors,
        };
        (collection, kept)
    }

    fn service(
        &self,
        app: &PartialApp,
        service: PartialService,
        missing: &CloudError,
        restarts: &mut HashMap<String, Option<Point>>,
    ) -> Service {
        let PartialService { mut facts, instances } = service;
        let instances = instances.unwrap_or_else(|| Err(missing.clone()));
        let health = app.health.as_ref().and_then(|(_, health)| health.get(&facts.name));
        let size = facts.size.as_ref().and_then(|size| self.sizes.as_ref()?.1.get(size).copied());
        let running = instances.as_ref().ok().map(Vec::len);
        facts::complete(Arc::make_mut(&mut facts), &app.phases, health, running, size);
        let component = facts.name.clone();
        let instances = instances.map(|list| {
            let mut aliases: HashMap<&str, usize> = HashMap::with_capacity(list.len());
            for instance in &list {
                *aliases.entry(&instance.name).or_default() += 1;
            }
            let shared: HashSet<String> = aliases
                .iter()
                .filter(|(_, count)| **count > 1)
                .map(|(alias, _)| (*alias).to_owned())
                .collect();
            let instance = |facts: Arc<InstanceFacts>| {
                // While one instance replaces another, both may have the alias, and nothing tells whose a point is.
                let is_known = !shared.contains(&facts.name);
                let reading = app.reading(&component, &facts, is_known, restarts);
                Instance { facts, reading }
            };
            list.into_iter().map(instance).collect()
        });
        Service { facts, reading: Reading::default(), instances }
    }

    /// Adds what a page lists, and decides on the page after it.
    fn add_page(&mut self, number: u64, page: Page) {
        if page.unreadable > 0 {
            self.cut_short = Some(AnswerProblem::Shape.into());
        }
        let (has_apps, known_before) = (!page.apps.is_empty(), self.listed.len());
        let added = page.apps.into_iter().try_for_each(|app| self.add_app(app));
        self.is_paging = false;
        if added.is_err() {
            self.cut_short = Some(AnswerProblem::TooLarge.into());
            return;
        }
        // A page without any app is the last one, whatever it says.
        let only_known = self.listed.len() == known_before && (has_apps || page.unreadable == 0);
        let next = page.next.and_then(|next| next.map(|next| next_number(number, &next)).transpose());
        match next.and_then(|next| self.pages.after(next, page.listed, only_known, &mut self.inventory)) {
            Ok(Some(next)) => {
                self.is_paging = true;
                self.next_page = Some(next);
            }
            Ok(None) => {}
            Err(problem) => self.cut_short = Some(problem.into()),
        }
    }

    /// Adds an app's components, unless an earlier page had it. The error is that they exceed the budget.
    fn add_app(&mut self, mut app: App) -> Result<(), AnswerProblem> {
        if !self.inventory.is_new::<(), _>(&mut self.listed, app.id.clone(), app.id.len())? {
            return Ok(());
        }
        if app.project.is_none() && !self.settings.projects.is_empty() {
            self.cut_short = Some(CloudError::ScopeMissing("the scope project:read"));
            return Ok(());
        }
        if !self.settings.wants_app(&app.name, &app.id, app.project.as_deref()) {
            return Ok(());
        }
        self.inventory.remember::<PartialApp>(app.id.len())?;
        let phases = Phases { active: app.active.take(), in_progress: app.in_progress.take() };
        let first = self.services.len();
        let components = std::mem::take(&mut app.components).into_iter();
        let mut added = Ok(());
        for component in components.filter(|component| self.settings.kinds.contains(&component.kind)) {
            match self.inventory.wants(self.filter, &component.name) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(problem) => {
                    added = Err(problem);
                    break;
                }
            }
            let facts = Arc::new(facts::listed(&app, &phases, component));
            match self.inventory.add_service(&facts) {
                Ok(true) => self.services.push(PartialService { facts, instances: None }),
                Ok(false) => {}
                Err(problem) => {
                    added = Err(problem);
                    break;
                }
            }
        }
        let services = first..self.services.len();
        // What the user filters out costs no requests.
        if services.is_empty() {
            return added;
        }
        let number = self.apps.len();
        let health = self.kept.health(&app.id, self.started.at, self.settings.metrics_max_age).cloned();
        let arrivals = self.kept.apps.get(&app.id).map(|kept| kept.arrivals).unwrap_or_default();
        self.apps.push(PartialApp {
            id: app.id,
            phases,
            services,
            health: health.filter(|_| self.settings.health),
            points: [const { None }; 3],
            arrivals,
            current: MeasurementSet::NONE,
            restarts: None,
            pending: 0,
        });
        self.enqueue(number, PendingRequest::Instances(number));
        if self.settings.health {
            self.enqueue(number, PendingRequest::Health(number));
        }
        added
    }

    /// Adds an app's instances, and asks for their metrics.
    fn add_instances(&mut self, number: usize, mut listed: ListedInstances) {
        let app = &self.apps[number];
        let mut ids = Vec::new();
        for service in &mut self.services[app.services.clone()] {
            let list = listed.remove(&service.facts.name).unwrap_or_default();
            match self.inventory.add_instances(&list) {
                Ok(()) => {
                    ids.extend(list.iter().cloned());
                    service.instances = Some(Ok(list));
                }
                Err(problem) => service.instances = Some(Err(problem.into())),
            }
        }
        if ids.is_empty() {
            return;
        }
        let restarts =
            self.kept.restarts(&app.id, self.started, ids.iter().map(|instance| instance.id.as_str()));
        let asks_restarts = restarts.is_none();
        self.apps[number].restarts = restarts;
        for metric in Metric::ALL {
            let app = &mut self.apps[number];
            if metric == Metric::Restarts {
                if asks_restarts {
                    self.enqueue(number, PendingRequest::Metric(number, metric));
                }
            } else if app.arrivals[metric as usize].is_due(self.started, RESOLUTION) {
                self.enqueue(number, PendingRequest::Metric(number, metric));
            } else {
                app.current = app.current.union(MeasurementSet::of(&[metric.measurement().0]));
            }
        }
    }

    fn enqueue(&mut self, app: usize, request: PendingRequest) {
        self.apps[app].pending += 1;
        self.pending.push_back(request);
    }

    /// Records that a request for an app failed; the error, if any, ends the cycle.
    fn failed(&mut self, app: usize, error: CloudError) -> Result<(), CloudError> {
        let pending = || self.apps.iter().filter(|app| app.pending > 0).count();
        let failed = self.breaker.failure(app, error, pending);
        self.apps[app].pending -= 1;
        failed
    }

    fn succeeded(&mut self, app: usize) {
        self.apps[app].pending -= 1;
        self.breaker.success();
    }

    /// Records that health or a metric of an app could not be read; the error, if any, ends the cycle.
    fn measuring_failed(&mut self, app: usize, error: CloudError) -> Result<(), CloudError> {
        if matches!(error, CloudError::ScopeMissing(_)) {
            self.apps[app].pending -= 1;
            // The same for all apps: one error, and no more requests that would be denied.
            if !std::mem::replace(&mut self.metrics_denied, true) {
                self.batch_errors.push(error);
            }
            return Ok(());
        }
        self.failed(app, error.clone())?;
        self.batch_errors.push(error);
        Ok(())
    }

    fn instances_failed(&mut self, app: usize, error: &CloudError) {
        for service in &mut self.services[self.apps[app].services.clone()] {
            service.instances = Some(Err(error.clone()));
        }
    }
}

/// The number of the page that `next` names on the page of this number.
fn next_number(number: u64, next: &str) -> Result<u64, AnswerProblem> {
    let next = urls::page_number(next).ok_or(AnswerProblem::Shape)?;
    if next > number { Ok(next) } else { Err(AnswerProblem::PageCycle) }
}

impl Plan for Cycle<'_> {
    type Request = CycleRequest;
    type Response = CycleResponse;

    fn next_request(&mut self) -> Option<CycleRequest> {
        if let Some(number) = self.next_page.take() {
            return Some(CycleRequest::Page(number));
        }
        let endpoint = &self.settings.endpoint;
        loop {
            match self.pending.pop_front()? {
                PendingRequest::Sizes => return Some(CycleRequest::Sizes),
                PendingRequest::Instances(app) => {
                    if let Some(url) = urls::instances(endpoint, &self.apps[app].id) {
                        return Some(CycleRequest::Instances(app, url, self.inventory.budget()));
                    }
                    // What has no URL fails without a request.
                    self.apps[app].pending -= 1;
                    self.instances_failed(app, &AnswerProblem::Shape.into());
                }
                PendingRequest::Health(app) => {
                    if let Some(url) = urls::health(endpoint, &self.apps[app].id) {
                        return Some(CycleRequest::Health(app, url));
                    }
                    self.apps[app].pending -= 1;
                }
                PendingRequest::Metric(app, metric) if !self.metrics_denied => {
                    let (id, max_age) = (&self.apps[app].id, self.settings.metrics_max_age);
                    let url = urls::metric(endpoint, metric, id, max_age, SystemTime::now());
                    return Some(CycleRequest::Metric(app, metric, url, self.inventory.budget()));
                }
                PendingRequest::Metric(app, _) => self.apps[app].pending -= 1,
            }
        }
    }

    fn steps(&self, response: &CycleResponse) -> usize {
        match response {
            CycleResponse::Page(_, Ok(page)) => self.filter.steps(page.components()),
            _ => 0,
        }
    }

    fn record(&mut self, response: CycleResponse) -> Result<(), CloudError> {
        match response {
            CycleResponse::Page(number, Ok(page)) => self.add_page(number, page),
            CycleResponse::Page(_, Err(error)) | CycleResponse::Sizes(Err(error))
                if error.concerns_account() =>
            {
                return Err(error);
            }
            CycleResponse::Page(_, Err(error)) => {
                self.is_paging = false;
                self.cut_short = Some(error);
            }
            CycleResponse::Sizes(Ok(sizes)) => self.sizes = Some((self.started.at, Arc::new(sizes))),
            CycleResponse::Sizes(Err(error)) => self.batch_errors.push(error),
            CycleResponse::Instances(app, Ok(listed)) => {
                self.succeeded(app);
                self.add_instances(app, listed);
            }
            CycleResponse::Instances(app, Err(error)) => {
                self.instances_failed(app, &error);
                return self.failed(app, error);
            }
            CycleResponse::Health(app, Ok(health)) => {
                self.apps[app].health = Some((self.started.at, Arc::new(health)));
                self.succeeded(app);
            }
            CycleResponse::Metric(app, metric, answered) => {
                match answered.and_then(|points| Ok(self.inventory.keep(points)?)) {
                    Ok(points) => {
                        let newest = points.newest();
                        self.apps[app].arrivals[metric as usize].answered(self.started, RESOLUTION, newest);
                        self.apps[app].points[metric as usize] = Some(points);
                        self.succeeded(app);
                    }
                    Err(error) => return self.measuring_failed(app, error),
                }
            }
            CycleResponse::Health(app, Err(error)) => return self.measuring_failed(app, error),
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "cycle_tests.rs"]
mod tests;
