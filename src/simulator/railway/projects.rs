//! What an account's world is at Railway: an application is a project, and services without one share a project.
//!
//! Each project has the environments `production` and `staging`, and every second one that of a pull request. A service
//! exists in several of them under one name and id; each of its instances runs in one.

use crate::simulator::numbers::{hash, hash_text, hex};
use crate::simulator::sessions::Login;
use crate::simulator::world::{Instance, Service, World};

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Project {
    pub(super) id: String,
    pub(super) name: String,
    /// The world's application, unless it is the project of services without one.
    application: Option<String>,
}

/// An environment of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Environment {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) project: Project,
}

/// What an environment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Production,
    Staging,
    /// Of a pull request: it ends with that.
    Preview,
}

/// All projects at a time, in the order of the world.
pub(super) fn all(world: &World, now: f64) -> Vec<Project> {
    let mut projects: Vec<Project> = Vec::new();
    for service in world.services(now) {
        if !projects.iter().any(|project| project.application == service.application) {
            projects.push(Project::new(world, service.application));
        }
    }
    projects
}

/// The environment of this id, if the world has it at a time.
pub(super) fn environment(world: &World, now: f64, id: &str) -> Option<Environment> {
    all(world, now).iter().flat_map(Project::environments).find(|environment| environment.id == id)
}

/// The id of the workspace that all projects of an account are in.
pub(super) fn workspace(world: &World) -> String {
    uuid(&[world.settings().seed, 80])
}

impl Project {
    fn new(world: &World, application: Option<String>) -> Self {
        let name = application.clone().unwrap_or_else(|| world.settings().namespace.clone());
        let id = uuid(&[world.settings().seed, 81, hash_text(&name), u64::from(application.is_some())]);
        Self { id, name, application }
    }

    /// Its environments.
    pub(super) fn environments(&self) -> Vec<Environment> {
        let variant = hash_text(&self.id);
        let preview = (Kind::Preview, format!("{}-pr-{}", self.name, variant % 90 + 10));
        let mut kinds =
            vec![(Kind::Production, "production".to_owned()), (Kind::Staging, "staging".to_owned())];
        if variant.is_multiple_of(2) {
            kinds.push(preview);
        }
        let environment = |(kind, name): (Kind, String)| {
            let id = uuid(&[variant, 82, hash_text(&name)]);
            Environment { id, name, kind, project: self.clone() }
        };
        kinds.into_iter().map(environment).collect()
    }

    /// Its services at a time.
    fn services(&self, world: &World, now: f64) -> Vec<Service> {
        match &self.application {
            Some(application) => world.page(now, 0, usize::MAX, Some(application)),
            None => world.services(now).filter(|service| service.application.is_none()).collect(),
        }
    }
}

impl Environment {
    /// The services that it has at a time.
    pub(super) fn services(&self, world: &World, now: f64) -> Vec<Service> {
        let mut services = self.project.services(world, now);
        services.retain(|service| self.replicas(service) > 0);
        services
    }

    /// How many instances of a service it should run: one in the lesser environments, the others in production.
    pub(super) fn replicas(&self, service: &Service) -> usize {
        let [staging, preview] =
            [service.target >= 2, service.target >= 3 && self.has_preview()].map(usize::from);
        match self.kind {
            Kind::Production => service.target - staging - preview,
            Kind::Staging => staging,
            Kind::Preview => preview,
        }
    }

    /// The instances of a service that run in it.
    pub(super) fn instances(&self, service: &Service) -> Vec<Instance> {
        let production = Self { kind: Kind::Production, ..self.clone() }.replicas(service);
        let belongs = |instance: &Instance| match number(instance) {
            number if number < production => self.kind == Kind::Production,
            number if number + 1 == service.target => self.kind == Kind::Staging,
            _ => self.kind == Kind::Preview,
        };
        service.instances().filter(belongs).collect()
    }

    fn has_preview(&self) -> bool {
        hash_text(&self.project.id).is_multiple_of(2)
    }
}

/// The token of the first environment of an account's first project.
pub(super) fn project_token(login: &Login) -> String {
    uuid(&[hash_text(&login.password), 84])
}

/// The number of an instance in its service.
pub(super) fn number(instance: &Instance) -> usize {
    instance.name.rsplit_once('.').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}

/// An identifier in the usual form of a UUID.
pub(super) fn uuid(parts: &[u64]) -> String {
    let digits = hex(hash(parts), 32);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::world::WorldSettings;

    #[test]
    fn each_instance_runs_in_one_environment_and_each_environment_as_many_as_it_should() {
        let world = World::new(WorldSettings { services: 20, applications: 8, ..WorldSettings::default() });
        let now = 1.772e9;
        let projects = all(&world, now);
        assert_eq!(projects.len(), 5, "of twelve services, and four of two each");
        let mut instances = Vec::new();
        for environment in projects.iter().flat_map(Project::environments) {
            for service in environment.services(&world, now) {
                let here = environment.instances(&service);
                assert_eq!(
                    here.len(),
                    environment.replicas(&service),
                    "{} {}",
                    environment.name,
                    service.name
                );
                instances.extend(here.into_iter().map(|instance| instance.uuid));
            }
            assert_eq!(super::environment(&world, now, &environment.id), Some(environment));
        }
        assert_eq!(instances.len(), 100);
        instances.sort();
        instances.dedup();
        assert_eq!(instances.len(), 100);
    }
}
