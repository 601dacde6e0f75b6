//! What the services of the world are at Render: their kinds, workspaces, projects and environments, and what there is
//! beside them that has no instances.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::simulator::numbers::{hash, hash_text, hex};
use crate::simulator::world::{Instance, Service, World};

/// Seconds of an hour in which a cron job runs, from its start on.
const CRON_RUNS: f64 = 600.0;

/// A kind of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Web,
    Private,
    Worker,
    Cron,
    Static,
}

impl Kind {
    /// The API's word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Web => "web_service",
            Self::Private => "private_service",
            Self::Worker => "background_worker",
            Self::Cron => "cron_job",
            Self::Static => "static_site",
        }
    }
}

/// The kind of a service of the world. What offers a port serves HTTP, to everyone or to others of its network.
pub(super) fn kind(service: &Service) -> Kind {
    let variant = hash_text(&service.uuid) % 8;
    match (service.port, variant) {
        (_, 7) => Kind::Cron,
        (Some(_), 0) => Kind::Private,
        (Some(_), _) => Kind::Web,
        (None, _) => Kind::Worker,
    }
}

/// Whether a service may have instances at a time: a cron job only while it runs.
pub(super) fn runs(service: &Service, time: f64) -> bool {
    kind(service) != Kind::Cron || time.rem_euclid(3600.0) < CRON_RUNS
}

/// The id of a service, which stays the same as long as the service is the same.
pub(super) fn service_id(service: &Service) -> String {
    format!("srv-{}", hex(hash_text(&service.uuid), 20))
}

/// The id of an instance: its service's, and five characters of its own.
pub(super) fn instance_id(service: &str, instance: &Instance) -> String {
    format!("{service}-{}", hex(hash_text(&instance.uuid), 5))
}

/// An environment of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Environment {
    pub(super) project: &'static str,
    pub(super) name: &'static str,
}

/// The environment of an application of the world: two applications are environments of one project, so that each has a
/// service of a name that the other has too.
pub(super) fn environment(application: &str) -> Environment {
    let of = |project, name| Environment { project, name };
    match application.split('-').next().unwrap_or_default() {
        "shop" => of("shop", "production"),
        "analytics" => of("shop", "staging"),
        "intranet" => of("intranet", "production"),
        "wiki" => of("wiki", "production"),
        _ => of("chat", "production"),
    }
}

/// An id with this prefix of what has this name in this world.
pub(super) fn id(world: &World, prefix: &str, name: &str) -> String {
    format!("{prefix}-{}", hex(hash(&[world.settings().seed, hash_text(name)]), 20))
}

/// The id of an environment.
pub(super) fn environment_id(world: &World, Environment { project, name }: &Environment) -> String {
    id(world, "evm", &format!("{project}/{name}"))
}

/// The id of the workspace of services with or without a project: each has its own.
pub(super) fn workspace(world: &World, has_project: bool) -> String {
    id(world, "tea", if has_project { "projects" } else { "others" })
}

/// The environments that have services at a time, each once.
pub(super) fn environments(world: &World, now: f64) -> Vec<Environment> {
    let mut environments: Vec<Environment> = Vec::new();
    for service in world.services(now) {
        if let Some(application) = &service.application {
            let environment = environment(application);
            if !environments.contains(&environment) {
                environments.push(environment);
            }
        }
    }
    environments
}

/// Finds services by their id. An id says nothing of the name, so those that were seen are remembered.
#[derive(Debug, Default)]
pub(super) struct Index(RwLock<HashMap<String, Key>>);

/// Name and application.
type Key = (String, Option<String>);

impl Index {
    /// The name and application of the service of this id, if the world has it now or had it when it was listed.
    pub(super) fn key(&self, world: &World, id: &str, now: f64) -> Option<Key> {
        let known = |id: &str| self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        known(id).or_else(|| {
            self.remember(world.services(now).collect::<Vec<_>>().iter());
            known(id)
        })
    }

    /// The service of this id at a time.
    pub(super) fn find(&self, world: &World, id: &str, now: f64) -> Option<Service> {
        let (name, application) = self.key(world, id, now)?;
        world.service(now, &name, application.as_deref()).filter(|service| service_id(service) == id)
    }

    /// The name of a service that was seen.
    pub(super) fn name(&self, id: &str) -> Option<String> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).get(id)?.0.clone())
    }

    /// Remembers the services of a list.
    pub(super) fn remember<'a>(&self, services: impl Iterator<Item = &'a Service>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for service in services {
            known
                .entry(service_id(service))
                .or_insert_with(|| (service.name.clone(), service.application.clone()));
        }
    }
}
