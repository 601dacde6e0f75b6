//! The labels of `caas_service_info` and `caas_instance_info`: facts to join to other series.

use super::labels::{Altered, push_next};
use super::values::{InstanceEntry, ServiceEntry};
use crate::cloud::model::{InstanceFacts, Overrides, ServiceFacts};

/// Reads one label's value from what the inventory says of a service.
type ReadService = fn(&ServiceFacts) -> Option<&str>;
/// Reads the same of one instance, where it has its own.
type ReadInstance = fn(&Overrides) -> Option<&str>;

/// A label of info families.
#[derive(Debug, Clone, Copy)]
pub struct InfoLabel {
    /// The label's name.
    pub name: &'static str,
    /// Whether an unknown value is an empty label, which Prometheus takes as absent, rather than none.
    pub empty_if_unknown: bool,
    /// Whether it is a label of services only.
    pub service_only: bool,
    read: ReadService,
    read_own: ReadInstance,
}

impl InfoLabel {
    const fn new(name: &'static str, read: ReadService, read_own: ReadInstance) -> Self {
        Self { name, empty_if_unknown: true, service_only: false, read, read_own }
    }
}

/// The labels of info families, in their order.
pub const INFO_LABELS: [InfoLabel; 6] = [
    InfoLabel::new("image", |facts| facts.image.as_deref(), |_| None),
    InfoLabel::new("image_tag", |facts| facts.image_tag.as_deref(), |_| None),
    InfoLabel { empty_if_unknown: false, ..InfoLabel::new("kind", |facts| facts.kind.as_deref(), |_| None) },
    InfoLabel::new("region", |facts| facts.region.as_deref(), |own| own.region.as_deref()),
    InfoLabel {
        empty_if_unknown: false,
        service_only: true,
        ..InfoLabel::new("service_id", |facts| facts.id.as_deref(), |_| None)
    },
    InfoLabel::new("size", |facts| facts.size.as_deref(), |own| own.size.as_deref()),
];

/// Replaces `joined` by the labels of a service's info, each after a comma.
pub(super) fn service_labels(joined: &mut String, service: &ServiceEntry) {
    joined.clear();
    for label in &INFO_LABELS {
        push(joined, label, (label.read)(&service.facts));
    }
}

/// Replaces `joined` by the labels of an instance's info, each after a comma.
pub(super) fn instance_labels(joined: &mut String, service: &ServiceEntry, instance: &InstanceEntry) {
    joined.clear();
    for label in INFO_LABELS.iter().filter(|label| !label.service_only) {
        let own = instance.facts.overrides.as_deref().and_then(label.read_own);
        push(joined, label, own.or_else(|| (label.read)(&service.facts)));
    }
}

fn push(joined: &mut String, label: &InfoLabel, value: Option<&str>) {
    if value.is_some() || label.empty_if_unknown {
        push_next(joined, label.name, value.unwrap_or_default());
    }
}

/// How many of the values that a service's info and status labels show are altered, except those that `before` shows
/// alike. For counting when the facts are first seen or changed; rendering alters them anyway.
pub fn altered_service_values(facts: &ServiceFacts, before: Option<&ServiceFacts>) -> Altered {
    let status: ReadService = |facts| facts.status.as_deref();
    let shown = INFO_LABELS.iter().map(|label| label.read).chain([status]);
    let altered = |read: ReadService| {
        let value = read(facts)?;
        (before.and_then(read) != Some(value)).then(|| Altered::of(value))
    };
    shown.filter_map(altered).sum()
}

/// The same for the values that an instance has of its own.
pub fn altered_instance_values(facts: &InstanceFacts, before: Option<&InstanceFacts>) -> Altered {
    let altered = |label: &InfoLabel| {
        let value = facts.overrides.as_deref().and_then(label.read_own)?;
        let known = before.and_then(|before| before.overrides.as_deref()).and_then(label.read_own);
        (known != Some(value)).then(|| Altered::of(value))
    };
    INFO_LABELS.iter().filter_map(altered).sum()
}

#[cfg(test)]
mod tests {
    use super::super::labels::MAX_VALUE_BYTES;
    use super::*;

    #[test]
    fn altered_values_are_counted_when_they_are_new() {
        let long = |letter: &str| Some(letter.repeat(MAX_VALUE_BYTES + 1));
        let before = ServiceFacts {
            image: long("x"),
            size: long("x"),
            status: long("x"),
            region: Some("bj".into()),
            ..Default::default()
        };
        assert_eq!(altered_service_values(&before, None).cut, 3);
        let facts = ServiceFacts { size: long("y"), running_instances: Some(3), ..before.clone() };
        assert_eq!(altered_service_values(&facts, Some(&before)).cut, 1);

        let own = |size| {
            let overrides = Overrides { size, ..Overrides::default() };
            InstanceFacts { overrides: Some(Box::new(overrides)), ..InstanceFacts::default() }
        };
        assert_eq!(altered_instance_values(&own(long("x")), None).cut, 1);
        assert_eq!(altered_instance_values(&own(long("x")), Some(&own(long("x")))).cut, 0);
        assert_eq!(altered_instance_values(&own(long("x")), Some(&own(None))).cut, 1);
    }
}
