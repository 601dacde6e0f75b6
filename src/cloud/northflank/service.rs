//! A service as far as a cycle knows it, and what comes of it when the cycle ends. Pure.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::facts;
use super::kept::{Containers, Deployment, KeptService, ServiceKey};
use super::metrics::{Metrics, OF_CONTAINERS, OF_SERVICES};
use super::wire::{Details, Page, Plans};
use crate::cloud::CloudError;
use crate::cloud::error::AnswerProblem;
use crate::cloud::kit::{Inventory, Pages};
use crate::cloud::model::{Instance, InstanceFacts, Reading, Service, ServiceFacts, State};

/// What a cycle asks about a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Metrics,
    Containers,
    Details,
}

/// A service as far as it is known.
pub(super) struct PartialService {
    pub(super) key: ServiceKey,
    pub(super) facts: Arc<ServiceFacts>,
    pub(super) deployment: Deployment,
    /// What earlier cycles knew, and this one has read since.
    pub(super) kept: KeptService,
    pub(super) was_asked_for_metrics: bool,
    /// `None` without a response.
    pub(super) metrics: Option<Result<Metrics, CloudError>>,
    /// The list of its containers that this cycle reads, if it does.
    pub(super) containers: Option<ContainerList>,
    /// Requests without a response.
    pub(super) pending: usize,
}

/// The containers of a service as far as their pages have come.
pub(super) struct ContainerList {
    cursors: Pages<String>,
    known: HashSet<String>,
    listed: Containers,
    /// Why the list cannot be used, if it cannot.
    pub(super) error: Option<CloudError>,
}

/// What a cycle knows besides its services when it ends.
pub(super) struct CycleEnd<'a> {
    /// The error of what was not answered.
    pub(super) missing: &'a CloudError,
    /// The cycle's start.
    pub(super) started: Instant,
    /// Its number.
    pub(super) cycle: u64,
    /// Its end, in seconds since the epoch.
    pub(super) now: f64,
    pub(super) inventory_interval: Duration,
}

impl ContainerList {
    /// A list whose first page is requested.
    pub(super) fn new() -> Self {
        Self {
            cursors: Pages::starting_at(String::new()),
            known: HashSet::new(),
            listed: Containers::new(),
            error: None,
        }
    }
}

impl PartialService {
    /// A service that a list names, with what is kept of it.
    pub(super) fn new(
        key: ServiceKey,
        facts: Arc<ServiceFacts>,
        deployment: Deployment,
        kept: KeptService,
    ) -> Self {
        let (metrics, containers) = (None, None);
        Self { key, facts, deployment, kept, was_asked_for_metrics: false, metrics, containers, pending: 0 }
    }

    /// Its details, unless they were never read.
    pub(super) fn details(&self) -> Option<&Details> {
        self.kept.details.as_ref().map(|(_, details)| &**details)
    }

    /// Whether it is paused, as far as is known: then nothing of it runs, and it is not asked.
    pub(super) fn is_paused(&self) -> bool {
        self.kept.deployment == self.deployment && self.details().is_some_and(|details| details.is_paused)
    }

    /// Takes its metrics in. Returns whether they show that containers came or went.
    pub(super) fn add_metrics(&mut self, metrics: Metrics) -> bool {
        let measured: HashSet<&str> = metrics.containers.keys().map(String::as_str).collect();
        let has_changed = self.kept.has_changed(&measured);
        self.kept.measured = measured.into_iter().map(str::to_owned).collect();
        self.kept.cpu_is_share = metrics.cpu_is_share;
        self.metrics = Some(Ok(metrics));
        has_changed
    }

    /// Takes a page of its containers in, which the cycle of this number and start asked for. Returns the cursor of the next page, if
    /// there is one.
    pub(super) fn add_containers(
        &mut self,
        page: Page<InstanceFacts>,
        (cycle, started): (u64, Instant),
        inventory: &mut Inventory,
    ) -> Option<String> {
        let list = self.containers.get_or_insert_with(ContainerList::new);
        let has_entries = !page.entries.is_empty();
        let new: Containers = page
            .entries
            .into_iter()
            .filter(|one| list.known.insert(one.name.clone()))
            .map(Arc::new)
            .collect();
        let only_known = has_entries && new.is_empty();
        // A list that is not complete ends no instance.
        let fits =
            if page.unreadable > 0 { Err(AnswerProblem::Shape) } else { inventory.add_instances(&new) };
        list.listed.extend(new);
        let next =
            fits.and(page.next).and_then(|next| list.cursors.after(next, page.listed, only_known, inventory));
        match next {
            Ok(Some(cursor)) => return Some(cursor),
            Ok(None) => {
                self.kept.containers = Some((started, std::mem::take(&mut list.listed)));
                self.kept.listed_in = cycle;
            }
            Err(problem) => list.error = Some(problem.into()),
        }
        None
    }

    /// Its containers: as listed, now or not long ago, else those that were measured lately. None where it is paused.
    pub(super) fn instances(
        &self,
        end: &CycleEnd<'_>,
        inventory: &mut Inventory,
    ) -> Result<Containers, CloudError> {
        if self.is_idle() {
            return Ok(Containers::new());
        }
        let list_error = self.containers.as_ref().and_then(|list| list.error.as_ref());
        if let Some(error @ CloudError::Answer(AnswerProblem::TooLarge)) = list_error {
            return Err(error.clone());
        }
        let between_turns = self.containers.is_none().then_some(end.cycle);
        if let Some(listed) = self.kept.containers(end.started, end.inventory_interval, between_turns) {
            if !self.was_listed(end.started) {
                inventory.add_instances(listed)?;
            }
            return Ok(listed.clone());
        }
        let Some(Ok(metrics)) = &self.metrics else {
            return Err(list_error.unwrap_or(end.missing).clone());
        };
        let measured = |name: &str| InstanceFacts {
            name: name.to_owned(),
            id: name.to_owned(),
            state: Some(State::Running),
            ..InstanceFacts::default()
        };
        let measured: Containers =
            metrics.measured_lately(end.now).map(|name| Arc::new(measured(name))).collect();
        inventory.add_instances(&measured)?;
        Ok(measured)
    }

    /// What came of it with these containers, what the next cycle should know of it, and an error beside them: its containers
    /// could not be listed, but are known in another way.
    pub(super) fn finish(
        self,
        list: Result<Containers, CloudError>,
        plans: Option<&Plans>,
    ) -> (Service, (ServiceKey, KeptService), Option<CloudError>) {
        let is_idle = self.is_idle();
        let Self { key, mut facts, kept, metrics, containers, .. } = self;
        let aside = containers.and_then(|list| list.error).filter(|_| list.is_ok());
        let (metrics, error) = match metrics {
            Some(Ok(metrics)) => (Some(metrics), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        let runs = |instance: &&Arc<InstanceFacts>| instance.state == Some(State::Running);
        let running = list.as_ref().ok().map(|list| list.iter().filter(runs).count());
        let details = kept.details.as_ref().map(|(_, details)| &**details);
        facts::complete(Arc::make_mut(&mut facts), details, plans, running, kept.cpu_is_share);
        let unread =
            |unread| if is_idle { Reading::not_running() } else { Reading { unread, ..Reading::default() } };
        let of_container = |name: &str| match &metrics {
            Some(metrics) => Reading { sample: metrics.containers.get(name).cloned(), ..Reading::default() },
            None => unread(OF_CONTAINERS),
        };
        let instance = |facts: Arc<InstanceFacts>| Instance { reading: of_container(&facts.name), facts };
        let instances = list.map(|list| list.into_iter().map(instance).collect());
        let reading = match metrics {
            Some(metrics) => Reading {
                sample: Some(metrics.service).filter(|sample| !sample.is_empty()),
                ..Reading::default()
            },
            None => Reading { error, ..unread(OF_SERVICES) },
        };
        (Service { facts, reading, instances }, (key, kept), aside)
    }

    /// Whether it is paused and was not asked for anything that runs.
    fn is_idle(&self) -> bool {
        self.is_paused() && !self.was_asked_for_metrics
    }

    fn was_listed(&self, started: Instant) -> bool {
        self.kept.containers.as_ref().is_some_and(|(at, _)| *at == started)
    }
}
