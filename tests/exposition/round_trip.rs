//! Any account, read back from its bodies by readers of our own: the strategies, what is expected, and the property.

use std::collections::BTreeMap;

use caas_operator::cloud::model::measurement::Owner;
use caas_operator::cloud::model::{
    InstanceFacts, Limits, MEASUREMENTS, Overrides, Sample, Scale, ServiceFacts, State,
};
use caas_operator::exposition::Options;
use caas_operator::exposition::values::{AccountGauges, AccountValues};
use proptest::prelude::*;

use crate::formats::{self, Labels, by_series, parse_openmetrics, parse_text};
use crate::pages::{ALL, page};
use crate::{inflated, render};

/// Text as a hostile cloud would have it.
fn name() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        '"', '\\', '\n', '\r', '\0', '\t', '{', '}', ',', '=', '#', ' ', '\u{9b}', '\u{202e}', '\u{2066}',
    ]);
    let character = prop_oneof![special, any::<char>(), prop::char::range('a', 'c')];
    prop::collection::vec(character, 0..8).prop_map(String::from_iter)
}

fn value() -> impl Strategy<Value = Option<f64>> {
    let finite = any::<f64>().prop_filter("clouds' numbers are finite", |value| value.is_finite());
    prop::option::of(prop_oneof![finite, (0..1_000_000_000_000_u64).prop_map(|whole| whole as f64)])
}

fn state() -> impl Strategy<Value = Option<State>> {
    prop::option::of(prop::sample::select(State::ALL.to_vec()))
}

prop_compose! {
    fn limits()(cpu_cores in value(), memory_bytes in value(), disk_bytes in value()) -> Limits {
        Limits { cpu_cores, memory_bytes, disk_bytes }
    }
}

prop_compose! {
    fn facts()(name in name(), [application, id, kind, image, image_tag, size, region, status] in
        prop::array::uniform8(prop::option::of(name())), known in any::<bool>(), state in state(),
        [desired_instances, running_instances, ready_instances] in prop::array::uniform3(prop::option::of(0..9_i64)),
        limits in limits()) -> ServiceFacts {
        let status = if known { Some("Stopped".into()) } else { status };
        ServiceFacts {
            name, application, id, status, state, kind, desired_instances, running_instances, ready_instances, image,
            image_tag, size, region, limits,
        }
    }
}

prop_compose! {
    /// Values of some of an owner's measurements, of several times and in several units.
    fn sample(owner: Owner)(values in prop::collection::vec(
        (prop::sample::select(MEASUREMENTS.iter().filter(|row| row.owner() == owner).collect::<Vec<_>>()), value(),
            0..4_000_000_000_u32, prop::sample::select(vec![Scale::Base, Scale::Percent, Scale::Nano]), "[a\"\\\\\n]{1,3}"), 0..9)
        ) -> Sample {
        let mut sample = Sample::builder();
        for (row, number, time, scale, label) in values {
            let (measurement, number, time) = (row.measurement, number.unwrap_or(0.0), f64::from(time));
            match row.label {
                Some(_) => sample.add_labeled(measurement, &label, scale, number, time),
                None => sample.add(measurement, scale, number, time),
            };
        }
        sample.build()
    }
}

prop_compose! {
    fn instance()(name in name(), id in name(), state in state(), started_at in value(), created_at in value(),
        own in any::<bool>(), region in prop::option::of(name()), size in prop::option::of(name()),
        limits in limits(), sample in prop::option::of(sample(Owner::Instance))) -> (InstanceFacts, Option<Sample>) {
        let overrides = own.then(|| Box::new(Overrides { region, size, limits }));
        (InstanceFacts { name, id, state, started_at, created_at, overrides }, sample)
    }
}

prop_compose! {
    fn any_account()(up in any::<bool>(), last_collection in 0.0..4e9_f64,
        last_success in prop::option::of(0.0..4e9_f64), last_duration in 0.0..100.0_f64,
        interval in 1.0..3600.0_f64, request_budget in prop::option::of(0.0..9.0_f64),
        services in prop::collection::vec((facts(), prop::collection::vec(instance(), 0..4)), 0..4),
        samples in prop::collection::vec(prop::option::of(sample(Owner::Service)), 4)) -> AccountValues {
        let gauges =
            AccountGauges { up, last_collection, last_success, last_duration, interval, request_budget };
        let mut values = page("team-a", "acme", gauges, services);
        for (service, sample) in values.services.iter_mut().zip(samples) {
            service.sample = sample;
        }
        values
    }
}

/// What must come back: value and time of measurement by name and labels.
#[derive(Default)]
struct Expected(BTreeMap<(String, Labels), (f64, Option<f64>)>);

impl Expected {
    fn add(&mut self, name: &str, labels: &Labels, value: Option<f64>, timestamp: Option<f64>) {
        if let Some(value) = value {
            self.0.entry((name.into(), labels.clone())).or_insert((value, timestamp));
        }
    }

    fn add_states(&mut self, name: &str, labels: &Labels, present: Option<State>) {
        for state in State::ALL.into_iter().filter(|_| present.is_some()) {
            let value = f64::from(u8::from(present == Some(state)));
            self.add(name, &and(labels, &[("state", state.as_str())]), Some(value), None);
        }
    }

    /// What the table says of the sample's values.
    fn add_sample(&mut self, owner: Owner, labels: &Labels, sample: Option<&Sample>) {
        for row in MEASUREMENTS.iter().filter(|row| row.owner() == owner) {
            for value in sample.into_iter().flat_map(|sample| sample.of(row.measurement)) {
                let extra = row.label.zip(value.label);
                let labels = extra.map_or(labels.clone(), |extra| and(labels, &[extra]));
                self.add(row.name, &labels, Some(value.number / value.scale.divisor()), Some(value.time));
            }
        }
    }
}

/// A value as it is exposed: without control characters, except for newlines, and without those that set directions.
fn exposed(value: &str) -> String {
    let directions =
        "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
    let replaced = |letter: char| letter != '\n' && (letter.is_control() || directions.contains(letter));
    value.chars().map(|letter| if replaced(letter) { '\u{fffd}' } else { letter }).collect()
}

fn and_all(labels: &Labels, more: impl IntoIterator<Item = (&'static str, String)>) -> Labels {
    let more = more.into_iter().map(|(label, value)| (label.into(), exposed(&value)));
    labels.clone().into_iter().chain(more).collect()
}

fn and(labels: &Labels, more: &[(&str, &str)]) -> Labels {
    let more = more.iter().map(|(label, value)| ((*label).into(), exposed(value)));
    labels.clone().into_iter().chain(more).collect()
}

/// Adds the series of the account itself.
fn add_account(modern: &mut Expected, values: &AccountValues, account: &Labels) {
    let gauges = &values.gauges;
    modern.add("caas_account_info", &and(account, &[("provider", values.provider)]), Some(1.0), None);
    for (name, value) in [
        ("up", Some(f64::from(u8::from(gauges.up)))),
        ("services", Some(values.services.len() as f64)),
        (
            "instances",
            Some(values.services.iter().map(|service| service.instances.len()).sum::<usize>() as f64),
        ),
        ("last_collection_timestamp_seconds", Some(gauges.last_collection)),
        ("last_success_timestamp_seconds", gauges.last_success),
        ("last_collection_duration_seconds", Some(gauges.last_duration)),
        ("interval_seconds", Some(gauges.interval)),
        ("request_budget_ratio", gauges.request_budget),
    ] {
        modern.add(&format!("caas_account_{name}"), account, value, None);
    }
}

/// The modern and the legacy series of an account: those of facts written out, those of measurements as the table has them.
fn expected(values: &AccountValues) -> (Expected, Expected) {
    let (mut modern, mut legacy) = (Expected::default(), Expected::default());
    let account = and(&Labels::new(), &[("account_namespace", "team-a"), ("account", "acme")]);
    add_account(&mut modern, values, &account);
    let (mut services, mut instances, mut old) = (Vec::new(), Vec::new(), Vec::new());
    for entry in &values.services {
        let facts = &entry.facts;
        let application = facts.application.as_deref().filter(|name| !name.is_empty());
        let application: Vec<_> = application.map(|name| ("application", name)).into_iter().collect();
        let labels = and(&and(&account, &application), &[("service_name", &facts.name)]);
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let info = |own: Option<&Overrides>| {
            let own = own.cloned().unwrap_or_default();
            let mut info = vec![
                ("image", text(&facts.image)),
                ("image_tag", text(&facts.image_tag)),
                ("region", text(&own.region.or(facts.region.clone()))),
                ("size", text(&own.size.or(facts.size.clone()))),
            ];
            info.extend(facts.kind.clone().map(|kind| ("kind", kind)));
            info
        };
        if !services.contains(&labels) {
            services.push(labels.clone());
            let id = facts.id.clone().map(|id| ("service_id", id));
            modern.add("caas_service_info", &and_all(&and_all(&labels, info(None)), id), Some(1.0), None);
            for (name, count) in [
                ("desired", facts.desired_instances),
                ("running", facts.running_instances),
                ("ready", facts.ready_instances),
            ] {
                let count = count.map(|count| count as f64);
                modern.add(&format!("caas_service_{name}_instances"), &labels, count, None);
            }
            if let Some(status) = &facts.status {
                let labels = |status| and(&labels, &[("status", status)]);
                modern.add("caas_service_status", &labels(status), Some(1.0), None);
                for other in ["Running", "Deploying", "Starting", "Stopped"] {
                    modern.add("caas_service_status", &labels(other), Some(0.0), None);
                }
            }
            modern.add_states("caas_service_state", &labels, facts.state);
            modern.add_sample(Owner::Service, &labels, entry.sample.as_ref());
        }
        for instance in &entry.instances {
            let facts = &instance.facts;
            let old_labels =
                and(&Labels::new(), &[("service", &entry.facts.name), ("instance", &facts.name)]);
            let labels = and(&labels, &[("instance_name", &facts.name), ("instance_id", &facts.id)]);
            if instances.contains(&labels) {
                continue;
            }
            instances.push(labels.clone());
            let own = facts.overrides.as_deref();
            modern.add("caas_instance_info", &and_all(&labels, info(own)), Some(1.0), None);
            modern.add_states("caas_instance_state", &labels, facts.state);
            let started = facts.started_at.or(facts.created_at);
            modern.add("caas_instance_start_time_seconds", &labels, started, None);
            let (own, of_service) = (own.map(|own| own.limits).unwrap_or_default(), entry.facts.limits);
            for (name, limit) in [
                ("cpu_limit_cores", own.cpu_cores.or(of_service.cpu_cores)),
                ("memory_limit_bytes", own.memory_bytes.or(of_service.memory_bytes)),
                ("disk_limit_bytes", own.disk_bytes.or(of_service.disk_bytes)),
            ] {
                modern.add(&format!("caas_instance_{name}"), &labels, limit, None);
            }
            let Some(sample) = &instance.sample else { continue };
            let at = Some(sample.timestamp());
            modern.add("caas_instance_sample_timestamp_seconds", &labels, at, at);
            modern.add_sample(Owner::Instance, &labels, Some(sample));
            let old_values: Vec<_> = MEASUREMENTS
                .iter()
                .filter_map(|row| {
                    let (gauge, value) = (row.legacy?, sample.get(row.measurement)?);
                    Some((gauge.name, value.scaled(gauge.scale), value.time))
                })
                .collect();
            // The first of a name has its series whole: one instance's values are never mixed with another's.
            if !old_values.is_empty() && !old.contains(&old_labels) {
                old.push(old_labels.clone());
                for (name, value, at) in old_values {
                    legacy.add(name, &old_labels, Some(value), Some(at));
                }
            }
        }
    }
    (modern, legacy)
}

/// Fails unless the families hold exactly what is expected; times are taken in units of `1 / per_second`.
fn assert_holds(families: &[formats::Family], expected: &Expected, per_second: Option<f64>) {
    let mut found = by_series(families).unwrap();
    found.retain(|(name, _), _| name != "caas_account_series");
    assert!(found.keys().eq(expected.0.keys()), "{:#?}\n{:#?}", found.keys(), expected.0.keys());
    for (key, (value, at)) in &expected.0 {
        let sample = &found[key];
        assert_eq!(sample.value.to_bits(), value.to_bits(), "{key:?}");
        let at = at.zip(per_second).map(|(at, per)| if per > 1.0 { (at * per).round() } else { at });
        assert_eq!(sample.timestamp, at, "{key:?}");
    }
}

proptest! {
    #[test]
    fn what_is_rendered_reads_back_exactly(values in any_account(), source_timestamps in any::<bool>()) {
        let rendered = render(&values, &Options { source_timestamps, ..ALL });
        let (modern, legacy) = expected(&values);
        let bodies = &rendered.bodies;
        let legacy_body = bodies.legacy.as_ref().unwrap();
        for body in [&bodies.text, &bodies.openmetrics, legacy_body] {
            prop_assert_eq!(body.plain_bytes(), inflated(body).len());
        }
        let per_second = |unit| source_timestamps.then_some(unit);
        assert_holds(&parse_text(&inflated(&bodies.text)).unwrap(), &modern, per_second(1000.0));
        assert_holds(&parse_openmetrics(&inflated(&bodies.openmetrics)).unwrap(), &modern, per_second(1.0));
        assert_holds(&parse_text(&inflated(legacy_body)).unwrap(), &legacy, per_second(1000.0));
        prop_assert_eq!(rendered.series, modern.0.len() + 1 + legacy.0.len());
    }
}
