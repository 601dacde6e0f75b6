//! What one cycle knows so far, and what it still has to request. Decides, and sends nothing itself.
//!
//! Services are asked for in batches: each metric of a batch comes in one answer. Which instances there are follows from
//! the answers, and so does what else is asked for: their limits, and when they were created.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::batch::{Batch, shared_limits};
use super::cost::LISTS_PER_CYCLE;
use super::instances::{InstanceList, InstancePoints, present};
use super::kept::{Kept, KeptService, KnownBandwidth};
use super::listing::{CollectedService, Listing};
use super::metric::{Metric, STEP};
use super::requests::{CycleRequest, CycleResponse};
use super::series::Answer;
use super::status;
use super::target::{Kind, Settings};
use super::urls::{self, Window};
use crate::cloud::error::AnswerProblem;
use crate::cloud::kit::queue::Plan;
use crate::cloud::kit::{Arrivals, CircuitBreaker, Inventory, Moment};
use crate::cloud::model::{Instance, InstanceFacts, Overrides, Reading, Service};
use crate::cloud::{CloudError, Collection};

/// A request that waits to be sent.
enum PendingRequest {
    Metric(usize, Metric),
    Instances(usize),
}

/// A service as far as it is known.
struct PartialService {
    collected: CollectedService,
    /// Its batch; `None` for one that is suspended.
    batch: Option<usize>,
    /// Its instances as this cycle or an earlier one listed them.
    list: Option<Arc<InstanceList>>,
    /// The instances that this cycle asks a list for.
    asked: Option<Arc<HashSet<String>>>,
}

/// The metrics that show which instances there are.
const USAGE: [Metric; 2] = [Metric::Cpu, Metric::Memory];
/// The metrics of web services.
const HTTP: [Metric; 2] = [Metric::Requests, Metric::Latency];

/// The instances of a service that are present, and their points.
type PresentInstances = Vec<(Arc<InstanceFacts>, InstancePoints)>;

/// What a cycle has found out about the instances of a service.
struct FoundInstances {
    /// The error is that they exceed the budget.
    instances: Result<PresentInstances, CloudError>,
    /// How many there are; `None` where that was never known.
    running: Option<usize>,
    /// What the next cycle should know.
    kept: KeptService,
}

/// One cycle as far as it has come.
pub(super) struct Cycle<'a> {
    settings: &'a Settings,
    kept: Arc<Kept>,
    started: Moment,
    window: Window,
    services: Vec<PartialService>,
    batches: Vec<Batch>,
    pending: VecDeque<PendingRequest>,
    /// The time of the newest point of an instance in this cycle.
    newest: Option<f64>,
    /// How many more lists of instances may be asked for, and how many were and are not answered yet.
    lists_left: usize,
    pending_lists: usize,
    inventory: Inventory,
    breaker: CircuitBreaker,
    cut_short: Option<CloudError>,
    batch_errors: Vec<CloudError>,
    /// Whether no metric is asked for any more: the key may not read them.
    metrics_denied: bool,
    /// The same of lists of instances.
    lists_denied: bool,
}

impl<'a> Cycle<'a> {
    /// A cycle whose services are listed, and which keeps up to `max_in_flight` requests in flight.
    pub(super) fn new(
        settings: &'a Settings,
        kept: Arc<Kept>,
        listing: Listing<'_>,
        now: SystemTime,
        max_in_flight: usize,
    ) -> Self {
        // Whole seconds are enough for a step of a minute.
        #[allow(clippy::cast_possible_truncation)]
        let newest = kept.newest.map(|newest| newest as i64);
        let Listing { services, inventory, cut_short, .. } = listing;
        let partial = |collected: CollectedService| {
            let list = kept.service(&collected.id).list.clone();
            PartialService { collected, batch: None, list, asked: None }
        };
        let mut cycle = Self {
            settings,
            started: Moment { at: Instant::now(), wall: urls::seconds(now) as f64 },
            window: Window::after(newest, urls::seconds(now), settings.metrics_max_age),
            services: services.into_iter().map(partial).collect(),
            batches: Vec::new(),
            pending: VecDeque::new(),
            newest: None,
            lists_left: LISTS_PER_CYCLE,
            pending_lists: 0,
            inventory,
            breaker: CircuitBreaker::new(max_in_flight),
            cut_short,
            batch_errors: Vec::new(),
            metrics_denied: false,
            lists_denied: false,
            kept,
        };
        cycle.form_batches();
        cycle
    }

    /// Puts the services that may have instances into batches, and asks for the metrics of each.
    fn form_batches(&mut self) {
        let is_suspended = |service: &PartialService| {
            let word = service.collected.facts.status.as_deref();
            word.and_then(status::is_suspended) == Some(true)
        };
        let mut running: Vec<usize> =
            (0..self.services.len()).filter(|number| !is_suspended(&self.services[*number])).collect();
        // Web services together: further metrics are asked for of their batches only.
        running.sort_by_key(|number| self.services[*number].collected.kind != Kind::WebService);
        for services in running.chunks(self.settings.services_per_request.max(1)) {
            let batch = self.batches.len();
            self.batches.push(Batch::new(services.to_vec()));
            for number in services {
                self.services[*number].batch = Some(batch);
            }
            let is_due = |arrivals: &Arrivals| arrivals.is_due(self.started, STEP as f64);
            let usage_is_due = services.iter().any(|number| is_due(&self.kept(*number).usage));
            let is_web = |number: &&usize| self.services[**number].collected.kind == Kind::WebService;
            let mut web = services.iter().filter(is_web).peekable();
            let has_http = self.settings.http && web.peek().is_some();
            let http_is_due = web.any(|number| is_due(&self.kept(*number).http));
            if usage_is_due {
                for metric in USAGE {
                    self.enqueue(batch, metric);
                }
                self.batches[batch].pending_usage = USAGE.len();
            } else {
                self.batches[batch].leave_out(USAGE);
            }
            match (has_http, http_is_due) {
                (false, _) => {}
                (true, false) => self.batches[batch].leave_out(HTTP),
                (true, true) => {
                    for metric in HTTP {
                        self.enqueue(batch, metric);
                    }
                }
            }
            if services.iter().any(|number| self.kept(*number).bandwidth_is_due(self.started.at)) {
                self.enqueue(batch, Metric::Bandwidth);
            }
        }
    }

    fn enqueue(&mut self, batch: usize, metric: Metric) {
        self.batches[batch].pending += 1;
        self.pending.push_back(PendingRequest::Metric(batch, metric));
    }

    /// What earlier cycles found out about a service.
    fn kept(&self, service: usize) -> &KeptService {
        self.kept.service(&self.services[service].collected.id)
    }

    /// The instances of a service that are present, by their points.
    fn present(&self, service: usize, batch: &Batch) -> Vec<(String, InstancePoints)> {
        let PartialService { collected, list, .. } = &self.services[service];
        let newest = self.newest.or(self.kept.newest).unwrap_or_default();
        let (cpu, memory) = (batch.answer(Metric::Cpu), batch.answer(Metric::Memory));
        present(&collected.id, cpu, memory, newest, list.as_deref())
            .into_iter()
            .map(|(id, points)| (id.to_owned(), points))
            .collect()
    }

    /// CPU and memory of a batch are there: asks for what is not known of its instances.
    fn ask_about_instances(&mut self, number: usize) {
        let mut needs_limits = false;
        for service in self.batches[number].services.clone() {
            let present = self.present(service, &self.batches[number]);
            let ids = || present.iter().map(|(id, _)| id.as_str());
            let kept = self.kept(service);
            needs_limits |= kept.limits_are_due(self.started.at, ids());
            let needs_list = kept.list_is_due(self.started.at, ids());
            if needs_list && self.lists_left > 0 {
                let asked = ids().map(str::to_owned).collect();
                self.services[service].asked = Some(Arc::new(asked));
                self.lists_left -= 1;
                self.pending_lists += 1;
                self.pending.push_back(PendingRequest::Instances(service));
            }
        }
        if needs_limits {
            self.enqueue(number, Metric::CpuLimit);
            self.enqueue(number, Metric::MemoryLimit);
        }
    }

    /// CPU or memory of a batch were answered, or could not be.
    fn usage_settled(&mut self, number: usize, metric: Metric) {
        if !matches!(metric, Metric::Cpu | Metric::Memory) {
            return;
        }
        let batch = &mut self.batches[number];
        batch.pending_usage -= 1;
        if batch.pending_usage == 0 {
            self.ask_about_instances(number);
        }
    }

    fn add_answer(&mut self, number: usize, metric: Metric, answer: Answer) {
        if matches!(metric, Metric::Cpu | Metric::Memory) {
            self.newest = [self.newest, answer.newest()].into_iter().flatten().max_by(f64::total_cmp);
        }
        let batch = &mut self.batches[number];
        batch.pending -= 1;
        batch.add(metric, answer);
        self.breaker.success();
        self.usage_settled(number, metric);
    }

    /// Records that a request failed, for a batch or for a list of instances; the error, if any, ends the cycle.
    fn failed(&mut self, source: usize, error: CloudError) -> Result<(), CloudError> {
        let lists = usize::from(self.pending_lists > 0);
        let pending = self.batches.iter().filter(|batch| batch.pending > 0).count() + lists;
        self.breaker.failure(source, error.clone(), || pending)?;
        self.batch_errors.push(error);
        Ok(())
    }

    /// The collection, and what the next cycle should know. Whatever was not requested keeps its last values.
    pub(super) fn finish(mut self, ended_by: Option<CloudError>) -> (Collection, Kept) {
        let found: Vec<_> = (0..self.services.len()).map(|service| self.instances(service)).collect();
        let newest = self.newest.or(self.kept.newest);
        // It refers to the facts of all services, which change now.
        drop(std::mem::take(&mut self.inventory));
        let mut kept = Kept { newest, services: HashMap::with_capacity(self.services.len()) };
        let mut services = Vec::with_capacity(self.services.len());
        for (service, found) in std::mem::take(&mut self.services).into_iter().zip(found) {
            kept.services.insert(service.collected.id.clone(), found.kept.clone());
            services.push(self.service(service, found));
        }
        self.batch_errors.extend(ended_by);
        let collection = Collection { services, cut_short: self.cut_short, batch_errors: self.batch_errors };
        (collection, kept)
    }

    /// The instances of a service with their points.
    fn instances(&mut self, number: usize) -> FoundInstances {
        let service = &self.services[number];
        let Some(batch) = service.batch.map(|batch| &self.batches[batch]) else {
            // A suspended service has none.
            let kept = KeptService::default();
            return FoundInstances { instances: Ok(Vec::new()), running: Some(0), kept };
        };
        let mut kept = KeptService { list: service.list.clone(), ..self.kept(number).clone() };
        if let Some(asked) = &service.asked {
            kept.asked = Some((self.started.at, Arc::clone(asked)));
        }
        if let Some(bandwidth) = batch.answer(Metric::Bandwidth) {
            let point = bandwidth.of(&service.collected.id).first().map(|newest| newest.point);
            kept.bandwidth = Some(KnownBandwidth { read_at: self.started.at, point });
        }
        for (metrics, arrivals) in [(USAGE, &mut kept.usage), (HTTP, &mut kept.http)] {
            // What could not be read is due again at once.
            if let Some(answers) = batch.both(metrics) {
                let newest = answers.into_iter().filter_map(Answer::newest).max_by(f64::total_cmp);
                arrivals.answered(self.started, STEP as f64, newest);
            }
        }
        if !batch.has_instances() {
            // They are taken to be there still, for as long as one of their points would be.
            let is_recent = |at: Instant| self.started.at.duration_since(at) < self.settings.metrics_max_age;
            let known = kept.instances.as_ref().filter(|(at, _)| is_recent(*at)).map(|(_, list)| list);
            let running = known.map(Vec::len);
            let list = known.into_iter().flatten();
            let instances = list.map(|facts| (Arc::clone(facts), InstancePoints::default())).collect();
            return FoundInstances { instances: self.charged(instances), running, kept };
        }
        let present = self.present(number, batch);
        let ids = present.iter().map(|(id, _)| id.as_str());
        if let Some(limits) = batch.limits(&service.collected.id, ids) {
            kept.limits = Some((self.started.at, Arc::new(limits)));
        }
        let limits = kept.limits.as_ref().map(|(_, limits)| Arc::clone(limits)).unwrap_or_default();
        let shared = shared_limits(limits.values());
        let instance = |(id, points): (String, InstancePoints)| {
            let own = limits.get(&id).filter(|own| !own.is_empty() && Some(**own) != shared);
            let overrides = own.map(|own| Box::new(Overrides { limits: *own, ..Overrides::default() }));
            let created_at = service.list.as_ref().and_then(|list| list.created.get(&id).copied().flatten());
            let facts =
                InstanceFacts { name: id.clone(), id, created_at, overrides, ..InstanceFacts::default() };
            (Arc::new(facts), points)
        };
        let instances: PresentInstances = present.into_iter().map(instance).collect();
        let facts = instances.iter().map(|(facts, _)| Arc::clone(facts)).collect();
        kept.instances = Some((self.started.at, facts));
        FoundInstances { running: Some(instances.len()), instances: self.charged(instances), kept }
    }

    /// The same instances, unless they exceed the budget.
    fn charged(&mut self, instances: PresentInstances) -> Result<PresentInstances, CloudError> {
        let facts: Vec<_> = instances.iter().map(|(facts, _)| Arc::clone(facts)).collect();
        self.inventory.add_instances(&facts)?;
        Ok(instances)
    }

    fn service(&self, service: PartialService, found: FoundInstances) -> Service {
        let PartialService { collected: CollectedService { id, kind, mut facts }, batch, .. } = service;
        let FoundInstances { instances, running, kept } = found;
        let limits = kept.limits.as_ref().and_then(|(_, limits)| shared_limits(limits.values()));
        let complete = Arc::make_mut(&mut facts);
        complete.running_instances = running.and_then(|running| i64::try_from(running).ok());
        complete.limits = limits.unwrap_or_default();
        complete.state = Some(status::state(
            complete.status.as_deref(),
            complete.desired_instances,
            complete.running_instances,
        ));
        let Some(batch) = batch.map(|batch| &self.batches[batch]) else {
            let instances = instances.map(|_| Vec::new());
            return Service { facts, reading: Reading::not_running(), instances };
        };
        let reading = batch.service(&id, kind, self.settings.http, kept.bandwidth);
        let instance = |(facts, points): (Arc<InstanceFacts>, InstancePoints)| {
            let reading = batch.instance(&points);
            Instance { facts, reading }
        };
        let instances = instances.map(|list| list.into_iter().map(instance).collect());
        Service { facts, reading, instances }
    }
}

impl Plan for Cycle<'_> {
    type Request = CycleRequest;
    type Response = CycleResponse;

    fn next_request(&mut self) -> Option<CycleRequest> {
        let endpoint = &self.settings.endpoint;
        loop {
            match self.pending.pop_front()? {
                PendingRequest::Metric(batch, _) if self.metrics_denied => self.batches[batch].pending -= 1,
                PendingRequest::Metric(batch, metric) => {
                    let only_web = matches!(metric, Metric::Requests | Metric::Latency);
                    let services = self.batches[batch].services.iter();
                    let services = services.map(|number| &self.services[*number].collected);
                    let services = services.filter(|one| !only_web || one.kind == Kind::WebService);
                    let url =
                        urls::metric(endpoint, metric, services.map(|one| one.id.as_str()), self.window);
                    let (window, budget) = (self.window.of(metric), self.inventory.budget());
                    return Some(CycleRequest::Metric(batch, metric, window, url, budget));
                }
                PendingRequest::Instances(_) if self.lists_denied => self.pending_lists -= 1,
                PendingRequest::Instances(service) => {
                    if let Some(url) = urls::instances(endpoint, &self.services[service].collected.id) {
                        return Some(CycleRequest::Instances(service, url, self.inventory.budget()));
                    }
                    // What has no URL fails without a request.
                    self.pending_lists -= 1;
                    self.batch_errors.push(AnswerProblem::Shape.into());
                }
            }
        }
    }

    fn record(&mut self, response: CycleResponse) -> Result<(), CloudError> {
        match response {
            CycleResponse::Metric(batch, metric, answered) => {
                match answered.and_then(|answer| Ok(self.inventory.keep(answer)?)) {
                    Ok(answer) => {
                        self.add_answer(batch, metric, answer);
                        Ok(())
                    }
                    Err(error @ CloudError::ScopeMissing(_)) => {
                        self.batches[batch].pending -= 1;
                        // The same for all batches: one error, and no more requests that would be denied.
                        if !std::mem::replace(&mut self.metrics_denied, true) {
                            self.batch_errors.push(error);
                        }
                        Ok(())
                    }
                    Err(error) => {
                        let failed = self.failed(batch, error);
                        self.batches[batch].pending -= 1;
                        self.usage_settled(batch, metric);
                        failed
                    }
                }
            }
            CycleResponse::Instances(service, answered) => {
                match answered.and_then(|list| Ok(self.inventory.keep(list)?)) {
                    Ok(mut list) => {
                        self.pending_lists -= 1;
                        if !list.is_complete {
                            self.batch_errors.push(AnswerProblem::Shape.into());
                        }
                        let service = &mut self.services[service];
                        // Only these are looked up. The list stays after the cycle, and the cloud chooses how long it is.
                        list.created.retain(|id, _| service.asked.as_ref().is_some_and(|it| it.contains(id)));
                        service.list = Some(Arc::new(list));
                        self.breaker.success();
                        Ok(())
                    }
                    Err(error @ CloudError::ScopeMissing(_)) => {
                        self.pending_lists -= 1;
                        if !std::mem::replace(&mut self.lists_denied, true) {
                            self.batch_errors.push(error);
                        }
                        Ok(())
                    }
                    Err(error) => {
                        let failed = self.failed(self.batches.len() + service, error);
                        self.pending_lists -= 1;
                        failed
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "cycle_tests.rs"]
mod tests;
