//! The apps of an account: the services of the world, each an app of its own or a component beside others.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::simulator::numbers::{hash_text, hex};
use crate::simulator::world::{Service, World};

/// An app with the components that have instances all the time.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) services: Vec<Service>,
}

impl App {
    fn new(world: &World, (name, group): &Key, services: Vec<Service>) -> Self {
        Self { id: id(world, name, *group), name: name.clone(), services }
    }

    /// A number of the app's own, to vary what an app has.
    pub(super) fn variant(&self) -> u64 {
        hash_text(&self.name)
    }
}

/// Name, and whether several services share the app.
type Key = (String, bool);

fn key(service: &Service) -> Key {
    service.application.clone().map_or_else(|| (service.name.clone(), false), |name| (name, true))
}

/// All apps at a time, in the order of the world.
pub(super) fn all(world: &World, now: f64) -> Vec<App> {
    let mut places: HashMap<Key, usize> = HashMap::new();
    let mut apps: Vec<App> = Vec::new();
    for service in world.services(now) {
        let key = key(&service);
        let place = *places.entry(key.clone()).or_insert(apps.len());
        match apps.get_mut(place) {
            Some(app) => app.services.push(service),
            None => apps.push(App::new(world, &key, vec![service])),
        }
    }
    apps
}

/// Finds apps by their id. An id says nothing of the name, so those that were seen are remembered.
#[derive(Debug, Default)]
pub(super) struct Index(RwLock<HashMap<String, Key>>);

impl Index {
    /// The app of this id at a time, if the world has it.
    pub(super) fn find(&self, world: &World, id: &str, now: f64) -> Option<App> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        let Some((name, group)) = known else {
            self.remember(&all(world, now), world);
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
            return Self::build(world, &known?, now).filter(|app| app.id == id);
        };
        Self::build(world, &(name, group), now).filter(|app| app.id == id)
    }

    /// The name of an app that was seen.
    pub(super) fn name(&self, id: &str) -> Option<String> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).get(id)?.0.clone())
    }

    /// Remembers the apps of a list.
    pub(super) fn remember(&self, apps: &[App], world: &World) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for app in apps.iter().filter(|app| !app.services.is_empty()) {
            let key = key(&app.services[0]);
            known.entry(id(world, &key.0, key.1)).or_insert(key);
        }
    }

    fn build(world: &World, key: &Key, now: f64) -> Option<App> {
        let (name, group) = key;
        let services = if *group {
            world.page(now, 0, usize::MAX, Some(name))
        } else {
            world.service(now, name, None).into_iter().collect()
        };
        (!services.is_empty()).then(|| App::new(world, key, services))
    }
}

/// The id of an app: it stays the same for as long as its name does.
fn id(world: &World, name: &str, group: bool) -> String {
    let seed = world.settings().seed ^ hash_text(name) ^ u64::from(group);
    let digits = hex(seed, 32);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}
