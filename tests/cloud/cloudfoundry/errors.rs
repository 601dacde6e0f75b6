//! Errors as Cloud Foundry speaks them, and responses that are none.

use std::time::Duration;

use caas_operator::cloud::CloudError;
use caas_operator::cloud::error::AnswerProblem;
use caas_operator::cloud::http::Http;
use caas_operator::simulator::{AccountSettings, CloudFoundry, Settings};
use futures::future::join_all;

use super::{Account, Installation};
use crate::support::{lenient, limits, timeout_of};

#[tokio::test]
async fn measurements_that_the_cloud_cannot_read_are_a_failure_and_no_zeros() {
    let installation =
        Installation::start(CloudFoundry { log_cache_down: true, ..CloudFoundry::default() }).await;
    let collection = installation.account().collect().await.unwrap();
    let asked = usize::try_from(installation.cloud.counts()["stats"]).unwrap();
    let problem = CloudError::Answer(AnswerProblem::NoMeasurements);
    assert_eq!(collection.failures(), (asked, Some(&problem)), "one for each process");
    for service in &collection.services {
        for instance in service.instances.as_ref().unwrap() {
            assert_eq!(instance.reading.sample, None);
            assert!(!instance.reading.unread.is_empty(), "the last values stay for a while");
        }
    }
}

#[tokio::test]
async fn a_429_of_the_api_is_a_rate_limit_whatever_its_content_type_and_keeps_the_account_silent() {
    let installation =
        Installation::start(CloudFoundry { rate_limit: Some(10), ..CloudFoundry::default() }).await;
    let account = installation.account();
    let collection = account.collect().await.unwrap();
    let limited = collection.failures().1.cloned();
    let Some(CloudError::RateLimited { retry_after: Some(wait) }) = limited else { panic!("{limited:?}") };
    assert_eq!(wait, Duration::from_secs(900), "an hour, cut to the longest wait");
    installation.cloud.reset_counts();
    for _ in 0..3 {
        assert!(matches!(account.collect().await, Err(CloudError::RateLimited { .. })));
    }
    assert_eq!(installation.cloud.counts().total, 0);
}

#[tokio::test]
async fn a_503_of_the_cells_costs_the_process_that_it_is_about() {
    let installation = Installation::start(CloudFoundry::default()).await;
    let account = installation.account();
    account.collect().await.unwrap();
    installation.cloud.set_fault("stats:503@service=kibana".parse().unwrap()).unwrap();
    let collection = account.collect().await.unwrap();
    let kibana = collection.services.iter().filter(|service| service.instances.is_err()).count();
    assert_eq!(collection.failures(), (kibana, Some(&CloudError::Status(503))));
    assert!((1..=2).contains(&kibana));
}

#[tokio::test]
async fn a_denied_request_says_what_the_credentials_lack() {
    let installation = Installation::start(CloudFoundry::default()).await;
    let account = installation.account();
    installation.cloud.set_fault("apps:status=403".parse().unwrap()).unwrap();
    let error = account.collect().await.unwrap_err();
    assert_eq!(error, CloudError::ScopeMissing("the scope cloud_controller.read"));
    installation.cloud.clear_faults();
    installation.cloud.set_fault("stats:status=403@x1".parse().unwrap()).unwrap();
    let collection = account.collect().await.unwrap();
    let (count, first) = collection.failures();
    assert_eq!(count, 1);
    assert!(first.unwrap().to_string().contains("Space Auditor"), "{first:?}");
}

#[tokio::test]
async fn whatever_a_server_answers_the_cycle_ends_with_an_error_and_heals() {
    let faults = [
        "html",
        "empty-body",
        "truncated-body",
        "wrong-json",
        "invalid-utf8",
        "deep-json",
        "gzip-bomb",
        "status=418",
        "500",
        "redirect=http://127.0.0.1:1/",
        "drop",
        "hang",
    ];
    let operations = ["root", "login", "apps", "processes", "stats"];
    // At once, since some take until their timeout.
    let all = operations.iter().flat_map(|operation| faults.map(|fault| format!("{operation}:{fault}")));
    let http = lenient();
    join_all(all.map(|fault| fails_and_heals(&http, fault))).await;
}

async fn fails_and_heals(http: &Http, fault: String) {
    let account = AccountSettings { services: 3, instances: 2, ..AccountSettings::new("acme") };
    let settings = Settings { accounts: vec![account], ..CloudFoundry::default().into() };
    let installation = Installation::with(settings).await;
    let account = |limits| Account::new(http, installation.settings(), installation.user(), limits);
    installation.cloud.set_fault(fault.parse().unwrap()).unwrap();
    let failed =
        account(timeout_of(500)).collect().await.map_or(true, |collected| collected.failures().0 > 0);
    assert!(failed, "{fault}");
    installation.cloud.clear_faults();
    assert_eq!(account(limits()).collect().await.unwrap().failures(), (0, None), "{fault}");
}

#[tokio::test]
async fn lists_that_do_not_end_and_names_that_are_no_names_are_bounded() {
    let installation = Installation::start(CloudFoundry { page_size: 8, ..CloudFoundry::default() }).await;
    for (fault, problem) in [
        ("apps:page-cycle", Some(AnswerProblem::PageCycle)),
        ("processes:page-cycle", Some(AnswerProblem::PageCycle)),
        ("apps:endless-pages", Some(AnswerProblem::PageCycle)),
        ("processes:endless-pages", Some(AnswerProblem::PageCycle)),
        ("apps:huge-label=100000", None),
    ] {
        installation.cloud.set_fault(fault.parse().unwrap()).unwrap();
        installation.cloud.reset_counts();
        let collection = installation.account().collect().await.unwrap();
        assert_eq!(collection.cut_short, problem.map(CloudError::from), "{fault}");
        assert_eq!(collection.services.len(), 40, "{fault}");
        assert!(collection.services.iter().all(|service| service.facts.name.len() < 1_100), "{fault}");
        let counts = installation.cloud.counts();
        assert!(counts["apps_page"] + counts["processes_page"] < 12, "{fault}");
        installation.cloud.clear_faults();
    }
}
