//! An environment as far as a cycle knows it, and the services that come of it. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use super::facts::ListedService;
use super::http_traffic;
use super::usage::{InstanceUsage, Measured, RESOLUTION, Usage};
use crate::cloud::kit::{Arrivals, KeptBytes, Moment, Pages, entry_bytes, instance_bytes};
use crate::cloud::model::{Instance, InstanceFacts, Overrides, Reading, Sample, Service};

/// What the next cycle should know.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The facts of the instances, by their ids.
    pub(super) instances: HashMap<String, Arc<InstanceFacts>>,
    /// When environments have something new, by their ids.
    pub(super) environments: HashMap<String, EnvironmentArrivals>,
}

impl KeptBytes for Kept {
    fn kept_bytes(&self) -> usize {
        let instances = self.instances.iter();
        let instances: usize = instances.map(|(id, facts)| id.len() + instance_bytes(facts)).sum();
        let environments = self.environments.keys();
        environments.map(|id| entry_bytes::<EnvironmentArrivals>(id.len())).sum::<usize>() + instances
    }
}

/// When the next points of an environment can be there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EnvironmentArrivals {
    /// Those of its instances.
    pub(super) usage: Arrivals,
    /// Those of the HTTP traffic of its services.
    pub(super) traffic: Arrivals,
}

/// An environment as far as it is known.
pub(super) struct PartialEnvironment {
    pub(super) id: String,
    pub(super) project: String,
    /// The application of its services.
    pub(super) application: Arc<str>,
    pub(super) pages: Pages<String>,
    pub(super) services: Vec<PartialService>,
    /// When its next points can be there, as earlier cycles found out.
    pub(super) arrivals: EnvironmentArrivals,
    /// Whether the measurements were asked for.
    pub(super) asked_usage: bool,
    /// What was measured of its instances. `None` until the answer has arrived.
    pub(super) usage: Option<Usage>,
    /// Requests without a response.
    pub(super) pending: usize,
}

/// A service of an environment, and what is known of its HTTP traffic.
pub(super) struct PartialService {
    pub(super) listed: ListedService,
    pub(super) traffic: Traffic,
}

/// The HTTP traffic of a service.
pub(super) enum Traffic {
    /// It was not asked for: there is none, or the settings do not want it.
    NotAsked,
    /// It was not asked for, since the last answer had the newest there is.
    Current,
    /// It was asked for, and no answer has arrived.
    Unread,
    /// What the answer says, if anything.
    Read(Option<Sample>),
}

impl PartialEnvironment {
    /// An environment of which nothing is known yet.
    pub(super) fn new(
        id: String,
        project: String,
        application: String,
        arrivals: EnvironmentArrivals,
    ) -> Self {
        Self {
            id,
            project,
            application: application.into(),
            // The first page has no cursor.
            pages: Pages::starting_at(String::new()),
            services: Vec::new(),
            arrivals,
            asked_usage: false,
            usage: None,
            pending: 0,
        }
    }

    /// Its arrivals after the answers to a cycle that began at this moment. What could not be read is due again at once.
    pub(super) fn arrivals(&self, started: Moment) -> EnvironmentArrivals {
        let EnvironmentArrivals { mut usage, mut traffic } = self.arrivals;
        if let Some(answer) = &self.usage {
            let newest = answer.values().filter_map(InstanceUsage::newest_time).max_by(f64::total_cmp);
            usage.answered(started, RESOLUTION.into(), newest);
        }
        let of_services = || self.services.iter().map(|service| &service.traffic);
        let read = |traffic: &Traffic| matches!(traffic, Traffic::Read(_));
        if of_services().any(read) && !of_services().any(|traffic| matches!(traffic, Traffic::Unread)) {
            let newest = of_services().filter_map(Traffic::newest_time).max_by(f64::total_cmp);
            traffic.answered(started, RESOLUTION.into(), newest);
        }
        EnvironmentArrivals { usage, traffic }
    }

    /// Its services. The instances of the cycle before give regions and limits where no measurements have arrived.
    pub(super) fn into_services(self, before: &Kept) -> Vec<Service> {
        let (usage, asked_usage) = (self.usage, self.asked_usage);
        let instance = |facts: Arc<InstanceFacts>| {
            let Some(usage) = &usage else {
                let kept = before.instances.get(&facts.id);
                let known = kept.and_then(|facts| facts.overrides.as_deref().cloned());
                let reading = if asked_usage {
                    Reading { unread: Measured::MEASUREMENTS, ..Reading::default() }
                } else {
                    Reading { current: Measured::MEASUREMENTS, ..Reading::default() }
                };
                return Instance { facts: completed(facts, known), reading };
            };
            let usage = usage.get(&facts.id);
            // Without a value there is none, rather than that it was not read.
            let reading = Reading { sample: usage.and_then(InstanceUsage::sample), ..Reading::default() };
            Instance { facts: completed(facts, usage.map(InstanceUsage::overrides)), reading }
        };
        let service = |PartialService { listed, traffic }: PartialService| Service {
            facts: listed.facts,
            reading: traffic.into_reading(),
            instances: Ok(listed.instances.into_iter().map(instance).collect()),
        };
        self.services.into_iter().map(service).collect()
    }
}

/// An instance with its own region and limits, if any of them is known.
fn completed(mut facts: Arc<InstanceFacts>, overrides: Option<Overrides>) -> Arc<InstanceFacts> {
    let own = overrides.filter(|own| *own != Overrides::default());
    Arc::make_mut(&mut facts).overrides = own.map(Box::new);
    facts
}

impl Traffic {
    fn newest_time(&self) -> Option<f64> {
        let Self::Read(Some(sample)) = self else { return None };
        Some(sample.timestamp())
    }

    fn into_reading(self) -> Reading {
        match self {
            Self::NotAsked => Reading::default(),
            Self::Current => Reading { current: http_traffic::MEASUREMENTS, ..Reading::default() },
            Self::Unread => Reading { unread: http_traffic::MEASUREMENTS, ..Reading::default() },
            Self::Read(sample) => Reading { sample, ..Reading::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_and_environments_count_with_all_else_that_is_kept() {
        let bytes = |count: usize| {
            let ids = || (0..count).map(|number| format!("{number:0>100}"));
            let facts = |id: String| InstanceFacts { name: id.clone(), id, ..InstanceFacts::default() };
            let instances = ids().map(|id| (id.clone(), Arc::new(facts(id)))).collect();
            let environments = ids().map(|id| (id, EnvironmentArrivals::default())).collect();
            Kept { instances, environments }.kept_bytes()
        };
        // Four texts of 100 bytes each.
        let bytes = bytes(10_000) - bytes(0);
        assert!((10_000 * 500..10_000 * 2_000).contains(&bytes), "{bytes} bytes of 10,000 of each");
    }
}
