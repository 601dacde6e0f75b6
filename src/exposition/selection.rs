//! What of an account is exposed: no series twice, and no more of them than the account may have.

use std::borrow::Cow;
use std::collections::HashSet;

use super::families::{INSTANCE_FACTS, Reads, SERVICE_FACTS};
use super::labels::exposed;
use super::options::Options;
use super::values::{AccountValues, InstanceEntry, ServiceEntry};
use crate::cloud::model::{Measurement, MeasurementSet, Sample, ServiceFacts, State};

/// The objects of an account whose series are exposed, in the account's order.
#[derive(Debug, Default)]
pub(super) struct Selection<'a> {
    /// Services whose own series are exposed.
    pub(super) services: Vec<&'a ServiceEntry>,
    /// Instances whose series are exposed.
    pub(super) instances: Vec<Chosen<'a>>,
    /// What any of them has a value of: the families of all else are empty.
    pub(super) measured: MeasurementSet,
    /// Whether any instance has a limit.
    pub(super) limits: bool,
    /// Whether any instance has a state.
    pub(super) instance_states: bool,
    /// All series of the selection, those of the account included.
    pub(super) series: usize,
    /// Series left out because an earlier object has the same labels.
    pub(super) duplicates: u64,
    /// The first service that has the labels of an earlier one.
    pub(super) first_duplicate: Option<&'a str>,
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

/// Chooses what to expose. The oldest objects stay; from the first that does not fit as a whole, all are left out,
/// so that a series does not come and go with the size of its neighbors.
pub(super) fn select<'a>(
    values: &'a AccountValues,
    options: &Options,
    account_series: usize,
) -> Selection<'a> {
    let mut selection = Selection { series: account_series, ..Selection::default() };
    let mut full = false;
    let mut fits = |selection: &mut Selection<'a>, series: usize| {
        full = full || selection.series + series > options.max_series;
        if full {
            selection.over_limit += series as u64;
        } else {
            selection.series += series;
        }
        !full
    };
    let mut seen = Seen::of(values, options);
    for service in &values.services {
        let own = if options.modern { service_series(service, values.status_words) } else { 0 };
        if !seen.services.insert(service.labels.as_str()) {
            selection.duplicates += own as u64;
            if own > 0 {
                selection.first_duplicate.get_or_insert(&service.facts.name);
            }
        } else if own > 0 && fits(&mut selection, own) {
            selection.measured = selection.measured.union(measured(service.sample.as_ref()));
            selection.services.push(service);
        }
        for instance in &service.instances {
            let modern = if options.modern { instance_series(service, instance) } else { 0 };
            let legacy = if options.legacy { legacy_series(instance) } else { 0 };
            if !seen.instances.insert(instance.labels.as_str()) {
                selection.duplicates += (modern + legacy) as u64;
                continue;
            }
            let first = legacy > 0
                && seen.legacy.insert((exposed(&service.facts.name), exposed(&instance.facts.name)));
            if legacy > 0 && !first {
                selection.duplicates += legacy as u64;
            }
            if fits(&mut selection, modern + if first { legacy } else { 0 }) {
                selection.measured = selection.measured.union(measured(instance.sample.as_ref()));
                selection.limits |= !instance.facts.limits(&service.facts).is_empty();
                selection.instance_states |= instance.facts.state.is_some();
                selection.instances.push(Chosen { service, instance, legacy: first });
            }
        }
    }
    selection
}

/// Which labels have been taken.
struct Seen<'a> {
    services: HashSet<&'a str>,
    instances: HashSet<&'a str>,
    legacy: HashSet<(Cow<'a, str>, Cow<'a, str>)>,
}

impl Seen<'_> {
    /// None yet. A set that grows hashes again all that it holds.
    fn of(values: &AccountValues, options: &Options) -> Self {
        let instances = values.services.iter().map(|service| service.instances.len()).sum();
        Self {
            services: HashSet::with_capacity(values.services.len()),
            instances: HashSet::with_capacity(instances),
            legacy: HashSet::with_capacity(if options.legacy { instances } else { 0 }),
        }
    }
}

/// The statuses that a service has a series of, each with its value; none if the cloud says none.
pub(super) fn statuses<'a>(
    facts: &'a ServiceFacts,
    words: &'static [&'static str],
) -> impl Iterator<Item = (&'a str, f64)> {
    let present = facts.status.as_deref();
    let other = present.filter(|present| !words.contains(present));
    let known = words.iter().copied().filter(move |_| present.is_some());
    known.chain(other).map(move |status| (status, if Some(status) == present { 1.0 } else { 0.0 }))
}

/// A series for each state, with its value; none if the state is not known.
pub(super) fn states(present: Option<State>) -> impl Iterator<Item = (&'static str, f64)> {
    let each = State::ALL.into_iter().filter(move |_| present.is_some());
    each.map(move |state| (state.as_str(), if Some(state) == present { 1.0 } else { 0.0 }))
}

fn service_series(service: &ServiceEntry, words: &'static [&'static str]) -> usize {
    let facts = &service.facts;
    let of_facts = SERVICE_FACTS.iter().map(|family| match family.reads {
        Reads::Service(read) => usize::from(read(facts).is_some()),
        Reads::ServiceInfo => 1,
        Reads::ServiceStatus => statuses(facts, words).count(),
        Reads::ServiceState => states(facts.state).count(),
        _ => 0,
    });
    of_facts.sum::<usize>() + count(service.sample.as_ref(), MeasurementSet::OF_SERVICES)
}

fn instance_series(service: &ServiceEntry, instance: &InstanceEntry) -> usize {
    let limits = instance.facts.limits(&service.facts);
    let of_facts = INSTANCE_FACTS.iter().map(|family| match family.reads {
        Reads::Instance(read) => usize::from(read(&instance.facts).is_some()),
        Reads::InstanceLimit(read) => usize::from(read(&limits).is_some()),
        Reads::InstanceInfo => 1,
        Reads::InstanceState => states(instance.facts.state).count(),
        Reads::SampleTime => usize::from(instance.sample.is_some()),
        _ => 0,
    });
    of_facts.sum::<usize>() + count(instance.sample.as_ref(), MeasurementSet::OF_INSTANCES)
}

fn legacy_series(instance: &InstanceEntry) -> usize {
    count(instance.sample.as_ref(), MeasurementSet::WITH_LEGACY_GAUGE)
}

fn count(sample: Option<&Sample>, measurements: MeasurementSet) -> usize {
    let exposed = |measured: &Measurement| measurements.contains(*measured);
    sample.map_or(0, |sample| sample.measurements().filter(exposed).count())
}

fn measured(sample: Option<&Sample>) -> MeasurementSet {
    sample.map_or(MeasurementSet::NONE, Sample::measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_the_provider_is_not_known_to_have_is_one_more() {
        let words: &'static [&'static str] = &["Running", "Stopped"];
        let shown = |status: Option<&str>| {
            let facts = ServiceFacts { status: status.map(str::to_owned), ..ServiceFacts::default() };
            statuses(&facts, words).map(|(word, value)| format!("{word}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(shown(Some("Stopped")), ["Running=0", "Stopped=1"]);
        assert_eq!(shown(Some("Error")), ["Running=0", "Stopped=0", "Error=1"]);
        assert_eq!(shown(None), [""; 0]);
    }
}
