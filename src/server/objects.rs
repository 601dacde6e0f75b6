//! What the filter's keys mean for an account, a service and an instance.

use super::filter::{Filtered, Key};
use crate::cloud::model::State;
use crate::collector::registry::Listed;
use crate::exposition::values::{InstanceEntry, ServiceEntry};

/// A service with its account.
#[derive(Clone, Copy)]
pub(super) struct ServiceOf<'a> {
    pub(super) account: &'a Listed,
    pub(super) service: &'a ServiceEntry,
}

/// An instance with its service.
pub(super) struct InstanceOf<'a> {
    pub(super) service: ServiceOf<'a>,
    pub(super) instance: &'a InstanceEntry,
}

type Test<'a> = &'a dyn Fn(&str) -> bool;

fn some(value: Option<&str>, test: Test<'_>) -> bool {
    value.is_some_and(test)
}

impl Filtered for Listed {
    fn any(&self, key: &Key, test: Test<'_>) -> bool {
        match key {
            Key::Account => test(&self.id().name) || test(&self.id().to_string()),
            Key::Namespace => test(&self.id().namespace),
            Key::Provider => test(self.provider()),
            Key::State => test(self.reason()),
            Key::Label(name) => {
                // Names of labels are case sensitive, and the expression is in lower case.
                let labels = self.targets().first().map(|target| &target.labels[..]).unwrap_or_default();
                labels.iter().any(|(label, value)| label.eq_ignore_ascii_case(name) && test(value))
            }
            Key::Application | Key::Service | Key::Instance | Key::Image | Key::Tag | Key::Region => false,
        }
    }
}

impl Filtered for ServiceOf<'_> {
    fn any(&self, key: &Key, test: Test<'_>) -> bool {
        let facts = &self.service.facts;
        match key {
            Key::Application => some(facts.application.as_deref(), test),
            Key::Service => test(&facts.name),
            Key::State => {
                facts.state.is_some_and(|state| test(state.as_str())) || some(facts.status.as_deref(), test)
            }
            Key::Image => facts.image.as_deref().is_some_and(|image| {
                test(image) || image.rsplit_once('/').is_some_and(|(_, last)| test(last))
            }),
            Key::Tag => some(facts.image_tag.as_deref(), test),
            Key::Region => {
                let own = |instance: &InstanceEntry| some(region(instance), test);
                some(facts.region.as_deref(), test) || self.service.instances.iter().any(own)
            }
            Key::Instance => {
                let named = |instance: &InstanceEntry| test(&instance.facts.name) || test(&instance.facts.id);
                self.service.instances.iter().any(named)
            }
            Key::Account | Key::Namespace | Key::Provider | Key::Label(_) => self.account.any(key, test),
        }
    }
}

impl Filtered for InstanceOf<'_> {
    fn any(&self, key: &Key, test: Test<'_>) -> bool {
        let facts = &self.instance.facts;
        match key {
            Key::Instance => test(&facts.name) || test(&facts.id),
            Key::State => some(facts.state.map(State::as_str), test),
            Key::Region => {
                some(region(self.instance).or_else(|| self.service.service.facts.region.as_deref()), test)
            }
            other => self.service.any(other, test),
        }
    }
}

fn region(instance: &InstanceEntry) -> Option<&str> {
    instance.facts.overrides.as_deref()?.region.as_deref()
}
