//! What one cycle knows so far, and what it still has to request. Decides, and sends nothing itself.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use url::Url;

use super::scope::Scope;
use super::start_times::StartTimes;
use super::stats::Stats;
use super::wire::{self, Page, Process};
use super::{state, stats};
use crate::cloud::error::AnswerProblem;
use crate::cloud::kit::paging::{Listed, next_url};
use crate::cloud::kit::queue::Plan;
use crate::cloud::kit::{CircuitBreaker, Inventory, InventoryBudget, Pages};
use crate::cloud::model::{Instance, Limits, Reading, Service, ServiceFacts, State};
use crate::cloud::{CloudError, Collection, ServiceFilter};

/// A request, and for which process of the cycle it is.
pub(super) enum CycleRequest {
    /// A page of applications, read within this budget.
    Apps(Url, InventoryBudget),
    /// A page of processes.
    Processes(Url),
    /// The instances of a process, read within this budget.
    Stats(usize, Url, OwnedProcess, InventoryBudget),
}

/// What is needed to read the instances of a process.
pub(super) struct OwnedProcess {
    guid: String,
    service: String,
    limits: Limits,
}

impl OwnedProcess {
    pub(super) fn borrowed(&self) -> stats::Process<'_> {
        stats::Process { guid: &self.guid, service: &self.service, limits: self.limits }
    }
}

/// The response to a request, or why there is none.
pub(super) enum CycleResponse {
    Apps(Url, Result<Page<ServiceFacts>, CloudError>),
    Processes(Url, Result<Page<Process>, CloudError>),
    Stats(usize, Result<Stats, CloudError>),
}

/// A service: the processes of one type of an application. There are two while a new version replaces an old one.
struct PartialService {
    facts: Arc<ServiceFacts>,
    processes: Vec<usize>,
}

/// A process that runs, or that need not be asked.
struct PartialProcess {
    guid: String,
    service: usize,
    /// `None` until the response has arrived.
    stats: Option<Result<Stats, CloudError>>,
}

/// One cycle as far as it has come.
pub(super) struct Cycle<'a> {
    endpoint: &'a Url,
    filter: &'a ServiceFilter,
    scope: &'a Scope,
    first_processes: &'a Url,
    app_pages: Pages<Url>,
    process_pages: Pages<Url>,
    /// The page to request before anything else, so that instances arrive while later pages are in flight.
    next_page: Option<CycleRequest>,
    /// The applications by their guids.
    apps: HashMap<String, ServiceFacts>,
    /// The services by the guid of their application and their type.
    by_app: HashMap<(String, String), usize>,
    /// The processes that were listed, since a list that shifts between two pages repeats some.
    listed: HashSet<String>,
    services: Vec<PartialService>,
    processes: Vec<PartialProcess>,
    pending: VecDeque<usize>,
    /// Processes whose instances were not answered yet.
    unanswered: usize,
    inventory: Inventory,
    breaker: CircuitBreaker,
    /// Whether another page of either list is to come.
    is_paging: bool,
    /// Whether a page of processes has arrived.
    has_processes: bool,
    cut_short: Option<CloudError>,
}

impl<'a> Cycle<'a> {
    /// A cycle whose first page of applications has arrived, and which keeps up to `max_in_flight` requests in flight.
    pub(super) fn new(
        endpoint: &'a Url,
        (filter, scope): (&'a ServiceFilter, &'a Scope),
        (first_apps, page): (&Url, Page<ServiceFacts>),
        first_processes: &'a Url,
        inventory: Inventory,
        max_in_flight: usize,
    ) -> Self {
        let mut cycle = Self {
            endpoint,
            filter,
            scope,
            first_processes,
            app_pages: Pages::starting_at(first_apps.clone()),
            process_pages: Pages::starting_at(first_processes.clone()),
            next_page: None,
            apps: HashMap::new(),
            by_app: HashMap::new(),
            listed: HashSet::new(),
            services: Vec::new(),
            processes: Vec::new(),
            pending: VecDeque::new(),
            unanswered: 0,
            inventory,
            breaker: CircuitBreaker::new(max_in_flight),
            is_paging: true,
            has_processes: false,
            cut_short: None,
        };
        cycle.add_apps(first_apps, page);
        cycle
    }

    /// The collection. Whatever was not requested failed for the reason that ended the cycle. The error is that no process
    /// could be listed.
    pub(super) fn finish(
        self,
        ended_by: Option<CloudError>,
        start_times: &mut StartTimes,
    ) -> Result<Collection, CloudError> {
        let unfinished = ended_by.clone().filter(|_| self.is_paging);
        let cut_short = self.cut_short.or(unfinished);
        if !self.has_processes
            && let Some(error) = cut_short
        {
            return Err(error);
        }
        let missing = ended_by.unwrap_or(CloudError::Answer(AnswerProblem::Shape));
        let no_organization = self.scope.missing.map(CloudError::NotVisible);
        // It holds the facts too, which are completed now without being copied.
        drop(self.inventory);
        let is_not_found = |process: &PartialProcess| process.stats == Some(Err(CloudError::Status(404)));
        let has_stats = self.processes.iter().any(|process| matches!(process.stats, Some(Ok(_))));
        let mut stats: Vec<_> = self
            .processes
            .into_iter()
            .map(|process| {
                // It went between the list and the request; where all are not found, it is not that.
                let is_gone = has_stats && is_not_found(&process);
                (!is_gone).then(|| process.stats.unwrap_or_else(|| Err(missing.clone())))
            })
            .collect();
        let mut collection = Collection {
            cut_short,
            batch_errors: no_organization.into_iter().collect(),
            ..Collection::default()
        };
        for PartialService { facts, processes } in self.services {
            let stats: Vec<_> = processes.iter().filter_map(|process| stats[*process].take()).collect();
            if stats.is_empty() {
                continue;
            }
            let is_replaced = stats.len() > 1;
            let stats = stats.into_iter().reduce(joined).unwrap_or(Err(missing.clone()));
            if stats.as_ref().is_ok_and(|stats| stats.lacks_measurements) {
                collection.batch_errors.push(AnswerProblem::NoMeasurements.into());
            }
            collection.services.push(complete(facts, stats, is_replaced, start_times));
        }
        start_times.end_cycle();
        Ok(collection)
    }

    /// Adds the applications of a page, and decides on the page after it.
    fn add_apps(&mut self, url: &Url, page: Page<ServiceFacts>) {
        let (listed, known_before) = (page.entries.len(), self.apps.len());
        let added = page.entries.into_iter().try_for_each(|app| self.add_app(app));
        let only_known = listed > 0 && self.apps.len() == known_before;
        let is_cut = page.cut || added.is_err();
        self.note(page.unreadable, is_cut);
        let next = if is_cut { None } else { self.follow(true, url, page.next, page.listed, only_known) };
        let budget = self.inventory.budget();
        self.is_paging = true;
        self.next_page = Some(match next {
            Some(next) => CycleRequest::Apps(next, budget),
            None => CycleRequest::Processes(self.first_processes.clone()),
        });
    }

    /// Adds an application, unless an earlier page had it. The error is that it exceeds the budget.
    fn add_app(&mut self, app: ServiceFacts) -> Result<(), AnswerProblem> {
        let Some(guid) = app.id.clone().filter(|guid| !self.apps.contains_key(guid)) else { return Ok(()) };
        self.inventory.remember::<ServiceFacts>(guid.len() + app.text_bytes())?;
        self.apps.insert(guid, app);
        Ok(())
    }

    /// Adds the processes of a page, and decides on the page after it.
    fn add_processes(&mut self, url: &Url, page: Page<Process>) {
        self.has_processes = true;
        self.is_paging = false;
        let known_before = self.listed.len();
        let mut wanted = 0;
        let added = page.entries.into_iter().try_for_each(|process| {
            wanted += usize::from(self.add_process(process)?);
            Ok::<(), AnswerProblem>(())
        });
        let is_cut = page.cut || added.is_err();
        self.note(page.unreadable, is_cut);
        if is_cut {
            return;
        }
        // A page that has nothing that is collected says nothing about the ones before.
        let only_known = wanted > 0 && self.listed.len() == known_before;
        if let Some(next) = self.follow(false, url, page.next, page.listed, only_known) {
            self.is_paging = true;
            self.next_page = Some(CycleRequest::Processes(next));
        }
    }

    fn note(&mut self, unreadable: usize, is_cut: bool) {
        if is_cut {
            self.cut_short = Some(AnswerProblem::TooLarge.into());
        } else if unreadable > 0 {
            self.cut_short.get_or_insert(AnswerProblem::Shape.into());
        }
    }

    /// The page that `next` names on the page at `url`. One that cannot be requested cuts the list short, and so does an end
    /// before the list has what it says it has.
    fn follow(
        &mut self,
        is_apps: bool,
        url: &Url,
        next: Result<Option<String>, AnswerProblem>,
        listed: Listed,
        only_known: bool,
    ) -> Option<Url> {
        let pages = if is_apps { &mut self.app_pages } else { &mut self.process_pages };
        let named = |next: String| {
            let next = next_url(self.endpoint, url, &next)?;
            if wire::is_page_one(&next) { Err(AnswerProblem::PageCycle) } else { Ok(next) }
        };
        let next = next
            .and_then(|next| next.map(named).transpose())
            .and_then(|next| pages.after(next, listed, only_known, &mut self.inventory));
        next.unwrap_or_else(|problem| {
            self.cut_short = Some(problem.into());
            None
        })
    }

    /// Adds a process if it is collected, and returns whether it is. The error is that its service exceeds the budget.
    fn add_process(&mut self, process: Process) -> Result<bool, AnswerProblem> {
        let Some(app) = self.apps.get(&process.app) else { return Ok(false) };
        let name = if process.kind == wire::WEB {
            app.name.clone()
        } else {
            format!("{}/{}", app.name, process.kind)
        };
        if !self.inventory.wants(self.filter, &name)? {
            return Ok(false);
        }
        // It may also be the first one of its service, which is known by application and type.
        let (guid, texts) =
            (process.guid.clone(), 2 * process.guid.len() + process.app.len() + process.kind.len());
        if !self.inventory.is_new::<(PartialProcess, (String, String)), _>(&mut self.listed, guid, texts)? {
            return Ok(true);
        }
        let limits =
            Limits { memory_bytes: process.memory_bytes, disk_bytes: process.disk_bytes, cpu_cores: None };
        let key = (process.app, process.kind);
        let service = if let Some(service) = self.by_app.get(&key) {
            let facts = Arc::make_mut(&mut self.services[*service].facts);
            let sum = facts.desired_instances.zip(process.instances);
            facts.desired_instances = sum.map(|(one, other)| one.saturating_add(other));
            *service
        } else {
            let facts = Arc::new(ServiceFacts {
                name,
                kind: Some(key.1.clone()),
                desired_instances: process.instances,
                limits,
                ..app.clone()
            });
            self.inventory.add_service(&facts)?;
            self.services.push(PartialService { facts, processes: Vec::new() });
            self.by_app.insert(key, self.services.len() - 1);
            self.services.len() - 1
        };
        let facts = &self.services[service].facts;
        // Nothing runs, and the API need not be asked.
        let is_idle = facts.status.as_deref() == Some("STOPPED") || process.instances == Some(0);
        let nothing = || Ok(Stats { instances: Vec::new(), routable: None, lacks_measurements: false });
        let place = self.processes.len();
        self.processes.push(PartialProcess { guid: process.guid, service, stats: is_idle.then(nothing) });
        self.services[service].processes.push(place);
        if !is_idle {
            self.unanswered += 1;
            self.pending.push_back(place);
        }
        Ok(true)
    }

    fn add_stats(&mut self, process: usize, answered: Result<Stats, CloudError>) -> Result<(), CloudError> {
        let unanswered = self.unanswered;
        self.unanswered = unanswered.saturating_sub(1);
        let facts =
            |stats: &Stats| stats.instances.iter().map(|one| Arc::clone(&one.facts)).collect::<Vec<_>>();
        let fits = answered.and_then(|stats| {
            self.inventory.add_instances(&facts(&stats)).map_err(CloudError::from).map(|()| stats)
        });
        let error = fits.as_ref().err().cloned();
        self.processes[process].stats = Some(fits);
        match error {
            None => {
                self.breaker.success();
                Ok(())
            }
            Some(error) => self.breaker.failure(self.processes[process].service, error, || unanswered),
        }
    }
}

/// The instances of two processes of one service.
fn joined(one: Result<Stats, CloudError>, other: Result<Stats, CloudError>) -> Result<Stats, CloudError> {
    let (mut one, mut other) = (one?, other?);
    one.instances.append(&mut other.instances);
    one.lacks_measurements |= other.lacks_measurements;
    one.routable = match (one.routable, other.routable) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    };
    Ok(one)
}

/// A service with what its instances say of it.
fn complete(
    mut facts: Arc<ServiceFacts>,
    stats: Result<Stats, CloudError>,
    is_replaced: bool,
    start_times: &mut StartTimes,
) -> Service {
    let complete = Arc::make_mut(&mut facts);
    let instances = stats.map(|Stats { mut instances, routable, .. }| {
        let runs = |instance: &&Instance| instance.facts.state == Some(State::Running);
        complete.running_instances = i64::try_from(instances.iter().filter(runs).count()).ok();
        complete.ready_instances = routable;
        for instance in &mut instances {
            let facts = Arc::make_mut(&mut instance.facts);
            facts.started_at = facts.started_at.map(|start| start_times.settle(&facts.id, start));
        }
        instances
    });
    complete.state = state::of_service(
        complete.status.as_deref(),
        complete.desired_instances,
        instances.as_deref().ok(),
        is_replaced,
    );
    Service { facts, reading: Reading::default(), instances }
}

impl Plan for Cycle<'_> {
    type Request = CycleRequest;
    type Response = CycleResponse;

    fn next_request(&mut self) -> Option<CycleRequest> {
        if let Some(page) = self.next_page.take() {
            return Some(page);
        }
        loop {
            let place = self.pending.pop_front()?;
            let process = &mut self.processes[place];
            let Some(url) = wire::stats_url(self.endpoint, &process.guid) else {
                // What has no URL fails without a request.
                process.stats = Some(Err(AnswerProblem::Shape.into()));
                self.unanswered = self.unanswered.saturating_sub(1);
                continue;
            };
            let service = self.services[process.service].facts.name.clone();
            let process = OwnedProcess {
                guid: process.guid.clone(),
                service,
                limits: self.services[process.service].facts.limits,
            };
            return Some(CycleRequest::Stats(place, url, process, self.inventory.budget()));
        }
    }

    fn steps(&self, response: &CycleResponse) -> usize {
        match response {
            CycleResponse::Processes(_, Ok(page)) => self.filter.steps(page.entries.len()),
            _ => 0,
        }
    }

    fn record(&mut self, response: CycleResponse) -> Result<(), CloudError> {
        match response {
            CycleResponse::Apps(url, Ok(page)) => self.add_apps(&url, page),
            CycleResponse::Processes(url, Ok(page)) => self.add_processes(&url, page),
            CycleResponse::Apps(_, Err(error)) | CycleResponse::Processes(_, Err(error))
                if error.concerns_account() =>
            {
                return Err(error);
            }
            CycleResponse::Apps(_, Err(error)) => {
                self.cut_short = Some(error);
                self.next_page = Some(CycleRequest::Processes(self.first_processes.clone()));
            }
            CycleResponse::Processes(_, Err(error)) => {
                self.is_paging = false;
                self.cut_short = Some(error);
            }
            CycleResponse::Stats(process, answered) => return self.add_stats(process, answered),
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "cycle_tests.rs"]
mod tests;
