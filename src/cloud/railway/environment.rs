//! An environment as far as a cycle knows it, and the services that come of it. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use super::facts::ListedService;
use super::http_traffic;
use super::usage::{InstanceUsage, Measured, Usage};
use crate::cloud::kit::Pages;
use crate::cloud::model::{Instance, InstanceFacts, Overrides, Reading, Sample, Service};

/// The facts of the instances of the cycle before, by their ids.
pub(super) type KeptInstances = HashMap<String, Arc<InstanceFacts>>;

/// An environment as far as it is known.
pub(super) struct PartialEnvironment {
    pub(super) id: String,
    pub(super) project: String,
    /// The application of its services.
    pub(super) application: Arc<str>,
    pub(super) pages: Pages<String>,
    pub(super) services: Vec<PartialService>,
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
    /// It was asked for, and no answer has arrived.
    Unread,
    /// What the answer says, if anything.
    Read(Option<Sample>),
}

impl PartialEnvironment {
    /// An environment of which nothing is known yet.
    pub(super) fn new(id: String, project: String, application: String) -> Self {
        Self {
            id,
            project,
            application: application.into(),
            // The first page has no cursor.
            pages: Pages::starting_at(String::new()),
            services: Vec::new(),
            asked_usage: false,
            usage: None,
            pending: 0,
        }
    }

    /// Its services. The instances of the cycle before give regions and limits where no measurements have arrived.
    pub(super) fn into_services(self, before: &KeptInstances) -> Vec<Service> {
        let usage = self.usage;
        let instance = |facts: Arc<InstanceFacts>| {
            let Some(usage) = &usage else {
                let known = before.get(&facts.id).and_then(|facts| facts.overrides.as_deref().cloned());
                let reading = Reading { unread: Measured::MEASUREMENTS, ..Reading::default() };
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
    fn into_reading(self) -> Reading {
        match self {
            Self::NotAsked => Reading::default(),
            Self::Unread => Reading { unread: http_traffic::MEASUREMENTS, ..Reading::default() },
            Self::Read(sample) => Reading { sample, ..Reading::default() },
        }
    }
}
