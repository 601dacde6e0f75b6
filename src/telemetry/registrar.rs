//! Registers families and remembers their descriptions, since a registry does not report a family without series.

use std::cell::RefCell;

use prometheus::core::Collector;
use prometheus::proto::MetricType;
use prometheus::{IntCounterVec, Opts, Registry, Result};

/// The description of an own family, known before it has a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The family's name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// One sentence.
    pub help: String,
    /// The names of its labels.
    pub labels: Vec<String>,
}

/// A registry that is being filled.
#[derive(Default)]
pub(super) struct Registrar {
    registry: Registry,
    described: RefCell<Vec<Described>>,
}

impl Registrar {
    /// Registers a collector; fails where a family of that name exists.
    pub(super) fn register(&self, collector: Box<dyn Collector>) -> Result<()> {
        let of_collector = describe(collector.as_ref());
        self.registry.register(collector)?;
        self.described.borrow_mut().extend(of_collector);
        Ok(())
    }

    /// Adds the description of a family that is not collected with the others.
    pub(super) fn describe(&self, family: Described) {
        self.described.borrow_mut().push(family);
    }

    /// Everything that was registered.
    pub(super) fn finish(self) -> Registered {
        let mut described = self.described.into_inner();
        described.sort_by(|one, other| one.name.cmp(&other.name));
        Registered { registry: self.registry, described }
    }
}

/// A registry that is full.
pub(super) struct Registered {
    pub(super) registry: Registry,
    /// Its families in the order of their names.
    pub(super) described: Vec<Described>,
}

/// Makes a family and registers it.
pub(super) fn register<C: Collector + Clone + 'static>(
    registry: &Registrar,
    made: prometheus::Result<C>,
) -> C {
    // Names and labels are constants of these modules, and every test makes them all: this cannot fail.
    #[allow(clippy::expect_used)]
    let family = made.expect("a family of these modules is well formed");
    #[allow(clippy::expect_used)]
    registry.register(Box::new(family.clone())).expect("each family of these modules has a name of its own");
    family
}

/// A family of counters.
pub(super) fn counter(registry: &Registrar, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

fn describe(collector: &dyn Collector) -> Vec<Described> {
    let collected = collector.collect();
    let kind = |name: &str| {
        let family = collected.iter().find(|family| family.name() == name);
        match family.map(prometheus::proto::MetricFamily::get_field_type) {
            Some(MetricType::COUNTER) => "counter",
            Some(MetricType::HISTOGRAM) => "histogram",
            _ => "gauge",
        }
    };
    let described = |desc: &&prometheus::core::Desc| Described {
        name: desc.fq_name.clone(),
        kind: kind(&desc.fq_name),
        help: desc.help.clone(),
        labels: desc.variable_labels.clone(),
    };
    collector.desc().iter().map(described).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_without_series_is_described() {
        let registrar = Registrar::default();
        let family = IntCounterVec::new(Opts::new("logins_total", "Logins."), &["account", "code"]).unwrap();
        registrar.register(Box::new(family)).unwrap();

        let registered = registrar.finish();

        assert!(registered.registry.gather().is_empty());
        let labels = vec!["account".to_owned(), "code".to_owned()];
        let logins =
            Described { name: "logins_total".into(), kind: "counter", help: "Logins.".into(), labels };
        assert_eq!(registered.described, [logins]);
    }
}
