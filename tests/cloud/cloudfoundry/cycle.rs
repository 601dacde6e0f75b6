//! What a cycle requests, and what comes of it, compared with what exists.

use std::collections::HashMap;

use caas_operator::cloud::cloudfoundry::cost;
use caas_operator::cloud::model::{Collection, Measurement, Service, State};
use caas_operator::cloud::{CloudError, ServiceFilter};
use caas_operator::simulator::{AccountSettings, CloudFoundry, FaultKind, Settings};

use super::{Account, Installation, NOW};
use crate::support::{lenient, limits};

fn service<'a>(collection: &'a Collection, name: &str, application: &str) -> &'a Service {
    let is_it = |service: &&Service| {
        service.facts.name == name && service.facts.application.as_deref() == Some(application)
    };
    collection.services.iter().find(is_it).unwrap_or_else(|| panic!("{application} {name}"))
}

fn instances(collection: &Collection) -> usize {
    collection.services.iter().map(|service| service.instances.as_ref().unwrap().len()).sum()
}

/// How many processes the collection has, and how many of them have instances.
fn processes(collection: &Collection) -> (usize, usize) {
    let runs = |service: &&Service| !service.instances.as_ref().unwrap().is_empty();
    (collection.services.len(), collection.services.iter().filter(runs).count())
}

#[tokio::test]
async fn a_cycle_costs_the_pages_of_two_lists_and_a_request_for_each_process_that_runs() {
    let installation = Installation::start(CloudFoundry::default()).await;
    let account = installation.account();
    let first = account.collect().await.unwrap();
    let counts = installation.cloud.counts();
    let (listed, running) = processes(&first);
    assert_eq!((listed, instances(&first), first.failures()), (40, 100, (0, None)));
    assert!(
        (21..40).contains(&running),
        "some applications have workers, and most define them only: {running}"
    );
    let cost = cost::requests(20, listed, running) as u64;
    assert_eq!((counts["root"], counts["login"], counts.total), (1, 1, cost + 2));
    assert_eq!((counts["apps_page"], counts["processes_page"], counts["stats"]), (1, 1, running as u64));

    installation.cloud.reset_counts();
    let second = account.collect().await.unwrap();
    assert_eq!(installation.cloud.counts().total, cost, "no login while the token lasts");
    assert_eq!(second.services.len(), first.services.len());
}

#[tokio::test]
async fn every_value_is_that_of_the_instance() {
    let installation = Installation::start(CloudFoundry::default()).await;
    let collection = installation.account().collect().await.unwrap();
    let world = installation.cloud.world("acme").unwrap();
    let mut compared = 0;
    for app in world.services(NOW as f64) {
        let space = app.application.as_deref().unwrap_or("production");
        let place = format!("acme corp/{space}");
        let [web, worker] = [app.name.clone(), format!("{}/worker", app.name)]
            .map(|name| service(&collection, &name, &place));
        assert_eq!((web.facts.kind.as_deref(), worker.facts.kind.as_deref()), (Some("web"), Some("worker")));
        assert_eq!(web.facts.id.as_deref(), Some(&*app.uuid));
        assert_eq!(web.facts.status.as_deref(), Some("STARTED"));
        assert_eq!(web.facts.limits.memory_bytes, Some(f64::from(app.size.mebibytes) * 1_048_576.0));
        let [webs, workers] = [web, worker].map(|service| service.instances.as_ref().unwrap());
        assert_eq!(webs.len() + workers.len(), app.target);
        let truth = app.instances();
        for (instance, truth) in webs.iter().chain(workers).zip(truth) {
            assert_eq!(instance.facts.state, Some(State::Running));
            let start = instance.facts.started_at.unwrap();
            assert!((start - truth.started_at(NOW as f64)).abs() < 1.5, "{start}");
            let sample = instance.reading.sample.as_ref().unwrap();
            assert!((sample.timestamp() - NOW as f64).abs() < 1e-3, "the time of the answer");
            // Measured within the last 15 seconds.
            let cores = sample.value(Measurement::CpuUsageCores).unwrap();
            let memory = sample.value(Measurement::MemoryUsage).unwrap();
            let at = |age: u64| ((NOW - age) as f64, (NOW - age).cast_signed());
            let matches = |age: u64| {
                let (seconds, whole) = at(age);
                (truth.cores_in_use(seconds) - cores).abs() < 1e-9
                    && (truth.point(whole).unwrap().memory_bytes as f64 - memory).abs() < 0.5
            };
            assert!((0..=15).any(matches), "{} {cores} {memory}", instance.facts.name);
            let entitlement = sample.value(Measurement::CpuEntitlementUtilization).unwrap();
            assert!((entitlement - cores / app.size.cores).abs() < 1e-9);
            assert!(sample.value(Measurement::DiskUsage).unwrap() > 0.0);
            compared += 1;
        }
        let running = i64::try_from(webs.len()).unwrap();
        assert_eq!((web.facts.running_instances, web.facts.ready_instances), (Some(running), Some(running)));
        assert_eq!((web.facts.desired_instances, web.facts.state), (Some(running), Some(State::Running)));
    }
    assert_eq!(compared, 100);
}

#[tokio::test]
async fn all_pages_of_both_lists_are_read() {
    let installation = Installation::start(CloudFoundry { page_size: 8, ..CloudFoundry::default() }).await;
    let collection = installation.account().collect().await.unwrap();
    let counts = installation.cloud.counts();
    assert_eq!((counts["apps_page"], counts["processes_page"]), (3, 5));
    assert_eq!((processes(&collection).0, instances(&collection)), (40, 100));
    assert_eq!(collection.failures(), (0, None));

    // Pages of which nothing is selected are no end of the list.
    let last = collection.services.last().unwrap().facts.name.clone();
    let of_that_name = collection.services.iter().filter(|service| service.facts.name == last).count();
    let filter = ServiceFilter::new(&[last], &[]);
    let collection = installation.account().filtered(&filter).await.unwrap();
    assert_eq!((collection.services.len(), collection.failures()), (of_that_name, (0, None)));
}

#[tokio::test]
async fn what_is_not_selected_is_not_requested() {
    let installation = Installation::start(CloudFoundry::default()).await;
    let of = |organizations: &[&str], spaces: &[&str], selector: Option<&str>| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let settings = caas_operator::cloud::cloudfoundry::Settings {
            organizations: owned(organizations),
            spaces: owned(spaces),
            label_selector: selector.map(str::to_owned),
            ..installation.settings()
        };
        Account::new(&lenient(), settings, installation.user(), limits())
    };
    let account = of(&["acme corp"], &["shop"], None);
    let collection = account.collect().await.unwrap();
    let counts = installation.cloud.counts();
    assert_eq!((counts["organizations_page"], counts["spaces_page"]), (1, 1));
    assert!(
        collection
            .services
            .iter()
            .all(|service| service.facts.application.as_deref() == Some("acme corp/shop"))
    );
    let (listed, running) = processes(&collection);
    assert_eq!((listed, counts["stats"]), (4, running as u64));

    installation.cloud.reset_counts();
    account.collect().await.unwrap();
    let counts = installation.cloud.counts();
    assert_eq!((counts["organizations_page"], counts["spaces_page"]), (0, 0), "known for some minutes");

    let selected = of(&[], &[], Some("tier=front")).collect().await.unwrap();
    assert!((1..40).contains(&selected.services.len()), "{}", selected.services.len());

    installation.cloud.reset_counts();
    let workers = ServiceFilter::new(&["*/worker"], &[]);
    let collection = installation.account().filtered(&workers).await.unwrap();
    assert_eq!(collection.services.len(), 20);
    assert_eq!(installation.cloud.counts()["stats"], processes(&collection).1 as u64);

    let missing = of(&["acme corp", "globex"], &[], None).collect().await.unwrap();
    assert_eq!(missing.failures(), (1, Some(&CloudError::NotVisible("organization"))));
    assert_eq!(missing.services.len(), 40, "the rest is collected");
    let none = of(&["acme corp"], &["nowhere"], None).collect().await;
    assert_eq!(none, Err(CloudError::NotVisible("space")));
}

#[tokio::test]
async fn zeros_of_instances_that_were_not_measured_yet_and_entries_without_a_container_are_no_values() {
    // Everything changes all the time: at some moments instances are missing, starting, or new.
    let account = AccountSettings { services: 60, ..AccountSettings::new("acme") };
    let settings = Settings { accounts: vec![account], churn: 1.0, ..CloudFoundry::default().into() };
    let installation = Installation::with(settings).await;
    let account = installation.account();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for _ in 0..12 {
        let collection = account.collect().await.unwrap();
        assert_eq!(collection.failures(), (0, None));
        for service in &collection.services {
            if service.facts.status.as_deref() == Some("STOPPED") {
                assert_eq!(service.facts.state, Some(State::Stopped));
                assert_eq!(service.instances.as_deref(), Ok(&[][..]));
                *seen.entry("stopped").or_default() += 1;
            }
            for instance in service.instances.as_ref().unwrap() {
                let memory = instance
                    .reading
                    .sample
                    .as_ref()
                    .and_then(|sample| sample.value(Measurement::MemoryUsage));
                assert!(memory.is_none_or(|bytes| bytes > 0.0), "a zero that means nothing");
                let kind = match (instance.facts.state, memory) {
                    (Some(State::Running), Some(_)) => "measured",
                    (Some(State::Running), None) => "not measured yet",
                    (Some(State::Deploying), None) => "starting",
                    (Some(State::Failed), None) => "down",
                    other => panic!("{other:?}"),
                };
                assert_eq!(
                    instance.facts.started_at.is_some(),
                    kind == "measured" || kind == "not measured yet"
                );
                *seen.entry(kind).or_default() += 1;
            }
        }
        installation.advance(7).await;
    }
    for kind in ["stopped", "measured", "not measured yet", "starting", "down"] {
        assert!(seen.get(kind).is_some_and(|count| *count > 0), "{kind}: {seen:?}");
    }
}

#[tokio::test]
async fn a_start_time_stays_and_a_restart_is_another_instance() {
    let installation = Installation::start(CloudFoundry::default()).await;
    let account = installation.account();
    let starts = |collection: &Collection| -> HashMap<(String, String), u64> {
        let all = collection.services.iter().flat_map(|service| service.instances.as_ref().unwrap());
        all.map(|one| {
            let key = (one.facts.name.clone(), one.facts.id.clone());
            (key, one.facts.started_at.unwrap().to_bits())
        })
        .collect()
    };
    let first = starts(&account.collect().await.unwrap());
    installation.advance(90).await;
    let second = starts(&account.collect().await.unwrap());
    let same = first.iter().filter(|(key, start)| second.get(*key) == Some(start)).count();
    assert!(same > 90, "{same} of {}", first.len());
    installation.advance(3 * 86_400).await;
    let later = starts(&account.collect().await.unwrap());
    assert!(first.keys().all(|key| !later.contains_key(key)), "another container has another id");
}

#[tokio::test]
async fn a_process_that_is_deleted_after_the_list_leaves_no_failure() {
    let installation = Installation::start(CloudFoundry::default()).await;
    let account = installation.account();
    account.collect().await.unwrap();
    let gone = caas_operator::simulator::Fault::new(FaultKind::Status(
        404,
        caas_operator::simulator::RetryAfter::Absent,
    ));
    installation.cloud.set_fault(gone.on("stats").service("kibana")).unwrap();
    let collection = account.collect().await.unwrap();
    assert_eq!(collection.failures(), (0, None));
    assert!(collection.services.iter().all(|service| service.facts.name != "kibana"));
}

#[tokio::test]
async fn crashed_instances_have_a_state_and_their_service_is_degraded_or_failed() {
    let installation = Installation::start(CloudFoundry { crashed: 0.5, ..CloudFoundry::default() }).await;
    let collection = installation.account().collect().await.unwrap();
    let with =
        |state| collection.services.iter().filter(|service| service.facts.state == Some(state)).count();
    assert!(with(State::Degraded) > 5, "{}", with(State::Degraded));
    let degraded =
        collection.services.iter().find(|service| service.facts.state == Some(State::Degraded)).unwrap();
    assert!(degraded.facts.running_instances < degraded.facts.desired_instances);
}

#[tokio::test]
async fn values_that_a_user_or_an_old_cell_does_not_show_are_absent_and_the_rest_is_there() {
    let options = CloudFoundry { redacted: true, no_cpu_entitlement: true, ..CloudFoundry::default() };
    let installation = Installation::start(options).await;
    let collection = installation.account().collect().await.unwrap();
    assert_eq!((collection.failures(), instances(&collection)), ((0, None), 100));
    let instance = &collection.services[0].instances.as_ref().unwrap()[0];
    let sample = instance.reading.sample.as_ref().unwrap();
    assert_eq!(sample.value(Measurement::CpuEntitlementUtilization), None);
    assert_eq!(sample.len(), 3);
}
