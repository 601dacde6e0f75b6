//! What an account's values become: read back by readers of our own, and compared as a whole.

// Clippy's exception for tests does not cover the helpers of an integration test.
#![allow(clippy::unwrap_used)]

#[path = "support/exposition.rs"]
mod formats;
#[path = "support/pages.rs"]
mod pages;

use std::collections::{BTreeMap, BTreeSet};

use caas_operator::api::cel::RESERVED_LABELS;
use caas_operator::cloud::model::measurement::Owner;
use caas_operator::cloud::model::{
    InstanceFacts, Limits, MEASUREMENTS, Measurement, Overrides, Sample, Scale, ServiceFacts, State,
};
use caas_operator::exposition::families::families;
use caas_operator::exposition::gzip::Inflate;
use caas_operator::exposition::values::{AccountGauges, AccountValues};
use caas_operator::exposition::{Body, Options, Rendered, Renderer};
use formats::{Labels, by_series, parse_openmetrics, parse_text};
use pages::{ALL, acme, beyond_alauda, page};
use proptest::prelude::*;

fn render(values: &AccountValues, options: &Options) -> Rendered {
    Renderer::default().render(values, options)
}

fn inflated(body: &Body) -> String {
    let mut inflate = Inflate::new(body.gzip.clone());
    let chunks = std::iter::from_fn(|| inflate.next_chunk(1 << 16).unwrap());
    String::from_utf8(chunks.flatten().collect()).unwrap()
}

#[test]
fn text_stays_as_it_is() {
    insta::assert_snapshot!(inflated(&render(&acme(), &ALL).bodies.text));
}

#[test]
fn openmetrics_stays_as_it_is() {
    insta::assert_snapshot!(inflated(&render(&acme(), &ALL).bodies.openmetrics));
}

#[test]
fn openmetrics_with_source_timestamps_stays_as_it_is() {
    let options = Options { source_timestamps: true, ..ALL };
    insta::assert_snapshot!(inflated(&render(&acme(), &options).bodies.openmetrics));
}

#[test]
fn what_alauda_cannot_say_is_exposed_as_the_table_has_it() {
    let options = Options { source_timestamps: true, ..ALL };
    insta::assert_snapshot!(inflated(&render(&beyond_alauda(), &options).bodies.openmetrics));
}

#[test]
fn a_family_without_a_value_prints_nothing() {
    let exposed = |values: &AccountValues| {
        let text = inflated(&render(values, &ALL).bodies.text);
        parse_text(&text).unwrap().into_iter().map(|family| family.name).collect::<BTreeSet<_>>()
    };
    let (alauda, beyond) = (exposed(&acme()), exposed(&beyond_alauda()));
    assert!(
        !alauda.contains("caas_instance_cpu_usage_cores") && beyond.contains("caas_instance_cpu_usage_cores")
    );
    assert!(
        alauda.contains("caas_instance_cpu_utilization_ratio")
            && !beyond.contains("caas_instance_cpu_utilization_ratio")
    );
    let all: BTreeSet<_> = families().iter().map(|family| family.name.to_owned()).collect();
    assert_eq!(&alauda | &beyond, all, "together the two show each family");
}

#[test]
fn two_services_of_one_name_in_two_applications_both_keep_their_series() {
    let service = |application: &str| {
        let facts = ServiceFacts {
            name: "web".into(),
            application: Some(application.into()),
            desired_instances: Some(1),
            ..ServiceFacts::default()
        };
        let instance =
            InstanceFacts { name: "web.0".into(), id: application.into(), ..InstanceFacts::default() };
        let sample = Sample::at(1.0, &[(Measurement::MemoryUsage, Scale::Base, 7.0)]);
        (facts, vec![(instance, Some(sample))])
    };
    let values = page("n", "a", AccountGauges::default(), vec![service("shop"), service("blog")]);
    let rendered = render(&values, &ALL);
    let series = by_series(&parse_text(&inflated(&rendered.bodies.text)).unwrap()).unwrap();
    for name in ["caas_service_info", "caas_service_desired_instances", "caas_instance_memory_usage_bytes"] {
        let applications: Vec<_> = series
            .keys()
            .filter(|(family, _)| family == name)
            .map(|(_, labels)| &*labels["application"])
            .collect();
        assert_eq!(applications, ["blog", "shop"], "{name}");
    }
    assert_eq!(rendered.first_duplicate, None);
    // The legacy labels cannot tell the two apart.
    assert_eq!(inflated(&rendered.bodies.legacy.unwrap()).matches("memory_usage{").count(), 1);
    assert_eq!(rendered.duplicates, 1);
}

#[test]
fn of_two_services_that_only_an_id_tells_apart_the_instances_are_kept_and_the_collision_is_named() {
    let service = |id: &str| {
        let facts = ServiceFacts {
            name: "web\n".into(),
            id: Some(id.into()),
            desired_instances: Some(1),
            ..ServiceFacts::default()
        };
        (
            facts,
            vec![(InstanceFacts { name: "web.0".into(), id: id.into(), ..InstanceFacts::default() }, None)],
        )
    };
    let values = page("n", "a", AccountGauges::default(), vec![service("a"), service("b")]);
    let rendered = render(&values, &Options { legacy: false, ..ALL });
    let series = by_series(&parse_text(&inflated(&rendered.bodies.text)).unwrap()).unwrap();
    let count = |name: &str| series.keys().filter(|(family, _)| family == name).count();
    assert_eq!((count("caas_service_info"), count("caas_instance_info")), (1, 2));
    // Info and desired instances of the second.
    assert_eq!((rendered.duplicates, rendered.first_duplicate.as_deref()), (2, Some("web")));
}

#[test]
fn legacy_stays_as_it_is() {
    insta::assert_snapshot!(inflated(&render(&acme(), &ALL).bodies.legacy.unwrap()));
}

#[test]
fn legacy_names_only_leave_the_accounts_own_series_in_the_modern_body() {
    let bodies = render(&acme(), &Options { modern: false, ..ALL }).bodies;
    let families = parse_text(&inflated(&bodies.text)).unwrap();
    assert_eq!(families.len(), 9);
    assert!(families.iter().all(|family| family.name.starts_with("caas_account_")), "{families:?}");
    assert!(!parse_text(&inflated(&bodies.legacy.unwrap())).unwrap().is_empty());
}

#[test]
fn no_label_of_a_series_may_be_a_label_of_its_target() {
    let bodies = render(&acme(), &ALL).bodies;
    let beyond = render(&beyond_alauda(), &ALL).bodies.text;
    let families =
        [bodies.text, bodies.legacy.unwrap(), beyond].map(|body| parse_text(&inflated(&body)).unwrap());
    for label in
        families.iter().flatten().flat_map(|family| &family.samples).flat_map(|one| one.labels.keys())
    {
        assert!(RESERVED_LABELS.contains(&label.as_str()), "{label}: a target's would push it aside");
    }
}

#[test]
fn modern_names_only_have_no_legacy_body() {
    assert!(render(&acme(), &Options { legacy: false, ..ALL }).bodies.legacy.is_none());
}

#[test]
fn the_number_of_series_is_that_of_the_bodies() {
    for options in [ALL, Options { legacy: false, ..ALL }, Options { modern: false, ..ALL }] {
        let rendered = render(&acme(), &options);
        let text = by_series(&parse_text(&inflated(&rendered.bodies.text)).unwrap()).unwrap();
        let legacy = rendered
            .bodies
            .legacy
            .as_ref()
            .map_or(0, |body| by_series(&parse_text(&inflated(body)).unwrap()).unwrap().len());
        assert_eq!(rendered.series, text.len() + legacy);
        let said = text.values().find(|sample| sample.name == "caas_account_series").unwrap();
        assert_eq!(said.value.to_bits(), (rendered.series as f64).to_bits());
    }
}

fn many(services: usize, instances: usize) -> AccountValues {
    let instance = |service: usize, instance: usize| {
        let facts = InstanceFacts {
            name: format!("s{service}.{instance}"),
            id: format!("{service}-{instance}"),
            ..InstanceFacts::default()
        };
        (facts, Some(Sample::at(1.0, &[(Measurement::MemoryUsage, Scale::Base, instance as f64)])))
    };
    let service = |service: usize| {
        let facts = ServiceFacts { name: format!("s{service}"), ..ServiceFacts::default() };
        (facts, (0..instances).map(|index| instance(service, index)).collect())
    };
    page("n", "a", AccountGauges::default(), (0..services).map(service).collect())
}

#[test]
fn a_limit_keeps_the_account_and_the_oldest_objects_and_no_half_instance() {
    // The account has 7 series, a service 1, an instance 3.
    let page = many(3, 2);
    let whole = render(&page, &Options { legacy: false, ..ALL });
    assert_eq!((whole.series, whole.over_limit), (7 + 3 * (1 + 2 * 3), 0));

    for limit in 0..whole.series {
        let cut = render(&page, &Options { legacy: false, max_series: limit, ..ALL });
        assert_eq!(cut.series + usize::try_from(cut.over_limit).unwrap(), whole.series);
        assert!(cut.series <= limit.max(7), "{limit}");
        let families = parse_text(&inflated(&cut.bodies.text)).unwrap();
        let count = |name: &str| families.iter().find(|f| f.name == name).map_or(0, |f| f.samples.len());
        assert_eq!(count("caas_account_up"), 1);
        assert_eq!(count("caas_instance_info"), count("caas_instance_memory_usage_bytes"));
    }

    // Room for the first service and its instances, and one series more: the second service.
    let cut = render(&page, &Options { legacy: false, max_series: 7 + 7 + 2, ..ALL });
    let text = inflated(&cut.bodies.text);
    assert!(text.contains("service_name=\"s1\"") && !text.contains("instance_name=\"s1.0\""), "{text}");
    assert!(!text.contains("service_name=\"s2\""), "what is newer must not take the room: {text}");
}

#[test]
fn the_limit_counts_legacy_series_too() {
    let page = many(1, 3);
    let rendered = render(&page, &Options { max_series: 7 + 1 + 2 * 4, ..ALL });
    assert_eq!((rendered.series, rendered.over_limit), (16, 4));
    assert_eq!(inflated(&rendered.bodies.legacy.unwrap()).matches("memory_usage{").count(), 2);
}

#[test]
fn the_first_of_two_equal_label_sets_is_exposed_and_the_other_counted() {
    let mut page = many(1, 2);
    let mut duplicate = page.services[0].clone();
    duplicate.instances[1].labels = duplicate.labels.instance("s0.1", "another").0;
    page.services.push(duplicate);
    let rendered = render(&page, &ALL);
    by_series(&parse_text(&inflated(&rendered.bodies.text)).unwrap()).unwrap();
    by_series(&parse_text(&inflated(&rendered.bodies.legacy.unwrap())).unwrap()).unwrap();
    // The service's info; the first instance, 3 modern and 1 legacy; of the second, whose id differs, 1 legacy.
    assert_eq!(rendered.duplicates, 1 + 4 + 1);
}

#[test]
fn a_large_account_reads_back_whole() {
    let page = many(100, 50);
    let body = render(&page, &ALL).bodies.text;
    let text = inflated(&body);
    assert_eq!(text.len(), body.plain_bytes());
    let series = by_series(&parse_text(&text).unwrap()).unwrap();
    assert_eq!(series.len(), 7 + 100 * (1 + 50 * 3));
}

#[test]
fn a_renderer_leaves_nothing_of_one_account_in_the_next() {
    let mut renderer = Renderer::default();
    let first = renderer.render(&acme(), &ALL);
    renderer.render(&many(3, 3), &ALL);
    let again = renderer.render(&acme(), &ALL);
    assert_eq!(inflated(&first.bodies.text), inflated(&again.bodies.text));
    assert_eq!(inflated(&first.bodies.openmetrics), inflated(&again.bodies.openmetrics));
}

/// Text as a hostile cloud would have it.
fn name() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec!['"', '\\', '\n', '\r', '\0', '\t', '{', '}', ',', '=', '#', ' ']);
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

fn and_all(labels: &Labels, more: impl IntoIterator<Item = (&'static str, String)>) -> Labels {
    labels.clone().into_iter().chain(more.into_iter().map(|(label, value)| (label.into(), value))).collect()
}

fn and(labels: &Labels, more: &[(&str, &str)]) -> Labels {
    let more = more.iter().map(|(label, value)| ((*label).into(), (*value).into()));
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
