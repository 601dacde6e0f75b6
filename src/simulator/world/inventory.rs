//! A world: one account's services at any time. Builds only the services that a question is about.

use std::sync::atomic::{AtomicU64, Ordering};

use super::instance::{Instance, Point};
use super::names;
use super::service::{Service, Slot};
use super::settings::WorldSettings;

/// One account's services and instances at any time since January 2015.
#[derive(Debug)]
pub struct World {
    settings: WorldSettings,
    built: AtomicU64,
}

impl World {
    /// A world of these settings.
    pub fn new(settings: WorldSettings) -> Self {
        Self { settings, built: AtomicU64::new(0) }
    }

    /// Its settings.
    pub fn settings(&self) -> &WorldSettings {
        &self.settings
    }

    /// All services at a time; the iterator builds them one by one.
    pub fn services(&self, now: f64) -> impl Iterator<Item = Service> + '_ {
        self.slots(now, None).map(|slot| self.build(&slot))
    }

    /// How many services there are at a time, in one application if it is given. Builds no service.
    pub fn count(&self, now: f64, application: Option<&str>) -> usize {
        if self.settings.churn <= 0.0 && application.is_none() {
            return self.settings.services;
        }
        self.slots(now, application).count()
    }

    /// `limit` services from index `first` on, in one application if it is given. Builds no others.
    pub fn page(&self, now: f64, first: usize, limit: usize, application: Option<&str>) -> Vec<Service> {
        let build = |slot: Slot| self.build(&slot);
        if self.settings.churn <= 0.0 && application.is_none() {
            let last = first.saturating_add(limit).min(self.settings.services);
            return (first..last).map(|number| build(Slot::at(&self.settings, number, now))).collect();
        }
        self.slots(now, application).skip(first).take(limit).map(build).collect()
    }

    /// The service of this name, in no application or in the given one. Builds no other.
    pub fn service(&self, now: f64, name: &str, application: Option<&str>) -> Option<Service> {
        let base = names::without_generation(name);
        let first_member = self.settings.services.saturating_sub(self.settings.applications);
        let number = match application {
            Some(application) => names::member_number(application, base)?.checked_add(first_member)?,
            None => names::standalone_slot(base)?,
        };
        let slot = Some(Slot::at(&self.settings, number, now))
            .filter(|slot| number < self.settings.services && slot.exists())?;
        let (its_application, its_name) = slot.names(&self.settings);
        (its_name == name && its_application.as_deref() == application).then(|| self.build(&slot))
    }

    /// The measurements of an instance at a time; `None` before it was created.
    pub fn point(&self, instance: &Instance, time: i64) -> Option<Point> {
        instance.point(time)
    }

    /// How many services were built since the start: what responses cost.
    pub fn built(&self) -> u64 {
        self.built.load(Ordering::Relaxed)
    }

    fn slots<'a>(&'a self, now: f64, application: Option<&'a str>) -> impl Iterator<Item = Slot> + 'a {
        let first_member = self.settings.services.saturating_sub(self.settings.applications);
        let from = if application.is_some() { first_member } else { 0 };
        (from..self.settings.services)
            .map(move |number| Slot::at(&self.settings, number, now))
            .filter(Slot::exists)
            .filter(move |slot| {
                application.is_none() || slot.names(&self.settings).0.as_deref() == application
            })
    }

    fn build(&self, slot: &Slot) -> Service {
        self.built.fetch_add(1, Ordering::Relaxed);
        slot.service(&self.settings)
    }
}
