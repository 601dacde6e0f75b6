//! Keeps what is exposed of an account after each cycle: the newest values, and older ones for as long as allowed.
//!
//! The rules: a complete list without an object drops it now; a list that ends early deletes nothing; what could
//! not be read keeps its last values for `stale_after`, then they go. Pure: time comes in, values go out.

mod retained;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::account::AccountId;
use crate::cloud::model::{Collection, Instance, InstanceFacts, Limits, Service, ServiceFacts};
use crate::exposition::info::{altered_instance_values, altered_service_values};
use crate::exposition::labels::{Altered, LabelSet};
use crate::exposition::values::{InstanceEntry, ServiceEntry};
use retained::RetainedSample;

/// How long values stay that are not confirmed again.
#[derive(Debug, Clone, Copy)]
pub(super) struct StalenessPolicy {
    stale_after: Duration,
    grace_period: Option<(Instant, Instant)>,
}

impl StalenessPolicy {
    /// All values stay equally long.
    pub(super) const fn new(stale_after: Duration) -> Self {
        Self { stale_after, grace_period: None }
    }

    /// The same, but what was confirmed at the first of these moments stays until the second at least.
    pub(super) fn with_grace_period(self, grace_period: Option<(Instant, Instant)>) -> Self {
        Self { grace_period, ..self }
    }

    /// When a value expires that was confirmed at `since`.
    fn expiry(self, since: Instant) -> Instant {
        let stale = since + self.stale_after;
        match self.grace_period {
            Some((confirmed, until)) if confirmed == since => stale.max(until),
            _ => stale,
        }
    }
}

/// Bytes of a service besides texts, labels and values: here, in the snapshot, and as a line. A list has room for twice as
/// many, and the allocator takes some 16 bytes a piece.
const SERVICE_BYTES: usize = size_of::<ServiceFacts>()
    + 2 * (size_of::<RetainedService>() + size_of::<ServiceEntry>())
    + 12 * ALLOCATION
    + LINE;
/// The same of an instance.
const INSTANCE_BYTES: usize = size_of::<InstanceFacts>()
    + 2 * (size_of::<RetainedInstance>() + size_of::<InstanceEntry>())
    + 5 * ALLOCATION
    + LINE;
/// What the allocator takes for itself.
const ALLOCATION: usize = 16;
/// A line's name and value.
const LINE: usize = 64;

/// The values of one account that are not stale.
#[derive(Debug)]
pub(super) struct RetainedValues {
    labels: LabelSet,
    services: Vec<RetainedService>,
    /// When a cycle last succeeded, even without any service; `None` once that is stale.
    seen: Option<Instant>,
    altered_labels: Altered,
}

/// A service as last seen.
#[derive(Debug)]
struct RetainedService {
    facts: Arc<ServiceFacts>,
    labels: LabelSet,
    seen: Instant,
    sample: RetainedSample,
    instances: Vec<RetainedInstance>,
}

/// An instance as last seen.
#[derive(Debug)]
struct RetainedInstance {
    facts: Arc<InstanceFacts>,
    labels: LabelSet,
    seen: Instant,
    sample: RetainedSample,
}

/// Two applications may each have a service of the same name, and some clouds allow two in one.
type ServiceKey = (String, Option<String>, Option<String>);
/// An instance that is renamed is another series, and so another instance here.
type InstanceKey = (String, String);

fn service_key(facts: &ServiceFacts) -> ServiceKey {
    (facts.name.clone(), facts.application.clone(), facts.id.clone())
}

fn instance_key(facts: &InstanceFacts) -> InstanceKey {
    (facts.id.clone(), facts.name.clone())
}

impl RetainedValues {
    /// No values yet.
    pub(super) fn new(id: &AccountId) -> Self {
        let labels = LabelSet::account(&id.namespace, &id.name);
        Self { labels, services: Vec::new(), seen: None, altered_labels: Altered::default() }
    }

    /// Values that were all confirmed at one moment.
    pub(super) fn confirmed(id: &AccountId, services: Vec<ServiceEntry>, at: Instant) -> Self {
        let services = services.into_iter().map(|service| RetainedService::confirmed(service, at)).collect();
        Self { services, seen: Some(at), ..Self::new(id) }
    }

    /// The labels of the account's own gauges.
    pub(super) fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// How many label values were altered since the last call.
    pub(super) fn take_altered_labels(&mut self) -> Altered {
        std::mem::take(&mut self.altered_labels)
    }

    /// How many services and instances there are.
    pub(super) fn len(&self) -> usize {
        self.services.iter().map(|service| 1 + service.instances.len()).sum()
    }

    /// The memory that the values take here, in the snapshot made of them and, as lines of one family, while they are
    /// rendered. In bytes; some more rather than less.
    pub(super) fn bytes(&self) -> usize {
        let instance = |instance: &RetainedInstance| {
            INSTANCE_BYTES
                + instance.facts.text_bytes()
                + 2 * instance.labels.as_str().len()
                + instance.sample.bytes()
        };
        let service = |service: &RetainedService| {
            SERVICE_BYTES
                + service.facts.text_bytes()
                + 2 * service.labels.as_str().len()
                + service.sample.bytes()
                + service.instances.iter().map(instance).sum::<usize>()
        };
        self.services.iter().map(service).sum()
    }

    /// Whether nothing is left of the results of all cycles.
    pub(super) fn are_gone(&self) -> bool {
        self.seen.is_none()
    }

    /// Merges the result of a cycle. Objects keep the order in which they were first seen.
    pub(super) fn merge(&mut self, collection: &Collection, now: Instant) {
        self.seen = Some(now);
        let mut known: HashMap<ServiceKey, usize> = HashMap::with_capacity(self.services.len());
        for (index, service) in self.services.iter().enumerate() {
            known.entry(service_key(&service.facts)).or_insert(index);
        }
        for service in &collection.services {
            let key = service_key(&service.facts);
            let index = *known.entry(key).or_insert(self.services.len());
            if index == self.services.len() {
                let (labels, of_labels) =
                    self.labels.service(service.facts.application.as_deref(), &service.facts.name);
                self.altered_labels += of_labels + altered_service_values(&service.facts, None);
                self.services.push(RetainedService {
                    facts: Arc::clone(&service.facts),
                    labels,
                    seen: now,
                    sample: RetainedSample::default(),
                    instances: Vec::new(),
                });
            }
            self.altered_labels += self.services[index].merge(service, now);
        }
        if collection.cut_short.is_none() {
            self.services.retain(|service| service.seen == now);
        }
    }

    /// Drops what was last confirmed too long ago; true if anything was dropped.
    pub(super) fn expire(&mut self, policy: StalenessPolicy, now: Instant) -> bool {
        let fresh = |since: Instant| now < policy.expiry(since);
        let mut gone = false;
        self.seen = self.seen.filter(|since| fresh(*since));
        self.services.retain_mut(|service| {
            let before = service.instances.len();
            service.instances.retain_mut(|instance| {
                gone |= instance.sample.expire(fresh);
                fresh(instance.seen)
            });
            gone |= service.sample.expire(fresh);
            gone |= service.instances.len() < before || !fresh(service.seen);
            fresh(service.seen)
        });
        gone
    }

    /// When the next value goes stale, if nothing new comes.
    pub(super) fn next_expiry(&self, policy: StalenessPolicy) -> Option<Instant> {
        let of_instance = |instance: &RetainedInstance| {
            instance.sample.oldest().map_or(instance.seen, |since| since.min(instance.seen))
        };
        let of_service = |service: &RetainedService| {
            let instances = service.instances.iter().map(of_instance);
            instances.chain(service.sample.oldest()).chain([service.seen]).min()
        };
        let oldest = self.services.iter().filter_map(of_service).chain(self.seen).min();
        oldest.map(|oldest| policy.expiry(oldest))
    }

    /// The values as the exposition takes them.
    pub(super) fn entries(&self) -> Vec<ServiceEntry> {
        self.services.iter().map(RetainedService::entry).collect()
    }
}

impl RetainedService {
    fn confirmed(entry: ServiceEntry, at: Instant) -> Self {
        let ServiceEntry { labels, facts, sample, instances } = entry;
        let instance = |InstanceEntry { labels, facts, sample }| RetainedInstance {
            facts,
            labels,
            seen: at,
            sample: RetainedSample::confirmed(sample, at),
        };
        let instances = instances.into_iter().map(instance).collect();
        Self { facts, labels, seen: at, sample: RetainedSample::confirmed(sample, at), instances }
    }

    fn entry(&self) -> ServiceEntry {
        let instance = |instance: &RetainedInstance| InstanceEntry {
            labels: instance.labels.clone(),
            facts: Arc::clone(&instance.facts),
            sample: instance.sample.sample(&instance.facts.limits(&self.facts)),
        };
        ServiceEntry {
            labels: self.labels.clone(),
            facts: Arc::clone(&self.facts),
            sample: self.sample.sample(&Limits::default()),
            instances: self.instances.iter().map(instance).collect(),
        }
    }

    /// Merges what a cycle returned of this service; returns how many label values were altered.
    fn merge(&mut self, service: &Service, now: Instant) -> Altered {
        self.seen = now;
        let mut altered = Altered::default();
        if self.facts != service.facts {
            altered += altered_service_values(&service.facts, Some(&self.facts));
            self.facts = Arc::clone(&service.facts);
        }
        self.sample.merge(&service.reading, now);
        let Ok(instances) = &service.instances else { return altered };
        let mut known: HashMap<InstanceKey, usize> = HashMap::with_capacity(self.instances.len());
        for (index, instance) in self.instances.iter().enumerate() {
            known.entry(instance_key(&instance.facts)).or_insert(index);
        }
        for instance in instances {
            let index = *known.entry(instance_key(&instance.facts)).or_insert(self.instances.len());
            if index == self.instances.len() {
                let (labels, of_labels) = self.labels.instance(&instance.facts.name, &instance.facts.id);
                altered += of_labels + altered_instance_values(&instance.facts, None);
                self.instances.push(RetainedInstance {
                    facts: Arc::clone(&instance.facts),
                    labels,
                    seen: now,
                    sample: RetainedSample::default(),
                });
            }
            altered += self.instances[index].merge(instance, now);
        }
        self.instances.retain(|instance| instance.seen == now);
        altered
    }
}

impl RetainedInstance {
    /// Merges what a cycle returned of this instance; returns how many label values were altered.
    fn merge(&mut self, instance: &Instance, now: Instant) -> Altered {
        self.seen = now;
        self.sample.merge(&instance.reading, now);
        if self.facts == instance.facts {
            return Altered::default();
        }
        let altered = altered_instance_values(&instance.facts, Some(&self.facts));
        self.facts = Arc::clone(&instance.facts);
        altered
    }
}

#[cfg(test)]
mod tests;
