//! What of a page is exposed: no series twice, and no more of them than the account may have.

use std::collections::HashSet;

use super::families::{Family, Reads, STATUSES, families, legacy_families};
use super::labels::cut;
use super::page::{InstanceEntry, Page, ServiceEntry};
use super::render::Options;
use crate::cloud::model::{Sample, ServiceFacts};

/// The objects of a page whose series are exposed, in the page's order.
#[derive(Debug, Default)]
pub(super) struct Selection<'a> {
    /// Services whose own series are exposed.
    pub(super) services: Vec<&'a ServiceEntry>,
    /// Instances whose series are exposed.
    pub(super) instances: Vec<Chosen<'a>>,
    /// All series of the selection, those of the account included.
    pub(super) series: usize,
    /// Series left out because an earlier object has the same labels.
    pub(super) duplicates: u64,
    /// Series left out because the account has its most.
    pub(super) over_limit: u64,
}

/// An instance whose series are exposed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chosen<'a> {
    pub(super) service: &'a ServiceEntry,
    pub(super) instance: &'a InstanceEntry,
    /// Whether no earlier instance has its name in a service of the same name: legacy labels hold no more.
    pub(super) legacy: bool,
}

/// Chooses from a page. The oldest objects stay; from the first that does not fit as a whole, all are left out,
/// so that a series does not come and go with the size of its neighbours.
pub(super) fn select<'a>(page: &'a Page, options: &Options, account_series: usize) -> Selection<'a> {
    let mut selection = Selection { series: account_series, ..Selection::default() };
    let mut full = false;
    let mut room = |selection: &mut Selection<'a>, series: usize| {
        full = full || selection.series + series > options.max_series;
        if full {
            selection.over_limit += series as u64;
        } else {
            selection.series += series;
        }
        !full
    };
    let mut seen = Seen::default();
    for service in &page.services {
        let own = if options.modern { service_series(&service.facts) } else { 0 };
        if !seen.services.insert(service.labels.as_str()) {
            selection.duplicates += own as u64;
        } else if own > 0 && room(&mut selection, own) {
            selection.services.push(service);
        }
        for instance in &service.instances {
            let modern = if options.modern { instance_series(instance) } else { 0 };
            let legacy = if options.legacy { legacy_series(instance) } else { 0 };
            if !seen.instances.insert(instance.labels.as_str()) {
                selection.duplicates += (modern + legacy) as u64;
                continue;
            }
            let first =
                legacy > 0 && seen.legacy.insert((cut(&service.facts.name), cut(&instance.facts.name)));
            if legacy > 0 && !first {
                selection.duplicates += legacy as u64;
            }
            if room(&mut selection, modern + if first { legacy } else { 0 }) {
                selection.instances.push(Chosen { service, instance, legacy: first });
            }
        }
    }
    selection
}

/// Which labels have been taken.
#[derive(Default)]
struct Seen<'a> {
    services: HashSet<&'a str>,
    instances: HashSet<&'a str>,
    legacy: HashSet<(&'a str, &'a str)>,
}

/// The statuses that a service has a series of, each with its value; none if the cloud says none.
pub(super) fn statuses(facts: &ServiceFacts) -> impl Iterator<Item = (&str, f64)> {
    let present = facts.status.as_deref();
    let other = present.filter(|present| !STATUSES.contains(present));
    let known = STATUSES.into_iter().filter(move |_| present.is_some());
    known.chain(other).map(move |status| (status, if Some(status) == present { 1.0 } else { 0.0 }))
}

fn service_series(facts: &ServiceFacts) -> usize {
    families()
        .iter()
        .map(|family| match family.reads {
            Reads::Service(read) => usize::from(read(facts).is_some()),
            Reads::ServiceInfo => 1,
            Reads::ServiceStatus => statuses(facts).count(),
            _ => 0,
        })
        .sum()
}

fn instance_series(instance: &InstanceEntry) -> usize {
    families()
        .iter()
        .map(|family| match family.reads {
            Reads::Instance(read) => usize::from(read(&instance.facts).is_some()),
            Reads::InstanceInfo => 1,
            Reads::Sample(read) => usize::from(instance.sample.as_ref().and_then(read).is_some()),
            _ => 0,
        })
        .sum()
}

fn legacy_series(instance: &InstanceEntry) -> usize {
    let has = |family: &Family, sample: &Sample| match family.reads {
        Reads::Sample(read) => usize::from(read(sample).is_some()),
        _ => 0,
    };
    let count = |sample| legacy_families().iter().map(|family| has(family, sample)).sum();
    instance.sample.as_ref().map_or(0, count)
}
