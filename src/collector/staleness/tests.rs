//! Each rule of staleness, on plain values.

use super::*;
use crate::cloud::CloudError;
use crate::cloud::model::{Measurement, MeasurementSet, Overrides, Reading, Sample, Scale};

const STALE_AFTER: StalenessPolicy = StalenessPolicy::new(Duration::from_secs(90));

fn at(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

fn measured(bytes: f64) -> Reading {
    Reading::measured(Sample::at(0.0, &[(Measurement::MemoryUsage, Scale::Base, bytes)]))
}

fn instance(name: &str, id: &str, reading: Reading) -> Instance {
    let facts = InstanceFacts { name: name.into(), id: id.into(), ..InstanceFacts::default() };
    Instance { facts: Arc::new(facts), reading }
}

fn service(name: &str, instances: Vec<Instance>) -> Service {
    Service {
        facts: Arc::new(ServiceFacts { name: name.into(), ..ServiceFacts::default() }),
        reading: Reading::default(),
        instances: Ok(instances),
    }
}

fn complete(services: Vec<Service>) -> Collection {
    Collection { services, ..Collection::default() }
}

fn cut_short(services: Vec<Service>) -> Collection {
    Collection { services, cut_short: Some(CloudError::Status(500)), ..Collection::default() }
}

/// `service: instance=bytes instance=- …`, one line a service.
fn shown(values: &RetainedValues) -> Vec<String> {
    let instance = |entry: &InstanceEntry| {
        let bytes = entry.sample.as_ref().and_then(|sample| sample.value(Measurement::MemoryUsage));
        format!("{}={}", entry.facts.name, bytes.map_or("-".into(), |bytes| bytes.to_string()))
    };
    let line = |entry: &ServiceEntry| {
        let instances: Vec<String> = entry.instances.iter().map(instance).collect();
        format!("{}: {}", entry.facts.name, instances.join(" "))
    };
    values.entries().iter().map(line).collect()
}

fn values() -> (RetainedValues, Instant) {
    (RetainedValues::new(&AccountId::new("team-a", "acme")), Instant::now())
}

#[test]
fn a_complete_list_drops_what_is_not_in_it_at_once() {
    let (mut values, start) = values();
    values.merge(
        &complete(vec![
            service(
                "kibana",
                vec![instance("kibana.0", "a", measured(1.0)), instance("kibana.1", "b", measured(2.0))],
            ),
            service("redis", vec![]),
        ]),
        start,
    );
    values.merge(
        &complete(vec![service("kibana", vec![instance("kibana.1", "b", measured(3.0))])]),
        at(start, 30),
    );
    assert_eq!(shown(&values), ["kibana: kibana.1=3"]);
}

#[test]
fn a_list_that_ends_early_deletes_nothing_until_it_is_stale() {
    let (mut values, start) = values();
    let all = vec![
        service("kibana", vec![instance("kibana.0", "a", measured(1.0))]),
        service("redis", vec![instance("redis.0", "b", measured(2.0))]),
    ];
    values.merge(&complete(all.clone()), start);
    values.merge(&cut_short(all[..1].to_vec()), at(start, 30));
    assert!(!values.expire(STALE_AFTER, at(start, 30)));
    assert_eq!(shown(&values), ["kibana: kibana.0=1", "redis: redis.0=2"]);

    assert!(values.expire(STALE_AFTER, at(start, 90)));
    assert_eq!(shown(&values), ["kibana: kibana.0=1"]);
}

#[test]
fn a_failed_instance_keeps_its_last_values_until_they_are_stale_and_costs_no_other() {
    let (mut values, start) = values();
    let cycle = |first: Reading, second: Reading| {
        complete(vec![service(
            "kibana",
            vec![instance("kibana.0", "a", first), instance("kibana.1", "b", second)],
        )])
    };
    values.merge(&cycle(measured(1.0), measured(2.0)), start);
    values.merge(&cycle(Reading::failed(CloudError::Status(500)), measured(4.0)), at(start, 60));
    values.expire(STALE_AFTER, at(start, 60));
    assert_eq!(shown(&values), ["kibana: kibana.0=1 kibana.1=4"]);

    values.merge(&cycle(Reading::no_data(), measured(5.0)), at(start, 90));
    values.expire(STALE_AFTER, at(start, 90));
    assert_eq!(
        shown(&values),
        ["kibana: kibana.0=- kibana.1=5"],
        "the instance is there, its values are gone"
    );
}

#[test]
fn a_service_whose_instances_could_not_be_listed_keeps_them() {
    let (mut values, start) = values();
    values.merge(&complete(vec![service("kibana", vec![instance("kibana.0", "a", measured(1.0))])]), start);
    let unlisted = Service { instances: Err(CloudError::Status(502)), ..service("kibana", vec![]) };
    values.merge(&complete(vec![unlisted]), at(start, 30));
    assert_eq!(shown(&values), ["kibana: kibana.0=1"]);
    assert!(values.expire(STALE_AFTER, at(start, 90)));
    assert_eq!(shown(&values), ["kibana: "]);
}

#[test]
fn a_stopped_service_shows_no_values() {
    let (mut values, start) = values();
    values.merge(&complete(vec![service("kibana", vec![instance("kibana.0", "a", measured(1.0))])]), start);
    values.merge(
        &complete(vec![service("kibana", vec![instance("kibana.0", "a", Reading::not_running())])]),
        at(start, 1),
    );
    assert_eq!(shown(&values), ["kibana: kibana.0=-"]);
}

#[test]
fn a_renamed_or_redeployed_instance_is_a_new_series_and_leaves_no_old_one() {
    let (mut values, start) = values();
    values.merge(&complete(vec![service("kibana", vec![instance("kibana.0", "a", measured(1.0))])]), start);
    values.merge(
        &complete(vec![service("kibana", vec![instance("renamed.0", "a", measured(2.0))])]),
        at(start, 30),
    );
    assert_eq!(shown(&values), ["kibana: renamed.0=2"]);
    values.merge(
        &complete(vec![service("kibana", vec![instance("renamed.0", "b", Reading::no_data())])]),
        at(start, 60),
    );
    assert_eq!(
        shown(&values),
        ["kibana: renamed.0=-"],
        "the new instance does not inherit the old one's values"
    );
}

#[test]
fn the_oldest_come_first_whatever_order_the_cloud_lists_them_in() {
    let (mut values, start) = values();
    values.merge(&complete(vec![service("b", vec![]), service("c", vec![])]), start);
    values.merge(
        &complete(vec![service("a", vec![]), service("c", vec![]), service("b", vec![])]),
        at(start, 30),
    );
    assert_eq!(shown(&values), ["b: ", "c: ", "a: "]);
}

#[test]
fn services_of_the_same_name_in_two_applications_are_two() {
    let (mut values, start) = values();
    let of = |application: &str| Service {
        facts: Arc::new(ServiceFacts {
            name: "web".into(),
            application: Some(application.into()),
            ..ServiceFacts::default()
        }),
        reading: Reading::default(),
        instances: Ok(vec![]),
    };
    values.merge(&complete(vec![of("shop"), of("blog")]), start);
    let labels: Vec<_> = values.entries().iter().map(|entry| entry.labels.as_str().to_owned()).collect();
    assert!(
        labels[0].contains("application=\"shop\"") && labels[1].contains("application=\"blog\""),
        "{labels:?}"
    );
}

#[test]
fn services_that_only_an_id_tells_apart_are_two() {
    let (mut values, start) = values();
    let of = |id: &str| {
        let facts = ServiceFacts { name: "web".into(), id: Some(id.into()), ..ServiceFacts::default() };
        let instances = vec![instance(&format!("{id}.0"), id, measured(1.0))];
        Service { facts: Arc::new(facts), ..service("web", instances) }
    };
    for cycle in 0..2 {
        values.merge(&complete(vec![of("a"), of("b")]), at(start, cycle * 30));
        assert_eq!(shown(&values), ["web: a.0=1", "web: b.0=1"]);
    }
}

#[test]
fn the_use_of_a_limit_follows_from_the_instances_own_limit_or_its_services() {
    let (mut values, start) = values();
    let limit = |bytes| Limits { memory_bytes: Some(bytes), ..Limits::default() };
    let facts = ServiceFacts { name: "web".into(), limits: limit(100.0), ..ServiceFacts::default() };
    let overrides = Some(Box::new(Overrides { limits: limit(200.0), ..Overrides::default() }));
    let own = InstanceFacts { name: "web.1".into(), id: "b".into(), overrides, ..InstanceFacts::default() };
    let instances = vec![
        instance("web.0", "a", measured(50.0)),
        Instance { facts: Arc::new(own), reading: measured(50.0) },
        instance("web.2", "c", Reading::not_running()),
    ];
    values.merge(&complete(vec![Service { facts: Arc::new(facts), ..service("web", instances) }]), start);
    let ratios: Vec<_> = values.entries()[0]
        .instances
        .iter()
        .map(|entry| entry.sample.as_ref().and_then(|sample| sample.value(Measurement::MemoryUtilization)))
        .collect();
    assert_eq!(ratios, [Some(0.5), Some(0.25), None]);
}

#[test]
fn what_is_measured_of_a_service_ages_like_what_is_measured_of_an_instance() {
    let (mut values, start) = values();
    let rate = Measurement::ServiceTransmitRate;
    let with = |reading| Service { reading, ..service("web", vec![]) };
    let sample = Sample::at(5.0, &[(rate, Scale::Base, 7.0)]);
    let shown =
        |values: &RetainedValues| values.entries()[0].sample.as_ref().and_then(|sample| sample.value(rate));
    values.merge(&complete(vec![with(Reading::measured(sample))]), start);
    values.merge(
        &complete(vec![with(Reading { unread: MeasurementSet::of(&[rate]), ..Reading::default() })]),
        at(start, 30),
    );
    assert_eq!((shown(&values), values.next_expiry(STALE_AFTER)), (Some(7.0), Some(at(start, 90))));
    assert!(values.expire(STALE_AFTER, at(start, 90)));
    assert_eq!(shown(&values), None);
}

#[test]
fn the_next_expiry_is_that_of_the_oldest_value() {
    let (mut values, start) = values();
    assert_eq!(values.next_expiry(STALE_AFTER), None);
    let cycle = |reading| complete(vec![service("kibana", vec![instance("kibana.0", "a", reading)])]);
    values.merge(&cycle(measured(1.0)), start);
    values.merge(&cycle(Reading::no_data()), at(start, 30));
    assert_eq!(values.next_expiry(STALE_AFTER), Some(at(start, 90)));
    values.expire(STALE_AFTER, at(start, 90));
    assert_eq!(values.next_expiry(STALE_AFTER), Some(at(start, 120)), "a value that is gone expires no more");
}

#[test]
fn what_the_newest_cycle_confirmed_has_a_grace_period_and_nothing_older_has() {
    let (mut values, start) = values();
    let cycle = |reading| complete(vec![service("kibana", vec![instance("kibana.0", "a", reading)])]);
    values.merge(&cycle(measured(1.0)), start);
    values.merge(&cycle(Reading::no_data()), at(start, 30));
    let policy = STALE_AFTER.with_grace_period(Some((at(start, 30), at(start, 200))));
    assert_eq!(values.next_expiry(policy), Some(at(start, 90)));
    values.expire(policy, at(start, 150));
    assert_eq!(shown(&values), ["kibana: kibana.0=-"], "it is the measurement that is older");
    assert_eq!(values.next_expiry(policy), Some(at(start, 200)));
    values.expire(policy, at(start, 200));
    assert!(values.are_gone() && shown(&values).is_empty());
}

#[test]
fn values_that_are_cut_are_counted_when_they_are_first_seen_and_when_they_change() {
    let (mut values, start) = values();
    let of = |image: &str, running| Service {
        facts: Arc::new(ServiceFacts {
            name: "kibana".into(),
            image: Some(image.repeat(1000)),
            running_instances: Some(running),
            ..ServiceFacts::default()
        }),
        reading: Reading::default(),
        instances: Err(CloudError::Status(502)),
    };
    for (cycle, (image, running, cut)) in [("a", 1, 1), ("a", 2, 0), ("b", 2, 1)].into_iter().enumerate() {
        values.merge(&complete(vec![of(image, running)]), at(start, 30 * cycle as u64));
        assert_eq!(values.take_altered_labels().cut, cut, "cycle {cycle}");
    }
}

#[test]
fn memory_stays_flat_while_services_come_and_go_each_cycle() {
    let (mut values, start) = values();
    for cycle in 0..10_000_u64 {
        let name = format!("service-{cycle}");
        let instances = vec![instance(&format!("{name}.0"), &name, measured(1.0))];
        values.merge(&complete(vec![service(&name, instances)]), at(start, cycle * 30));
        values.expire(STALE_AFTER, at(start, cycle * 30));
        assert_eq!(values.services.len(), 1);
        assert!(values.services.capacity() <= 8, "capacity {}", values.services.capacity());
    }
}
