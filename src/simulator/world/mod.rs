//! What exists in a simulated cloud at a time, computed from a seed and a clock and never stored.
//!
//! Every question is answered by pure functions of (seed, time), so a world of 100,000 instances costs as much as
//! the page that is asked for. Knows nothing of HTTP and of any provider's format.

mod instance;
mod load;
mod names;
mod service;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

pub use instance::{Instance, LAG, MOST_POINTS, Point};
pub use service::{DEPLOYING, SIZES, Service, Size, Status};

use service::Slot;

/// What a world is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldSettings {
    /// Worlds of the same seed and settings are the same.
    pub seed: u64,
    /// The user or organization that everything in it belongs to.
    pub namespace: String,
    /// How many services there are (the most, where they come and go).
    pub services: usize,
    /// How many instances each service has (the usual number, where services scale).
    pub instances: usize,
    /// How many of the services belong to an application.
    pub applications: usize,
    /// The share of services that stop, start, scale, are redeployed, come and go: 0.0 (all numbers stay) to 1.0.
    pub churn: f64,
}

impl Default for WorldSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            namespace: "acme".to_owned(),
            services: 20,
            instances: 5,
            applications: 0,
            churn: 0.0,
        }
    }
}

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

    /// What it is made of.
    pub fn settings(&self) -> &WorldSettings {
        &self.settings
    }

    /// All services at a time, built one by one as they are asked for.
    pub fn services(&self, now: f64) -> impl Iterator<Item = Service> + '_ {
        self.slots(now, None).map(|slot| self.build(&slot))
    }

    /// How many services there are at a time, in one application if it is given. Builds none.
    pub fn count(&self, now: f64, application: Option<&str>) -> usize {
        if self.settings.churn <= 0.0 && application.is_none() {
            return self.settings.services;
        }
        self.slots(now, application).count()
    }

    /// `limit` services from the `first` on, in one application if it is given. Builds no others.
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

    /// The measurements of an instance at a time; `None` before it was made.
    pub fn point(&self, instance: &Instance, time: i64) -> Option<Point> {
        instance.point(time)
    }

    /// How many services were built since the world was made: what answers cost.
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
