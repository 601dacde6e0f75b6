//! What cycles cost, counted by the cloud.

use std::time::Duration;

use caas_operator::cloud::ServiceFilter;
use caas_operator::cloud::digitalocean::{Kind, Settings, requests_per_cycle};
use caas_operator::cloud::model::Measurement;
use caas_operator::simulator::AccountSettings;
use tokio::time::Instant;

use super::{Account, apps, options, services, settings, start};
use crate::http_support::client;
use crate::support::{instances, most_often, pass, value};

/// The default interval, in which there is one new point.
const INTERVAL: Duration = Duration::from_secs(120);

#[tokio::test]
async fn five_cycles_cost_what_the_formula_says_and_each_app_is_asked_for_its_restarts_once() {
    let cloud = start(options(), services(20)).await;
    let account = Account::at(&cloud);
    let number = apps(&account.collected().await);
    assert_eq!(number, 16, "twelve apps of one service, four of two");
    let asked = number as u64;
    let counts = cloud.counts();
    assert_eq!((counts["apps"], counts["sizes"], counts["other"]), (1, 1, 0));
    for each_app in ["instances", "health", "cpu_percentage", "memory_percentage", "restart_count"] {
        assert_eq!(counts[each_app], asked, "{each_app}: one request, however many instances");
    }

    cloud.reset_counts();
    for _ in 0..5 {
        pass(INTERVAL).await;
        account.collected().await;
    }
    let counts = cloud.counts();
    assert_eq!((counts["apps"], counts["sizes"]), (5, 0), "the sizes are known for a day");
    assert_eq!((counts["cpu_percentage"], counts["restart_count"]), (5 * asked, asked));
    let expected = 5.0 * requests_per_cycle(number, number, true, INTERVAL);
    assert!((counts.total as f64 - expected).abs() < 1e-9, "{} requests, not {expected}", counts.total);
}

#[tokio::test]
async fn metrics_are_asked_for_once_in_two_minutes_however_short_the_interval_is() {
    let cloud = start(options(), services(20)).await;
    let account = Account::at(&cloud);
    account.collected().await;
    let at_once = cloud.counts();
    // How late points are is learned in the first minutes.
    for _ in 0..36 {
        pass(INTERVAL / 12).await;
        account.collected().await;
    }
    cloud.reset_counts();
    let begun = Instant::now();
    for _ in 0..11 {
        pass(INTERVAL / 12).await;
        account.collected().await;
    }
    // A point may be due once within two minutes.
    let (counts, times) = (cloud.counts(), most_often(begun.elapsed(), INTERVAL));
    for metric in ["cpu_percentage", "memory_percentage", "restart_count"] {
        assert!(counts[metric] <= times * at_once[metric], "{metric}, {times} times: {counts:?}");
    }
    assert_eq!(counts["instances"], 11 * at_once["instances"]);
}

#[tokio::test]
async fn restarts_are_exposed_in_every_cycle_though_they_are_asked_for_in_each_fifth() {
    let cloud = start(options(), services(10)).await;
    let account = Account::at(&cloud);
    for cycle in 0..4 {
        for service in account.collected().await.services {
            for instance in instances(&service) {
                let restarts = value(instance, Measurement::Restarts);
                assert!(restarts.is_some(), "cycle {cycle}: {}", instance.facts.name);
            }
        }
    }
    assert!(cloud.counts()["restart_count"] < 2 * 6, "of six apps in four cycles");
}

#[tokio::test]
async fn four_hundred_and_one_apps_are_three_pages() {
    let account = AccountSettings { services: 401, instances: 1, ..AccountSettings::new("acme") };
    let cloud = start(options(), account).await;
    let collection = Account::at(&cloud).collected().await;
    assert_eq!((collection.services.len(), cloud.counts()["apps"]), (401, 3));
    let first = "GET /v2/apps?page=1&per_page=200";
    assert_eq!(cloud.requests().iter().filter(|request| *request == first).count(), 1);
}

#[tokio::test]
async fn without_health_an_app_costs_one_request_less() {
    let cloud = start(options(), services(20)).await;
    let settings = Settings { health: false, ..settings(&cloud) };
    let account = Account::with(settings, &cloud.credentials()[0].password);
    account.collected().await;
    cloud.reset_counts();
    for _ in 0..5 {
        pass(INTERVAL).await;
        account.collected().await;
    }
    let counts = cloud.counts();
    assert_eq!(counts["health"], 0);
    assert!(
        (counts.total as f64 - 5.0 * requests_per_cycle(16, 16, false, INTERVAL)).abs() < 1e-9,
        "{}",
        counts.total
    );
}

#[tokio::test]
async fn what_a_user_filters_out_costs_no_requests() {
    let cloud = start(options(), services(20)).await;
    let token = cloud.credentials()[0].password.clone();
    let all = Account::at(&cloud).collected().await;
    let of_app =
        |name: &str| all.services.iter().filter(|one| one.facts.application.as_deref() == Some(name)).count();
    let id = all.services.iter().find(|one| one.facts.application.as_deref() == Some("shop"));
    let id = id.unwrap().facts.id.clone().unwrap();

    let with = |change: fn(&mut Settings)| {
        let mut settings = settings(&cloud);
        change(&mut settings);
        Account::with(settings, &token)
    };
    let mut by_id = settings(&cloud);
    by_id.apps = vec![id];
    let jobs = with(|settings| settings.kinds = vec![Kind::Job]);
    let mut globs = with(|_| {});
    globs.filter = ServiceFilter::new(&["kibana"], &[]);
    for (account, services, apps) in [
        (with(|settings| settings.apps = vec!["kibana".to_owned()]), of_app("kibana"), 1),
        (Account::with(by_id, &token), of_app("shop"), 1),
        (globs, 1, 1),
        (with(|settings| settings.apps = vec!["none".to_owned()]), 0, 0),
    ] {
        cloud.reset_counts();
        let collection = account.collected().await;
        let counts = cloud.counts();
        assert_eq!(collection.services.len(), services);
        assert_eq!(
            (counts["instances"], counts["cpu_percentage"], counts["sizes"]),
            (apps, apps, apps.min(1))
        );
    }

    cloud.reset_counts();
    let collection = jobs.collected().await;
    assert!(!collection.services.is_empty());
    assert!(collection.services.iter().all(|job| job.facts.kind.as_deref() == Some("job")));
    assert_eq!(cloud.counts()["cpu_percentage"], 0, "no job runs, so there is nothing to measure");
}

#[tokio::test]
async fn only_apps_of_the_chosen_project_are_collected() {
    let cloud = start(options(), services(20)).await;
    let token = &cloud.credentials()[0].password;
    let page: serde_json::Value = client()
        .get(cloud.url() + "v2/apps?with_projects=true&per_page=200")
        .bearer_auth(token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let project = page["apps"][0]["project_id"].as_str().unwrap();
    let of_project = |app: &&serde_json::Value| app["project_id"] == project;
    let expected = page["apps"].as_array().unwrap().iter().filter(of_project).count();
    let mut settings = settings(&cloud);
    settings.projects = vec![project.to_owned()];
    cloud.reset_counts();
    let collection = Account::with(settings, token).collected().await;
    assert_eq!((apps(&collection), cloud.counts()["instances"]), (expected, expected as u64));
    assert!((1..16).contains(&expected));
}
