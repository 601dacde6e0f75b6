//! What is exposed of an account after each cycle: the newest values, and older ones for as long as allowed.
//!
//! The rules: a complete list without an object drops it now; a list that ends early deletes nothing; what could
//! not be asked keeps its last values for `stale_after`, then they go. Pure: time comes in, values go out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::account::AccountId;
use crate::cloud::model::{Collection, Instance, InstanceFacts, Reading, Sample, Service, ServiceFacts};
use crate::exposition::labels::{LabelSet, cut_info_values};
use crate::exposition::page::{InstanceEntry, ServiceEntry};

/// How long values stay that are not confirmed again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    stale_after: Duration,
    spared: Option<(Instant, Instant)>,
}

impl Patience {
    /// All values stay equally long.
    pub(super) const fn of(stale_after: Duration) -> Self {
        Self { stale_after, spared: None }
    }

    /// The same, but what was confirmed at the first of these moments stays until the second at least.
    pub(super) fn sparing(self, spared: Option<(Instant, Instant)>) -> Self {
        Self { spared, ..self }
    }

    /// When a value goes that was confirmed at `since`.
    fn end(self, since: Instant) -> Instant {
        let stale = since + self.stale_after;
        match self.spared {
            Some((confirmed, until)) if confirmed == since => stale.max(until),
            _ => stale,
        }
    }
}

/// The values of one account that are not stale.
#[derive(Debug)]
pub(super) struct Values {
    labels: LabelSet,
    services: Vec<KeptService>,
    /// When a cycle brought something last, be it that there is no service; `None` once that is stale.
    seen: Option<Instant>,
    cut_labels: u64,
}

/// A service as last seen.
#[derive(Debug)]
struct KeptService {
    facts: Arc<ServiceFacts>,
    labels: LabelSet,
    seen: Instant,
    instances: Vec<KeptInstance>,
}

/// An instance as last seen.
#[derive(Debug)]
struct KeptInstance {
    facts: Arc<InstanceFacts>,
    labels: LabelSet,
    seen: Instant,
    sample: Option<(Sample, Instant)>,
}

/// Two applications may each have a service of the same name.
type ServiceKey = (String, Option<String>);
/// An instance that is renamed is another series, and so another instance here.
type InstanceKey = (String, String);

fn service_key(facts: &ServiceFacts) -> ServiceKey {
    (facts.name.clone(), facts.application.clone())
}

fn instance_key(facts: &InstanceFacts) -> InstanceKey {
    (facts.id.clone(), facts.name.clone())
}

impl Values {
    /// No values yet.
    pub(super) fn new(id: &AccountId) -> Self {
        let labels = LabelSet::account(&id.namespace, &id.name);
        Self { labels, services: Vec::new(), seen: None, cut_labels: 0 }
    }

    /// The labels of the account's own gauges.
    pub(super) fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// How many label values were cut since the last call.
    pub(super) fn take_cut_labels(&mut self) -> u64 {
        std::mem::take(&mut self.cut_labels)
    }

    /// Whether nothing is left of what cycles have brought.
    pub(super) fn are_gone(&self) -> bool {
        self.seen.is_none()
    }

    /// Takes in what a cycle brought. Objects keep the order in which they were first seen.
    pub(super) fn merge(&mut self, collection: &Collection, now: Instant) {
        self.seen = Some(now);
        let mut known: HashMap<ServiceKey, usize> = HashMap::with_capacity(self.services.len());
        for (place, service) in self.services.iter().enumerate() {
            known.entry(service_key(&service.facts)).or_insert(place);
        }
        for service in &collection.services {
            let key = service_key(&service.facts);
            let place = *known.entry(key).or_insert(self.services.len());
            if place == self.services.len() {
                let (labels, cut) = self.labels.service(&service.facts.name);
                self.cut_labels += cut + cut_info_values(&service.facts, None);
                self.services.push(KeptService {
                    facts: Arc::clone(&service.facts),
                    labels,
                    seen: now,
                    instances: Vec::new(),
                });
            }
            self.cut_labels += self.services[place].merge(service, now);
        }
        if collection.cut_short.is_none() {
            self.services.retain(|service| service.seen == now);
        }
    }

    /// Drops what was last confirmed too long ago; true if anything went.
    pub(super) fn expire(&mut self, patience: Patience, now: Instant) -> bool {
        let fresh = |since: Instant| now < patience.end(since);
        let mut gone = false;
        self.seen = self.seen.filter(|since| fresh(*since));
        self.services.retain_mut(|service| {
            let before = service.instances.len();
            service.instances.retain_mut(|instance| {
                if instance.sample.is_some_and(|(_, since)| !fresh(since)) {
                    instance.sample = None;
                    gone = true;
                }
                fresh(instance.seen)
            });
            gone |= service.instances.len() < before || !fresh(service.seen);
            fresh(service.seen)
        });
        gone
    }

    /// When the next value goes stale, if nothing new comes.
    pub(super) fn next_expiry(&self, patience: Patience) -> Option<Instant> {
        let of_instances = |service: &KeptService| {
            service
                .instances
                .iter()
                .map(|instance| instance.sample.map_or(instance.seen, |(_, since)| since.min(instance.seen)))
                .min()
        };
        self.services
            .iter()
            .map(|service| of_instances(service).map_or(service.seen, |since| since.min(service.seen)))
            .chain(self.seen)
            .min()
            .map(|oldest| patience.end(oldest))
    }

    /// The values as the exposition takes them.
    pub(super) fn entries(&self) -> Vec<ServiceEntry> {
        let instance = |instance: &KeptInstance| InstanceEntry {
            labels: instance.labels.clone(),
            facts: Arc::clone(&instance.facts),
            sample: instance.sample.map(|(sample, _)| sample),
        };
        self.services
            .iter()
            .map(|service| ServiceEntry {
                labels: service.labels.clone(),
                facts: Arc::clone(&service.facts),
                instances: service.instances.iter().map(instance).collect(),
            })
            .collect()
    }
}

impl KeptService {
    /// Takes in what a cycle brought of this service; returns how many label values were cut.
    fn merge(&mut self, service: &Service, now: Instant) -> u64 {
        self.seen = now;
        let mut cut_labels = 0;
        if self.facts != service.facts {
            cut_labels += cut_info_values(&service.facts, Some(&self.facts));
            self.facts = Arc::clone(&service.facts);
        }
        let Ok(instances) = &service.instances else { return cut_labels };
        let mut known: HashMap<InstanceKey, usize> = HashMap::with_capacity(self.instances.len());
        for (place, instance) in self.instances.iter().enumerate() {
            known.entry(instance_key(&instance.facts)).or_insert(place);
        }
        for instance in instances {
            let place = *known.entry(instance_key(&instance.facts)).or_insert(self.instances.len());
            if place == self.instances.len() {
                let (labels, cut) = self.labels.instance(&instance.facts.name, &instance.facts.id);
                cut_labels += cut;
                self.instances.push(KeptInstance {
                    facts: Arc::clone(&instance.facts),
                    labels,
                    seen: now,
                    sample: None,
                });
            }
            self.instances[place].merge(instance, now);
        }
        self.instances.retain(|instance| instance.seen == now);
        cut_labels
    }
}

impl KeptInstance {
    fn merge(&mut self, instance: &Instance, now: Instant) {
        self.seen = now;
        if self.facts != instance.facts {
            self.facts = Arc::clone(&instance.facts);
        }
        match instance.reading {
            Reading::Sample(sample) => self.sample = Some((sample, now)),
            Reading::NotRunning => self.sample = None,
            // A window without a point is common between two points, so it ages like a failure.
            Reading::NoData | Reading::Failed(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
