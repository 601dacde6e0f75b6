//! The projects of an account: applications of the world are projects, and what has none is in the project of every new
//! account. Each project has a service that only builds, besides those of the world.

use crate::simulator::numbers::hash_text;
use crate::simulator::world::{Service, World};

/// The project of services that belong to no application.
pub(super) const DEFAULT: &str = "default-project";

/// The id of the service that builds.
pub(super) const BUILDER: &str = "builder";

/// The ids of all projects, in the order of the world.
pub(super) fn all(world: &World, now: f64) -> Vec<String> {
    let mut ids = vec![DEFAULT.to_owned()];
    for service in world.services(now) {
        if let Some(application) = service.application
            && !ids.contains(&application)
        {
            ids.push(application);
        }
    }
    ids
}

/// Whether there is a project of this id.
pub(super) fn exists(world: &World, project: &str, now: f64) -> bool {
    project == DEFAULT || world.page(now, 0, 1, Some(project)).len() == 1
}

/// The services of a project, without the one that builds.
pub(super) fn services(world: &World, project: &str, now: f64) -> Vec<Service> {
    if project == DEFAULT {
        return world.services(now).filter(|service| service.application.is_none()).collect();
    }
    world.page(now, 0, usize::MAX, Some(project))
}

/// A service of a project, if it runs anything.
pub(super) fn service(world: &World, project: &str, id: &str, now: f64) -> Option<Service> {
    world.service(now, id, (project != DEFAULT).then_some(project))
}

/// A number of the service's own, to vary what services have.
pub(super) fn variant(service: &Service) -> u64 {
    hash_text(&service.uuid)
}

/// An id as people write the name behind it: `web-frontend` is "Web Frontend".
pub(super) fn title(id: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect::<String>())
            .unwrap_or_default()
    };
    id.split('-').map(capital).collect::<Vec<_>>().join(" ")
}
