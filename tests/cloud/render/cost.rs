//! What cycles cost, counted by the cloud.

use std::time::Duration;

use caas_operator::cloud::ServiceFilter;
use caas_operator::cloud::render::{Kind, Settings, requests_per_cycle};
use caas_operator::simulator::AccountSettings;
use tokio::time::Instant;

use super::{Account, of_kind, options, services, settings, start};
use crate::support::{most_often, pass};

/// From one point to the next.
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_cycle_costs_what_the_formula_says_and_the_first_one_the_slow_facts_besides() {
    let cloud = start(options(), services(50)).await;
    let settings = Settings { services_per_request: 20, ..settings(&cloud) };
    let account = Account::with(settings, &cloud.credentials()[0].password);
    let collection = account.collected().await;
    let (measured, web) = (collection.services.len(), of_kind(&collection, "web_service"));
    assert!(measured > 40 && web > 20, "{measured} {web}");
    let (batches, web_batches) = (measured.div_ceil(20) as u64, web.div_ceil(20) as u64);
    let counts = cloud.counts();
    assert_eq!((counts["services"], counts["projects"], counts["environments"]), (1, 1, 1));
    for each_batch in ["cpu", "memory", "cpu-limit", "memory-limit", "bandwidth"] {
        assert_eq!(counts[each_batch], batches, "{each_batch}: one request, however many services");
    }
    for web in ["http-requests", "http-latency"] {
        assert_eq!(counts[web], web_batches, "{web}");
    }
    assert_eq!((counts["instances"], counts["owners"], counts["other"]), (20, 0, 0), "no more in a cycle");

    // Of 50 services, a few are cron jobs; the last lists come with the third cycle.
    for _ in 0..2 {
        pass(MINUTE).await;
        account.collected().await;
    }
    cloud.reset_counts();
    for _ in 0..3 {
        pass(MINUTE).await;
        account.collected().await;
    }
    let expected = 3 * requests_per_cycle(50, measured, web, 20);
    assert_eq!(cloud.counts().total, expected as u64, "{:?}", cloud.counts());
}

#[tokio::test]
async fn metrics_are_asked_for_once_a_minute_however_short_the_interval_is() {
    let cloud = start(options(), services(30)).await;
    let account = Account::at(&cloud);
    account.collected().await;
    let at_once = cloud.counts();
    // How late points are is learned in the first minutes.
    for _ in 0..36 {
        pass(MINUTE / 12).await;
        account.collected().await;
    }
    cloud.reset_counts();
    let begun = Instant::now();
    for _ in 0..11 {
        pass(MINUTE / 12).await;
        account.collected().await;
    }
    let (counts, times) = (cloud.counts(), most_often(begun.elapsed(), MINUTE));
    for metric in ["cpu", "memory", "http-requests", "http-latency"] {
        assert!(counts[metric] <= times * at_once[metric], "{metric}, {times} times: {counts:?}");
    }
    assert_eq!(counts["services"], 11);
}

#[tokio::test]
async fn a_hundred_services_are_two_pages_and_250_are_three() {
    for (number, pages) in [(99, 1), (100, 2), (250, 3)] {
        let account = AccountSettings { services: number, instances: 1, ..AccountSettings::new("acme") };
        let cloud = start(options(), account).await;
        // The static site is on the list as well.
        let on_list = number + 1;
        let mut settings = settings(&cloud);
        settings.kinds.push(Kind::CronJob);
        let account = Account::with(settings, &cloud.credentials()[0].password);
        let collection = account.collected().await;
        assert_eq!(collection.services.len(), number);
        assert_eq!(cloud.counts()["services"], (on_list / 100 + 1) as u64, "{pages}");
    }
}

#[tokio::test]
async fn without_http_metrics_a_batch_costs_two_requests_less() {
    let cloud = start(options(), services(20)).await;
    let settings = Settings { http: false, ..settings(&cloud) };
    let account = Account::with(settings, &cloud.credentials()[0].password);
    let measured = account.collected().await.services.len();
    cloud.reset_counts();
    pass(MINUTE).await;
    account.collected().await;
    assert_eq!(cloud.counts().total, requests_per_cycle(20, measured, 0, 30) as u64);
}

#[tokio::test]
async fn what_a_user_filters_out_is_not_asked_for() {
    let cloud = start(options(), services(30)).await;
    let key = cloud.credentials()[0].password.clone();
    let all = Account::at(&cloud).collected().await;
    let named = |name: &str| all.services.iter().filter(|one| one.facts.name == name).count();
    let in_application =
        |name: &str| all.services.iter().filter(|one| one.facts.application.as_deref() == Some(name)).count();
    let with = |change: fn(&mut Settings)| {
        let mut settings = settings(&cloud);
        change(&mut settings);
        Account::with(settings, &key)
    };
    let mut globs = with(|_| {});
    globs.filter = ServiceFilter::new(&["redis"], &[]);
    let workers = with(|settings| settings.kinds = vec![Kind::BackgroundWorker]);
    for (account, expected) in [
        (globs, named("redis")),
        (workers, of_kind(&all, "background_worker")),
        (with(|settings| settings.projects = vec!["wiki".to_owned()]), in_application("wiki/production")),
        (with(|settings| settings.environments = vec!["staging".to_owned()]), in_application("shop/staging")),
    ] {
        cloud.reset_counts();
        let collection = account.collected().await;
        assert_eq!(collection.services.len(), expected);
        assert!(expected > 0);
        let requests = cloud.requests();
        let asked = requests.iter().find(|line| line.starts_with("GET /v1/metrics/cpu?")).unwrap();
        assert_eq!(asked.matches("resource=").count(), expected, "{asked}");
    }
}

#[tokio::test]
async fn a_workspace_is_chosen_by_its_id() {
    let cloud = start(options(), services(20)).await;
    let key = cloud.credentials()[0].password.clone();
    let owners: serde_json::Value = crate::http_support::client()
        .get(cloud.url() + "owners")
        .bearer_auth(&key)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let workspace = owners[0]["owner"]["id"].as_str().unwrap().to_owned();
    let settings = Settings { workspaces: vec![workspace], ..settings(&cloud) };
    let collection = Account::with(settings, &key).collected().await;
    assert!((1..=8).contains(&collection.services.len()));
    assert!(collection.services.iter().all(|service| service.facts.application.is_some()));
}
