use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// A day in 2026.
const NOW: f64 = 1_772_000_000.0;

fn world(seed: u64, churn: f64) -> World {
    World::new(WorldSettings {
        seed,
        churn,
        services: 40,
        instances: 3,
        applications: 5,
        ..Default::default()
    })
}

proptest! {
    #[test]
    fn counters_only_grow_between_restarts_and_utilisation_is_their_share_of_the_uptime(
        seed: u64,
        churn in 0.0..=1.0_f64,
        time in 1.5e9..2.0e9_f64,
        step in 1_i64..7200,
    ) {
        let world = world(seed, churn);
        for instance in world.services(time.floor()).take(8).flat_map(|service| service.instances().collect::<Vec<_>>()) {
            let (first, second) = (floor_seconds(time), floor_seconds(time) + step);
            let (Some(before), Some(after)) = (instance.point(first), instance.point(second)) else {
                prop_assert!(instance.created_at > first as f64);
                continue;
            };
            if instance.started_at(second as f64) <= first as f64 {
                prop_assert!(after.cpu_nanoseconds > before.cpu_nanoseconds, "{before:?} {after:?}");
                prop_assert!(after.rx_bytes >= before.rx_bytes && after.tx_bytes >= before.tx_bytes);
                prop_assert!(after.rx_errors >= before.rx_errors && after.tx_errors >= before.tx_errors);
                let used = (after.cpu_nanoseconds - before.cpu_nanoseconds) as f64 / 1e9;
                prop_assert!(used <= instance.size.cores * step as f64, "{used} s in {step} s");
            }
            let uptime = second as f64 - instance.started_at(second as f64);
            if uptime > 0.0 {
                let percent = after.cpu_nanoseconds as f64 / 1e9 / uptime * 100.0;
                prop_assert!((after.cpu_percent - percent).abs() < 1e-9, "{} {percent}", after.cpu_percent);
            }
            let size = f64::from(instance.size.mebibytes) * 1_048_576.0;
            prop_assert!((after.memory_percent - after.memory_bytes as f64 / size * 100.0).abs() < 1e-9);
            prop_assert!(after.memory_percent > 0.0 && after.memory_percent < 100.0, "{after:?}");
        }
    }

    #[test]
    fn at_any_time_a_service_is_found_by_its_names_and_an_instance_by_its_identifier(
        seed: u64,
        churn in 0.0..=1.0_f64,
        time in 1.5e9..2.0e9_f64,
    ) {
        let world = world(seed, churn);
        let mut names = HashSet::new();
        let mut identifiers = HashSet::new();
        for service in world.services(time) {
            let found = world.service(time, &service.name, service.application.as_deref());
            prop_assert_eq!(found.map(|found| found.uuid), Some(service.uuid.clone()));
            prop_assert!(names.insert((service.application.clone(), service.name.clone())));
            prop_assert!(identifiers.insert(service.uuid.clone()));
            prop_assert_eq!(service.instances().count(), service.started);
            prop_assert!(service.started <= service.target);
            match service.status {
                Status::Running => prop_assert_eq!(service.started, service.target),
                Status::Stopped => prop_assert_eq!(service.started, 0),
                Status::Deploying => {}
            }
            for instance in service.instances() {
                prop_assert!(instance.created_at <= time && instance.started_at(time) <= time);
                prop_assert_eq!(service.instance(&instance.uuid).map(|found| found.name), Some(instance.name.clone()));
                prop_assert!(identifiers.insert(instance.uuid));
            }
        }
        prop_assert_eq!(names.len(), world.count(time, None));
    }

    #[test]
    fn pages_put_together_are_the_whole(seed: u64, churn in 0.0..=1.0_f64, size in 1_usize..30) {
        let world = world(seed, churn);
        for application in [None, Some("shop")] {
            let all: Vec<String> = world
                .services(NOW)
                .filter(|service| application.is_none() || service.application.as_deref() == application)
                .map(|service| service.uuid)
                .collect();
            let paged: Vec<String> = (0..50)
                .flat_map(|page| world.page(NOW, page * size, size, application))
                .map(|service| service.uuid)
                .collect();
            prop_assert_eq!(&paged, &all);
            prop_assert_eq!(world.count(NOW, application), all.len());
        }
    }
}

/// The whole seconds of a time.
fn floor_seconds(time: f64) -> i64 {
    crate::simulator::numbers::floor(time)
}

/// What exists: services by name with their instances by identifier.
fn inventory(world: &World, now: f64) -> Vec<(String, Vec<String>)> {
    world
        .services(now)
        .map(|service| (service.name.clone(), service.instances().map(|instance| instance.uuid).collect()))
        .collect()
}

#[test]
fn without_churn_nothing_comes_goes_or_stops() {
    let world = world(3, 0.0);
    let first = inventory(&world, NOW);
    assert_eq!(first.len(), 40);
    assert_eq!(first[0].0, "kibana");
    assert!(first.iter().all(|(_, instances)| instances.len() == 3));
    for hour in 1..48 {
        assert_eq!(inventory(&world, f64::from(hour).mul_add(3600.0, NOW)), first);
    }
}

#[test]
fn with_churn_services_come_go_stop_deploy_scale_and_change_their_instances() {
    let world = world(3, 1.0);
    let times = (0..240).map(|minute| f64::from(minute).mul_add(30.0, NOW));
    let (mut names, mut counts, mut statuses, mut kibana) =
        (HashSet::new(), HashSet::new(), HashSet::new(), HashSet::new());
    let (mut scaled, mut same_name_other_instances, mut starting) = (false, false, false);
    let mut last = inventory(&world, NOW);
    for time in times {
        counts.insert(world.count(time, None));
        for service in world.services(time) {
            scaled |= service.target > 3 && service.status == Status::Running;
            starting |= service.status == Status::Deploying && service.started < service.target;
            statuses.insert(format!("{:?}", service.status));
            names.insert(service.name);
        }
        let next = inventory(&world, time);
        same_name_other_instances |= next.iter().any(|(name, instances)| {
            last.iter().any(|(old, before)| {
                old == name && !instances.is_empty() && before.iter().all(|uuid| !instances.contains(uuid))
            })
        });
        kibana.insert(next[0].clone());
        last = next;
    }
    assert!(names.len() > 60, "{}", names.len());
    assert!(counts.len() > 3, "{counts:?}");
    assert_eq!(statuses.len(), 3, "{statuses:?}");
    assert!(scaled && same_name_other_instances && starting);
    assert_eq!(kibana.len(), 1, "the first service stays as it is");
}

#[test]
fn a_name_that_only_matches_a_slot_is_not_a_service() {
    let world = world(3, 1.0);
    for wrong in ["nothing-17", "kibana-v1", "-17", "orders-api-99999999999999999999", "kibana-0", ""] {
        assert!(world.service(NOW, wrong, None).is_none(), "{wrong}");
    }
    assert!(world.service(NOW, "kibana", Some("shop")).is_none());
    assert!(world.service(NOW, "redis", Some("nothing")).is_none());
    let gone =
        world.services(NOW).find(|service| service.name.contains("-v")).expect("one that comes and goes");
    assert!(world.service(NOW + 1200.0, &gone.name, gone.application.as_deref()).is_none());
}

#[test]
fn a_restart_keeps_the_identifier_and_resets_counters_and_start_time() {
    let world = world(5, 0.0);
    let service = world.services(NOW).next().expect("kibana");
    let instance = service.instances().next().expect("kibana.0");
    let restart = (0..5000)
        .map(|minute| f64::from(minute).mul_add(60.0, NOW))
        .find(|time| instance.started_at(time + 60.0) > instance.started_at(*time))
        .expect("restarts at the latest after three days");
    let (before, after) = (floor_seconds(restart), floor_seconds(restart) + 60);
    let (before, after) = (instance.point(before).expect("data"), instance.point(after).expect("data"));
    assert!(after.cpu_nanoseconds < before.cpu_nanoseconds && after.rx_bytes < before.rx_bytes);
    let again = world.service(restart + 60.0, "kibana", None).expect("kibana");
    assert_eq!(again.instances().next().expect("kibana.0").uuid, instance.uuid);
}

#[test]
fn the_last_minute_often_holds_no_point_and_100_seconds_ending_30_s_ago_always_do() {
    let world = world(9, 0.0);
    let (mut without, mut total) = (0, 0);
    for service in world.services(NOW) {
        for instance in service.instances() {
            let now = floor_seconds(NOW);
            total += 1;
            without += i32::from(instance.points(now - 60, now, 60, NOW).next().is_none());
            let newest = instance.points(now - 130, now - 30, 60, NOW).next().expect("a point");
            assert!(newest.time <= now - 30 && newest.time >= now - 90);
        }
    }
    assert!(without * 10 > total * 2 && without * 10 < total * 8, "{without} of {total}");
}

#[test]
fn points_are_newest_first_a_period_apart_and_bounded_in_number() {
    let world = world(9, 0.0);
    let instance =
        world.services(NOW).next().and_then(|service| service.instances().next()).expect("kibana.0");
    let now = floor_seconds(NOW);
    let times: Vec<i64> = instance.points(now - 3600, now, 300, NOW).map(|point| point.time).collect();
    assert!((11..=12).contains(&times.len()), "{times:?}");
    assert!(times.windows(2).all(|pair| pair[0] - pair[1] == 300), "{times:?}");
    assert_eq!(instance.points(0, now, 1, NOW).count(), MOST_POINTS);
    assert_eq!(instance.points(i64::MIN, i64::MAX, i64::MAX, NOW).count(), 0);
    assert_eq!(instance.points(now, now - 600, 60, NOW).count(), 0);
}

#[test]
fn an_instance_has_no_data_from_before_it_was_created() {
    let world = world(11, 1.0);
    let young = (0..100)
        .map(|n| f64::from(n).mul_add(10.0, NOW))
        .find_map(|time| {
            let services = world.services(time).collect::<Vec<_>>();
            let mut instances = services.iter().flat_map(Service::instances);
            instances.find(|instance| time - instance.created_at < 20.0).map(|instance| (instance, time))
        })
        .expect("instances start all the time");
    let (instance, time) = young;
    let now = floor_seconds(time);
    assert_eq!(instance.point(floor_seconds(instance.created_at) - 1), None);
    assert_eq!(instance.points(now - 3600, now, 60, time).count(), 0);
}

#[test]
fn of_100_000_instances_only_the_requested_page_and_instance_are_built() {
    let world =
        World::new(WorldSettings { services: 20_000, instances: 5, churn: 0.5, ..Default::default() });
    assert_eq!(world.built(), 0);
    let page = world.page(NOW, 10_000, 20, None);
    assert_eq!((page.len(), world.built()), (20, 20));
    let (service, instance) =
        page.iter().find_map(|service| Some((service, service.instances().next()?))).expect("an instance");
    let found = world.service(NOW, &service.name, None).and_then(|service| service.instance(&instance.uuid));
    assert_eq!(found.map(|found| found.name), Some(instance.name));
    assert_eq!(world.built(), 21);
    assert!(world.count(NOW, None) > 15_000);
    assert_eq!(world.built(), 21);
}

#[test]
fn a_service_of_100_000_instances_finds_one_by_its_identifier() {
    let world = World::new(WorldSettings { services: 1, instances: 100_000, ..Default::default() });
    let last = world.services(NOW).next().and_then(|service| service.instances().last()).expect("instances");
    assert_eq!(last.name, "kibana.99999");

    service::CREATED_AT_CALLS.set(0);
    let service = world.service(NOW, "kibana", None).expect("kibana");
    assert_eq!(service.instance(&last.uuid).map(|found| found.name), Some(last.name));
    assert!(
        service::CREATED_AT_CALLS.get() < 100,
        "{} creation times computed to find one",
        service::CREATED_AT_CALLS.get()
    );
    for wrong in ["", "x", "00000000-0000-0000-0000-000000000000", "ééééééééééééééééééé"] {
        assert!(service.instance(wrong).is_none());
    }
}

#[test]
fn worlds_of_other_seeds_differ_and_of_the_same_seed_do_not() {
    assert_eq!(inventory(&world(1, 0.5), NOW), inventory(&world(1, 0.5), NOW));
    assert_ne!(inventory(&world(1, 0.5), NOW), inventory(&world(2, 0.5), NOW));
}
