//! The accounts, and the services and instances of all accounts or of one, as rows: filtered, judged and sorted. Made for one
//! response and dropped with it.

use std::cmp::Ordering;

use super::figures::{Figures, sum};
use super::filter::Filter;
use super::objects::{InstanceOf, ServiceOf};
use super::problems::{self, Problem, Severity};
use super::sort::{Column, Sort, SortKey};
use crate::cloud::model::State;
use crate::collector::history::ServiceHistory;
use crate::collector::registry::Listed;
use crate::exposition::values::{InstanceEntry, ServiceEntry};

/// A service.
pub(super) struct ServiceRow<'a> {
    pub(super) account: &'a Listed,
    pub(super) service: &'a ServiceEntry,
    /// Its last hour, if that is kept.
    pub(super) history: Option<&'a ServiceHistory>,
    pub(super) figures: Figures,
    /// Worst first.
    pub(super) problems: Vec<Problem>,
}

/// An instance of a service.
pub(super) struct InstanceRow<'a> {
    pub(super) of: ServiceOf<'a>,
    pub(super) instance: &'a InstanceEntry,
    pub(super) figures: Figures,
}

/// An account.
pub(super) struct AccountRow<'a> {
    pub(super) account: &'a Listed,
    figures: Figures,
    problem: Option<Problem>,
}

/// The accounts that the filter matches, judged at `now` in seconds since the epoch, and sorted.
pub(super) fn accounts<'a>(all: &'a [Listed], filter: &Filter, sort: Sort, now: f64) -> Vec<AccountRow<'a>> {
    let wanted = all.iter().filter(|account| filter.matches(*account));
    let row = |account: &'a Listed| AccountRow {
        account,
        figures: Figures::of_account(account),
        problem: problems::of_account(account, now),
    };
    let mut rows: Vec<_> = wanted.map(row).collect();
    sort.sort(&mut rows, |row| row.key(sort.column), |one, other| one.account.id().cmp(other.account.id()));
    rows
}

/// The wanted services of these accounts, in the registry's order.
pub(super) fn services(
    accounts: &[Listed],
    is_wanted: impl Fn(&ServiceOf<'_>) -> bool,
) -> Vec<ServiceRow<'_>> {
    let mut rows = Vec::new();
    for account in accounts {
        for (index, service) in entries(account).iter().enumerate() {
            if is_wanted(&ServiceOf { account, service }) {
                let history = account.snapshot().and_then(|snapshot| snapshot.history.get(index));
                rows.push(ServiceRow::new(account, service, history));
            }
        }
    }
    rows
}

/// The services of an account.
pub(super) fn entries(account: &Listed) -> &[ServiceEntry] {
    account.snapshot().map(|snapshot| &snapshot.values.services[..]).unwrap_or_default()
}

/// Sorts services.
pub(super) fn sort_services(rows: &mut [ServiceRow<'_>], sort: Sort) {
    sort.sort(rows, |row| row.key(sort.column), ServiceRow::by_name);
}

/// The instances of all accounts that the filter matches, sorted.
pub(super) fn instances<'a>(accounts: &'a [Listed], filter: &Filter, sort: Sort) -> Vec<InstanceRow<'a>> {
    let of_account =
        |account: &'a Listed| entries(account).iter().map(move |service| ServiceOf { account, service });
    sorted_instances(accounts.iter().flat_map(of_account), filter, sort)
}

/// The instances of a service that the filter matches, sorted.
pub(super) fn instances_of<'a>(of: ServiceOf<'a>, filter: &Filter, sort: Sort) -> Vec<InstanceRow<'a>> {
    sorted_instances(std::iter::once(of), filter, sort)
}

fn sorted_instances<'a>(
    services: impl Iterator<Item = ServiceOf<'a>>,
    filter: &Filter,
    sort: Sort,
) -> Vec<InstanceRow<'a>> {
    let mut rows = Vec::new();
    for of in services {
        for instance in &of.service.instances {
            if filter.matches(&InstanceOf { service: of, instance }) {
                rows.push(InstanceRow { of, instance, figures: Figures::of_instance(instance) });
            }
        }
    }
    sort.sort(&mut rows, |row| row.key(sort.column), InstanceRow::by_name);
    rows
}

impl<'a> ServiceRow<'a> {
    fn new(account: &'a Listed, service: &'a ServiceEntry, history: Option<&'a ServiceHistory>) -> Self {
        let figures = Figures::of_service(service, history);
        let problems = problems::of_service(service, &figures, history.and_then(ServiceHistory::ill_since));
        Self { account, service, history, figures, problems }
    }

    /// How many instances run, as the cloud counts them.
    pub(super) fn running(&self) -> Option<i64> {
        self.service.facts.running()
    }

    /// Restarts in the last hour, or all that the cloud has counted where the hour is not kept.
    pub(super) fn restarts(&self) -> Option<f64> {
        self.figures.restarts_last_hour.map(|count| count as f64).or(self.figures.restarts)
    }

    fn key(&self, column: Column) -> SortKey<'_> {
        let Figures { cpu_cores, memory_bytes, receive, transmit, started_at, .. } = self.figures;
        let facts = &self.service.facts;
        match column {
            Column::State => {
                let severity = self.problems.first().map(|problem| problem.severity);
                SortKey::Number(Some(rank(severity, facts.state)))
            }
            Column::Name => SortKey::Text(&facts.name),
            Column::Account => SortKey::Name,
            Column::Instances => {
                // There are not so many that a number would lose any.
                SortKey::Number(Some(
                    self.running().map_or(self.service.instances.len() as f64, |count| count as f64),
                ))
            }
            Column::Cpu => SortKey::Number(cpu_cores),
            Column::Memory => SortKey::Number(memory_bytes),
            Column::Network => SortKey::Number(sum(receive, transmit)),
            Column::Restarts => SortKey::Number(self.restarts()),
            Column::Image => SortKey::Text(facts.image.as_deref().unwrap_or_default()),
            Column::Age => age(started_at),
        }
    }

    fn by_name(&self, other: &Self) -> Ordering {
        let (one, two) = (&self.service.facts, &other.service.facts);
        let accounts = self.account.id().cmp(other.account.id());
        accounts.then_with(|| (&one.application, &one.name).cmp(&(&two.application, &two.name)))
    }
}

impl AccountRow<'_> {
    fn key(&self, column: Column) -> SortKey<'_> {
        let Figures { cpu_cores, memory_bytes, receive, transmit, restarts, .. } = self.figures;
        match column {
            Column::State => {
                // In the order of their severity, and those without after them.
                let severity = self.problem.as_ref().map(|problem| problem.severity);
                SortKey::Number(Some(severity.map_or(2.0, |severity| f64::from(severity as u8))))
            }
            Column::Name => SortKey::Text(&self.account.id().name),
            Column::Instances => {
                let instances = entries(self.account).iter().map(|service| service.instances.len());
                SortKey::Number(Some(instances.sum::<usize>() as f64))
            }
            Column::Cpu => SortKey::Number(cpu_cores),
            Column::Memory => SortKey::Number(memory_bytes),
            Column::Network => SortKey::Number(sum(receive, transmit)),
            Column::Restarts => {
                let last_hour = self.figures.restarts_last_hour.map(|count| count as f64);
                SortKey::Number(last_hour.or(restarts))
            }
            // Of its data.
            Column::Age => {
                age(self.account.snapshot().and_then(|snapshot| snapshot.values.gauges.last_success))
            }
            Column::Account | Column::Image => SortKey::Name,
        }
    }
}

impl InstanceRow<'_> {
    fn by_name(&self, other: &Self) -> Ordering {
        let (one, two) = (&self.instance.facts, &other.instance.facts);
        let (service, other_service) = (&self.of.service.facts, &other.of.service.facts);
        let accounts = self.of.account.id().cmp(other.of.account.id());
        accounts
            .then_with(|| {
                let one = (&service.application, &service.name);
                one.cmp(&(&other_service.application, &other_service.name))
            })
            .then_with(|| (&one.name, &one.id).cmp(&(&two.name, &two.id)))
    }

    fn key(&self, column: Column) -> SortKey<'_> {
        let Figures { cpu_cores, memory_bytes, receive, transmit, restarts, started_at, .. } = self.figures;
        match column {
            Column::State => SortKey::Number(Some(rank(None, self.instance.facts.state))),
            Column::Name => SortKey::Text(&self.instance.facts.name),
            Column::Cpu => SortKey::Number(cpu_cores),
            Column::Memory => SortKey::Number(memory_bytes),
            Column::Network => SortKey::Number(sum(receive, transmit)),
            Column::Restarts => SortKey::Number(restarts),
            Column::Age => age(started_at),
            Column::Image => SortKey::Text(self.of.service.facts.image.as_deref().unwrap_or_default()),
            Column::Account | Column::Instances => SortKey::Name,
        }
    }
}

/// The longest age is the earliest start.
fn age(started_at: Option<f64>) -> SortKey<'static> {
    SortKey::Number(started_at.map(|at| -at))
}

/// The place of a state in the order that shows the worst first.
fn rank(severity: Option<Severity>, state: Option<State>) -> f64 {
    match (severity, state) {
        (Some(Severity::Critical), _) => 0.0,
        (_, Some(State::Failed)) => 1.0,
        (Some(Severity::Warning), _) => 2.0,
        (None, Some(State::Degraded)) => 3.0,
        (None, Some(State::Deploying)) => 4.0,
        (None, Some(State::Unknown) | None) => 5.0,
        (None, Some(State::Running)) => 6.0,
        (None, Some(State::Sleeping)) => 7.0,
        (None, Some(State::Stopped)) => 8.0,
    }
}
