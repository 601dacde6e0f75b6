//! Errors as the API speaks them.

use std::time::Duration;

use caas_operator::cloud::error::AnswerProblem;
use caas_operator::cloud::http::AccountLimits;
use caas_operator::cloud::model::{Measurement, MeasurementSet, Service};
use caas_operator::cloud::render::Settings;
use caas_operator::cloud::{CloudError, Collection};
use caas_operator::simulator::{AccountSettings, Render, ResetTime, Running};

use super::{Account, options, services, settings, start};
use crate::support::{instances, limits, pass};

/// A cloud with a fault, and what one cycle makes of it.
async fn with_fault(fault: &str) -> (Running, Result<Collection, CloudError>) {
    let cloud = start(options(), services(20)).await;
    cloud.set_fault(fault.parse().unwrap()).unwrap();
    let collected = Account::at(&cloud).collect().await;
    (cloud, collected)
}

#[tokio::test]
async fn a_key_that_is_not_accepted_costs_one_request_and_then_none_for_a_while() {
    let cloud = start(options(), services(10)).await;
    let account = Account::with(settings(&cloud), "rnd_expired");
    account.is_rejected().await;
    assert_eq!(cloud.counts().total, 1);
}

#[tokio::test]
async fn a_key_that_is_revoked_between_two_cycles_is_tried_once_more_and_then_rejected() {
    let cloud = start(options(), services(10)).await;
    let account = Account::at(&cloud);
    account.collected().await;
    cloud.revoke_tokens();
    cloud.reset_counts();
    account.is_rejected().await;
    assert_eq!(cloud.counts().total, 2);
}

#[tokio::test]
async fn metrics_that_the_key_may_not_read_are_one_error_that_names_them() {
    let options = Render { deny_metrics: true, ..options() };
    let account = AccountSettings { services: 200, instances: 1, ..AccountSettings::new("acme") };
    let cloud = start(options, account).await;
    let limits = AccountLimits { max_concurrent: 2, ..limits() };
    let settings = Settings { services_per_request: 10, ..settings(&cloud) };
    let account = Account::limited(settings, &cloud.credentials()[0].password, limits);
    let collection = account.collect().await.unwrap();
    let denied = CloudError::ScopeMissing("access to the workspace's metrics");
    assert_eq!(collection.failures(), (1, Some(&denied)), "however many services");
    assert!(collection.services.len() > 150, "the inventory is there all the same");
    assert!((1..=2).contains(&cloud.counts()["cpu"]), "{:?}", cloud.counts());

    let (_, denied) = with_fault("services:status=403").await;
    assert_eq!(denied, Err(CloudError::ScopeMissing("access to the workspace's services")));
}

#[tokio::test]
async fn what_the_settings_name_and_does_not_exist_is_reported() {
    let cloud = start(options(), services(20)).await;
    let key = cloud.credentials()[0].password.clone();
    let one = |name: &str| vec![name.to_owned()];
    for (settings, missing) in [
        (Settings { workspaces: one("tea-none"), ..settings(&cloud) }, "workspace"),
        (Settings { projects: one("none"), ..settings(&cloud) }, "project"),
        (Settings { environments: one("none"), ..settings(&cloud) }, "environment"),
    ] {
        let collected = Account::with(settings, &key).collect().await;
        assert_eq!(collected, Err(CloudError::NotVisible(missing)));
    }
    let some = Settings { projects: vec!["shop".to_owned(), "none".to_owned()], ..settings(&cloud) };
    let collection = Account::with(some, &key).collect().await.unwrap();
    assert_eq!(collection.failures(), (1, Some(&CloudError::NotVisible("project"))));
    assert!(!collection.services.is_empty() && collection.cut_short.is_none());
}

#[tokio::test]
async fn a_metric_that_fails_is_one_error_and_the_others_are_exposed() {
    let (_cloud, collected) = with_fault("metrics:status=404@x1").await;
    let collection = collected.unwrap();
    assert_eq!(collection.failures(), (1, Some(&CloudError::Status(404))));
    for service in &collection.services {
        for instance in instances(service) {
            let sample = instance.reading.sample.as_ref().unwrap();
            let unread = instance.reading.unread;
            let lost = [Measurement::CpuUsageCores, Measurement::MemoryUsage]
                .into_iter()
                .filter(|one| unread.contains(*one))
                .count();
            assert_eq!(sample.len() + lost, 2);
        }
    }
}

#[tokio::test]
async fn instances_stay_while_no_metric_of_theirs_can_be_read() {
    let cloud = start(options(), services(20)).await;
    let account = Account::at(&cloud);
    let before = account.collected().await;
    cloud.set_fault("metrics:status=404".parse().unwrap()).unwrap();
    pass(Duration::from_secs(60)).await;
    let after = account.collect().await.unwrap();
    assert_eq!(after.failures(), (4, Some(&CloudError::Status(404))), "four metrics of one batch");
    for (before, after) in before.services.iter().zip(&after.services) {
        assert_eq!(before.facts.running_instances, after.facts.running_instances);
        assert_eq!(before.facts.limits, after.facts.limits);
        let ids = |list: &[caas_operator::cloud::model::Instance]| {
            list.iter().map(|one| one.facts.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids(instances(before)), ids(instances(after)));
        let usage = MeasurementSet::of(&[Measurement::CpuUsageCores, Measurement::MemoryUsage]);
        assert!(instances(after).iter().all(|one| one.reading.unread == usage));
    }
}

#[tokio::test]
async fn lists_of_instances_that_fail_cost_start_times_only() {
    let (_cloud, collected) = with_fault("instances:status=404").await;
    let collection = collected.unwrap();
    assert_eq!(collection.failures().1, Some(&CloudError::Status(404)));
    for service in &collection.services {
        assert!(instances(service).iter().all(|one| one.facts.created_at.is_none()));
        assert!(instances(service).iter().all(|one| one.reading.sample.is_some()));
    }
}

#[tokio::test]
async fn services_whose_environments_have_no_names_to_read_are_shown_by_their_ids() {
    for (fault, error) in [
        ("environments:status=404", CloudError::Status(404)),
        (
            "projects:status=403",
            CloudError::ScopeMissing("access to the workspace's projects and environments"),
        ),
    ] {
        let cloud = start(options(), services(20)).await;
        let whole = Account::at(&cloud).collected().await;
        cloud.set_fault(fault.parse().unwrap()).unwrap();
        let account = Account::at(&cloud);
        for cycle in 0..2 {
            cloud.reset_counts();
            let collection = account.collect().await.unwrap();
            assert_eq!((collection.failures(), &collection.cut_short), ((1, Some(&error)), &None), "{fault}");
            let applications = |collection: &Collection| {
                let of = |service: &Service| service.facts.application.clone();
                collection.services.iter().map(of).collect::<Vec<_>>()
            };
            for (named, shown) in applications(&whole).iter().zip(applications(&collection)) {
                assert_eq!(named.is_some(), shown.is_some(), "{fault}");
                assert!(shown.is_none_or(|shown| shown.starts_with("evm-")), "{fault}");
            }
            assert_eq!(collection.services.len(), whole.services.len());
            assert_eq!(cloud.counts()["projects"], 1 - cycle, "{fault}: asked for again after ten minutes");
        }
        let chosen = Settings { projects: vec!["shop".to_owned()], ..settings(&cloud) };
        let chosen = Account::with(chosen, &cloud.credentials()[0].password);
        assert_eq!(chosen.collect().await, Err(error), "nothing can be chosen");
    }
}

#[tokio::test]
async fn services_wait_for_names_that_can_soon_be_read_and_others_do_not() {
    let cloud = start(options(), services(20)).await;
    cloud.set_fault("projects:status=503".parse().unwrap()).unwrap();
    let short = AccountLimits { request_timeout: Duration::from_millis(500), ..limits() };
    let account = Account::limited(settings(&cloud), &cloud.credentials()[0].password, short);
    let collection = account.collect().await.unwrap();
    assert_eq!(collection.cut_short, Some(CloudError::Status(503)));
    assert!(!collection.services.is_empty());
    assert!(collection.services.iter().all(|service| service.facts.application.is_none()));
    cloud.clear_faults();
    let whole = account.collected().await;
    assert!(whole.services.len() > collection.services.len());
}

#[tokio::test]
async fn names_that_were_read_are_known_for_ten_minutes() {
    let cloud = start(options(), services(20)).await;
    let account = Account::at(&cloud);
    let before = account.collected().await;
    cloud.set_fault("projects:status=404".parse().unwrap()).unwrap();
    let after = account.collected().await;
    assert_eq!(before.services.len(), after.services.len(), "they are known for ten minutes");
}

#[tokio::test]
async fn a_list_of_services_that_does_not_end_is_cut() {
    let account = || AccountSettings { services: 30, instances: 1, ..AccountSettings::new("acme") };
    for fault in ["page-cycle", "endless-pages"] {
        let cloud = start(options(), account()).await;
        cloud.set_fault(format!("services:{fault}").parse().unwrap()).unwrap();
        let collection = Account::at(&cloud).collect().await.unwrap();
        assert_eq!(collection.cut_short, Some(AnswerProblem::PageCycle.into()), "{fault}");
        let pages = cloud.counts()["services"];
        assert_eq!(pages, 2, "{fault}: the second page has nothing new");
        assert!(collection.services.len() > 20);
    }
}

#[tokio::test]
async fn a_page_that_fails_leaves_the_services_of_the_pages_before() {
    let account = AccountSettings { services: 250, instances: 1, ..AccountSettings::new("acme") };
    let cloud = start(options(), account).await;
    let account = Account::at(&cloud);
    let whole = account.collected().await.services.len();
    cloud.set_fault("services:status=404@0.5".parse().unwrap()).unwrap();
    let mut cut = 0;
    for _ in 0..12 {
        // Where the first page fails, so does the cycle.
        let Ok(collection) = account.collect().await else { continue };
        match &collection.cut_short {
            Some(error) => {
                assert_eq!(error, &CloudError::Status(404));
                assert!(collection.services.len() < whole && !instances(&collection.services[0]).is_empty());
                cut += 1;
            }
            None => assert_eq!(collection.services.len(), whole),
        }
    }
    assert!(cut > 0);
}

#[tokio::test]
async fn answers_that_are_not_the_apis_are_told_apart() {
    let short = AccountLimits { request_timeout: Duration::from_secs(2), ..limits() };
    for (fault, error) in [
        ("services:html", CloudError::from(AnswerProblem::NotJson)),
        ("services:wrong-json", AnswerProblem::Shape.into()),
        ("services:deep-json", AnswerProblem::TooDeep.into()),
        ("services:503", CloudError::Status(503)),
        ("services:redirect", AnswerProblem::Redirect.into()),
        ("services:empty-body", AnswerProblem::NotJson.into()),
    ] {
        let cloud = start(options(), services(10)).await;
        cloud.set_fault(fault.parse().unwrap()).unwrap();
        let account = Account::limited(settings(&cloud), &cloud.credentials()[0].password, short);
        assert_eq!(account.collect().await, Err(error), "{fault}");
    }
    for operation in ["instances", "metrics"] {
        let (_, collected) = with_fault(&format!("{operation}:wrong-json")).await;
        let collection = collected.unwrap();
        assert_eq!(collection.failures().1, Some(&AnswerProblem::Shape.into()), "{operation}");
    }
}

#[tokio::test]
async fn too_many_points_are_a_server_error_that_fewer_services_in_a_request_avoid() {
    let account = AccountSettings { services: 40, instances: 1, ..AccountSettings::new("acme") };
    let cloud = start(Render { most_points: 150, ..options() }, account).await;
    let key = cloud.credentials()[0].password.clone();
    let short = AccountLimits { request_timeout: Duration::from_secs(3), ..limits() };
    let collection = Account::limited(settings(&cloud), &key, short).collect().await.unwrap();
    assert_eq!(collection.failures().1, Some(&CloudError::Status(500)));

    let fewer = Settings { services_per_request: 10, ..settings(&cloud) };
    let collection = Account::with(fewer, &key).collected().await;
    assert!(collection.services.iter().all(|service| !instances(service).is_empty()));
}

#[tokio::test]
async fn an_outage_in_mid_cycle_ends_it_instead_of_asking_for_every_batch() {
    let account = AccountSettings { services: 300, instances: 1, ..AccountSettings::new("acme") };
    let cloud = start(options(), account).await;
    cloud.set_fault("metrics:status=500".parse().unwrap()).unwrap();
    let limits = AccountLimits { max_concurrent: 4, ..limits() };
    let settings = Settings { services_per_request: 5, ..settings(&cloud) };
    let account = Account::limited(settings, &cloud.credentials()[0].password, limits);
    let collection = account.collect().await.unwrap();
    assert_eq!(collection.failures().1, Some(&CloudError::Status(500)));
    // 4 attempts each of some ten requests, where there would be 200 requests.
    assert!(cloud.counts().total < 80, "{} requests", cloud.counts().total);
    assert!(collection.services.len() > 200, "what the list says is exposed");
}

#[tokio::test]
async fn the_limit_of_a_user_ends_a_cycle_with_the_wait_that_it_asks_for_in_each_dialect() {
    let short = AccountLimits { request_timeout: Duration::from_secs(1), ..limits() };
    for (reset, retry_after) in
        [(ResetTime::Seconds, false), (ResetTime::Epoch, false), (ResetTime::Epoch, true)]
    {
        let options = Render { rate_limit: 6, reset, retry_after, ..Render::default() };
        let cloud = start(options, services(20)).await;
        let account = Account::limited(settings(&cloud), &cloud.credentials()[0].password, short);
        let collection = account.collect().await.unwrap();
        let (_, Some(CloudError::RateLimited { retry_after: Some(wait) })) = collection.failures() else {
            panic!("{:?}", collection.failures());
        };
        assert!((50..=60).contains(&wait.as_secs()), "{reset:?}: {wait:?}");
        assert!(collection.services.len() > 15);
        let Err(CloudError::RateLimited { .. }) = account.collect().await else {
            panic!("the cloud asked for silence");
        };
    }
}
