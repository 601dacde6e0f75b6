//! What cycles cost, counted by the cloud.

use std::time::Duration;

use caas_operator::cloud::ServiceFilter;
use caas_operator::cloud::railway::{Settings, http_requests, requests_per_cycle};
use caas_operator::simulator::{AccountSettings, Railway};
use tokio::time::Instant;

use super::{Account, applications, options, project_token, services, settings, start};
use crate::support::{instances, most_often, pass};

#[tokio::test]
async fn twenty_environments_cost_41_requests() {
    // Two services without a project of their own, and nine projects of two.
    let account = AccountSettings { services: 20, applications: 18, ..services(20) };
    let cloud = start(options(), account).await;
    let account = Account::at(&cloud);
    for _ in 0..2 {
        cloud.reset_counts();
        let collection = account.collected().await;
        assert_eq!(applications(&collection).len(), 20, "production and staging of ten projects");
        let counts = cloud.counts();
        assert_eq!((counts["projects"], counts["environment"], counts["metrics"]), (1, 20, 20));
        assert_eq!(counts.total, requests_per_cycle(10, 20) as u64);
        assert_eq!(counts.total, 41);
        pass(Duration::from_secs(60)).await;
    }
    let posts = cloud.requests();
    assert!(posts.iter().all(|request| request == "POST /graphql/v2"), "{posts:?}");
}

#[tokio::test]
async fn measurements_are_asked_for_once_a_minute_however_short_the_interval_is() {
    let cloud = start(options(), services(40)).await;
    let settings = Settings { http: true, ..settings(&cloud) };
    let account = Account::with(settings, &cloud.credentials()[0].password);
    let first = account.collected().await;
    let at_once = cloud.counts();
    // How late points are is learned in the first minutes.
    for _ in 0..36 {
        pass(Duration::from_secs(5)).await;
        account.collected().await;
    }
    cloud.reset_counts();
    let begun = Instant::now();
    for _ in 0..11 {
        pass(Duration::from_secs(5)).await;
        let collection = account.collected().await;
        assert_eq!(collection.services.len(), first.services.len());
        for (before, now) in first.services.iter().zip(&collection.services) {
            assert_eq!(before.facts, now.facts);
            let facts = |service| instances(service).iter().map(|one| one.facts.clone()).collect::<Vec<_>>();
            assert_eq!(facts(before), facts(now), "regions and limits stay known");
        }
    }
    // A point may be due once within the minute.
    let (counts, times) = (cloud.counts(), most_often(begun.elapsed(), Duration::from_secs(60)));
    for kind in ["metrics", "http"] {
        assert!(counts[kind] <= times * at_once[kind], "{kind}, {times} times: {counts:?}");
    }
    assert_eq!(counts["environment"], 11 * at_once["environment"]);
}

#[tokio::test]
async fn small_pages_are_followed_to_their_end() {
    let cloud = start(Railway { page_size: 2, ..options() }, services(20)).await;
    let all = Account::at(&start(options(), services(20)).await).collected().await;
    let collection = Account::at(&cloud).collected().await;
    let names = |collection: &caas_operator::cloud::Collection| {
        let mut names: Vec<_> = collection
            .services
            .iter()
            .map(|service| {
                (service.facts.application.clone(), service.facts.name.clone(), service.facts.id.clone())
            })
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&collection), names(&all));
    let counts = cloud.counts();
    // Five projects; twelve services of one project in two environments, two of each other one.
    assert_eq!((counts["projects"], counts["environment"], counts["metrics"]), (3, 2 * 6 + 8, 10));
}

#[tokio::test]
async fn a_project_token_costs_three_requests_and_reads_its_own_environment() {
    let cloud = start(options(), services(20)).await;
    let account = Account::of_environment(settings(&cloud), &project_token(&cloud));
    let collection = account.collected().await;
    assert_eq!((applications(&collection).len(), collection.services.len()), (1, 12));
    assert_eq!(cloud.counts().total, requests_per_cycle(1, 1) as u64);
}

#[tokio::test]
async fn http_traffic_costs_one_more_request_for_ten_services_of_an_environment() {
    let cloud = start(options(), services(40)).await;
    let settings = Settings { http: true, ..settings(&cloud) };
    let collection = Account::with(settings, &cloud.credentials()[0].password).collected().await;
    let with_domain = |application: &&str| {
        let of = |service: &&caas_operator::cloud::model::Service| {
            service.facts.application.as_deref() == Some(application)
                && service.facts.kind.as_deref() == Some("web")
        };
        collection.services.iter().filter(of).count()
    };
    let all = applications(&collection);
    let expected: usize = all.iter().map(|application| http_requests(with_domain(application))).sum();
    assert!(expected > all.len(), "some environment needs more than one");
    let counts = cloud.counts();
    assert_eq!(counts["http"], expected as u64);
    assert_eq!(counts.total, (requests_per_cycle(5, all.len()) + expected) as u64);
}

#[tokio::test]
async fn what_a_user_filters_out_costs_no_requests() {
    let cloud = start(options(), services(20)).await;
    let token = cloud.credentials()[0].password.clone();
    let named = |projects: &[&str], environments: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (projects, environments) = (owned(projects), owned(environments));
        Account::with(Settings { projects, environments, ..settings(&cloud) }, &token)
    };
    let mut globs = named(&[], &[]);
    globs.filter = ServiceFilter::new(&["kibana"], &[]);
    for (account, services, environments, measured) in [
        (named(&["shop"], &[]), 4, 2, 2),
        (named(&[], &["staging"]), 20, 5, 5),
        (named(&["shop", "wiki"], &["production"]), 4, 2, 2),
        (globs, 2, 10, 2),
    ] {
        cloud.reset_counts();
        let collection = account.collected().await;
        assert_eq!(collection.services.len(), services);
        let counts = cloud.counts();
        assert_eq!((counts["environment"], counts["metrics"]), (environments, measured));
    }
}
