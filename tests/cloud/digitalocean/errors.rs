//! Errors as the API speaks them.

use std::time::Duration;

use caas_operator::cloud::error::AnswerProblem;
use caas_operator::cloud::http::AccountLimits;
use caas_operator::cloud::model::{Instance, Measurement, MeasurementSet};
use caas_operator::cloud::{CloudError, Collection};
use caas_operator::simulator::{AccountSettings, DigitalOcean, Running};

use super::{Account, apps, options, services, settings, start};
use crate::support::{instances, limits, value};

async fn with_scopes(scopes: &[&str]) -> Running {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    start(DigitalOcean { scopes, ..options() }, services(20)).await
}

/// A cloud of 16 apps with a fault, and what one cycle makes of it.
async fn with_fault(fault: &str) -> (Running, Result<Collection, CloudError>) {
    let cloud = start(options(), services(20)).await;
    cloud.set_fault(fault.parse().unwrap()).unwrap();
    let collected = Account::at(&cloud).collect().await;
    (cloud, collected)
}

#[tokio::test]
async fn a_token_that_is_not_accepted_costs_one_request_and_then_none_for_a_while() {
    let cloud = start(options(), services(10)).await;
    let account = Account::with(settings(&cloud), "dop_v1_expired");
    account.is_rejected().await;
    assert_eq!(cloud.counts().total, 1);
}

#[tokio::test]
async fn a_token_that_is_revoked_between_two_cycles_is_tried_once_more_and_then_rejected() {
    let cloud = start(options(), services(10)).await;
    let account = Account::at(&cloud);
    account.collected().await;
    cloud.revoke_tokens();
    cloud.reset_counts();
    account.is_rejected().await;
    assert_eq!(cloud.counts().total, 2);
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let cloud = with_scopes(&["monitoring:read"]).await;
    let denied = CloudError::ScopeMissing("the scope app:read");
    assert_eq!(Account::at(&cloud).collect().await, Err(denied));

    let cloud = with_scopes(&["app:read"]).await;
    let limits = AccountLimits { max_concurrent: 4, ..limits() };
    let account = Account::limited(settings(&cloud), &cloud.credentials()[0].password, limits);
    let collection = account.collect().await.unwrap();
    let denied = CloudError::ScopeMissing("the scope monitoring:read");
    assert_eq!(collection.failures(), (1, Some(&denied)), "one error, however many apps");
    assert_eq!(apps(&collection), 16, "the inventory is there all the same");
    let counts = cloud.counts();
    let metrics = counts["cpu_percentage"] + counts["memory_percentage"] + counts["restart_count"];
    assert!((1..=4).contains(&metrics), "{metrics} requests that can only be denied");

    let cloud = with_scopes(&["app:read", "monitoring:read"]).await;
    let mut settings = settings(&cloud);
    settings.projects = vec!["88b7".to_owned()];
    let account = Account::with(settings, &cloud.credentials()[0].password);
    let denied = CloudError::ScopeMissing("the scopes app:read and project:read");
    assert_eq!(account.collect().await, Err(denied));
}

#[tokio::test]
async fn an_error_inside_an_answer_of_200_leaves_the_values_before_it() {
    let (_cloud, collected) = with_fault("metrics:reported-error@x1").await;
    let collection = collected.unwrap();
    assert_eq!(collection.failures(), (1, Some(&AnswerProblem::Reported.into())));
    let unread: Vec<MeasurementSet> = collection
        .services
        .iter()
        .flat_map(instances)
        .map(|instance| instance.reading.unread)
        .filter(|unread| !unread.is_empty())
        .collect();
    assert!(!unread.is_empty() && unread.len() <= 4, "the instances of one app: {}", unread.len());
    assert!(unread.iter().all(|set| *set == unread[0] && *set != MeasurementSet::ALL));
}

#[tokio::test]
async fn a_metric_that_fails_is_one_error_and_the_others_are_exposed() {
    let (_cloud, collected) = with_fault("metrics:status=404@x1").await;
    let collection = collected.unwrap();
    assert_eq!(collection.failures(), (1, Some(&CloudError::Status(404))));
    let all = || collection.services.iter().flat_map(instances);
    let partly = all().filter(|instance| !instance.reading.unread.is_empty());
    for instance in partly {
        assert!(instance.reading.sample.as_ref().is_some_and(|sample| sample.len() == 2));
    }
    let whole = |instance: &&Instance| {
        value(instance, Measurement::CpuLimitUtilization).is_some()
            && value(instance, Measurement::MemoryUtilization).is_some()
    };
    assert!(all().filter(whole).count() >= all().count() - 4);
}

#[tokio::test]
async fn health_that_cannot_be_read_keeps_what_was_read_before() {
    let cloud = start(options(), services(20)).await;
    let account = Account::at(&cloud);
    let before = account.collected().await;
    cloud.set_fault("health:status=404".parse().unwrap()).unwrap();
    let after = account.collect().await.unwrap();
    assert_eq!(after.failures(), (16, Some(&CloudError::Status(404))));
    for (before, after) in before.services.iter().zip(&after.services) {
        assert_eq!(before.facts, after.facts);
        assert!(after.facts.ready_instances.is_some());
    }
}

#[tokio::test]
async fn instances_that_cannot_be_listed_cost_their_app_only() {
    let (_cloud, collected) = with_fault("instances:status=404@x1").await;
    let collection = collected.unwrap();
    let failed: Vec<_> = collection.services.iter().filter(|service| service.instances.is_err()).collect();
    assert!(!failed.is_empty() && failed.len() <= 2, "the components of one app");
    assert!(failed.iter().all(|service| service.instances == Err(CloudError::Status(404))));
    assert_eq!(failed[0].facts.running_instances, None);
}

#[tokio::test]
async fn sizes_that_cannot_be_read_leave_shares_and_are_asked_for_again() {
    let cloud = start(options(), services(10)).await;
    cloud.set_fault("sizes:status=404@x1".parse().unwrap()).unwrap();
    let account = Account::at(&cloud);
    let collection = account.collect().await.unwrap();
    assert_eq!(collection.failures(), (1, Some(&CloudError::Status(404))));
    assert!(collection.services.iter().all(|service| service.facts.limits.is_empty()));
    assert!(value(&instances(&collection.services[0])[0], Measurement::MemoryUtilization).is_some());
    let collection = account.collected().await;
    assert!(collection.services.iter().any(|service| !service.facts.limits.is_empty()));
}

#[tokio::test]
async fn a_list_of_apps_that_does_not_end_is_cut() {
    let (cloud, collected) = with_fault("page-cycle").await;
    let collection = collected.unwrap();
    assert_eq!(collection.cut_short, Some(AnswerProblem::PageCycle.into()));
    assert_eq!((collection.services.len(), cloud.counts()["apps"]), (20, 1));

    let (cloud, collected) = with_fault("endless-pages").await;
    assert_eq!(collected.unwrap().cut_short, Some(AnswerProblem::PageCycle.into()));
    assert_eq!(cloud.counts()["apps"], 2, "the second page has nothing new");
}

#[tokio::test]
async fn answers_that_are_not_the_apis_are_told_apart() {
    let short = AccountLimits { request_timeout: Duration::from_secs(2), ..limits() };
    for (fault, error) in [
        ("apps:html", CloudError::from(AnswerProblem::NotJson)),
        ("apps:wrong-json", AnswerProblem::Shape.into()),
        ("apps:deep-json", AnswerProblem::TooDeep.into()),
        ("apps:503", CloudError::Status(503)),
        ("apps:redirect", AnswerProblem::Redirect.into()),
        ("apps:empty-body", AnswerProblem::NotJson.into()),
    ] {
        let cloud = start(options(), services(10)).await;
        cloud.set_fault(fault.parse().unwrap()).unwrap();
        let account = Account::limited(settings(&cloud), &cloud.credentials()[0].password, short);
        assert_eq!(account.collect().await, Err(error), "{fault}");
    }
    for operation in ["instances", "health", "metrics", "sizes"] {
        let (_, collected) = with_fault(&format!("{operation}:wrong-json")).await;
        let collection = collected.unwrap();
        assert_eq!(collection.failures().1, Some(&AnswerProblem::Shape.into()), "{operation}");
    }
}

#[tokio::test]
async fn an_outage_in_mid_cycle_ends_it_instead_of_asking_for_every_app() {
    let account = AccountSettings { services: 150, instances: 1, ..AccountSettings::new("acme") };
    let cloud = start(options(), account).await;
    for operation in ["instances", "health"] {
        cloud.set_fault(format!("{operation}:status=500").parse().unwrap()).unwrap();
    }
    let limits = AccountLimits { max_concurrent: 4, ..limits() };
    let account = Account::limited(settings(&cloud), &cloud.credentials()[0].password, limits);
    let collection = account.collect().await.unwrap();
    assert_eq!(collection.failures().1, Some(&CloudError::Status(500)));
    assert!(cloud.counts().total < 60, "{} requests", cloud.counts().total);
    assert_eq!(collection.services.len(), 150, "what the list says is exposed");
}

#[tokio::test]
async fn both_limits_of_a_token_end_a_cycle_with_the_wait_that_they_ask_for() {
    let short = AccountLimits { request_timeout: Duration::from_secs(1), ..limits() };
    // Of the minute: the answer says how many seconds. Of the hour: when the oldest request expires.
    for (burst_limit, hourly_limit, longest) in [(20, 0, 60), (0, 20, 3600)] {
        let cloud =
            start(DigitalOcean { burst_limit, hourly_limit, ..DigitalOcean::default() }, services(20)).await;
        let account = Account::limited(settings(&cloud), &cloud.credentials()[0].password, short);
        let collection = account.collect().await.unwrap();
        let (_, Some(CloudError::RateLimited { retry_after: Some(wait) })) = collection.failures() else {
            panic!("{:?}", collection.failures());
        };
        assert!(wait.as_secs() > 10 && wait.as_secs() <= longest, "{wait:?}");
        assert_eq!(collection.services.len(), 20);
        let Err(CloudError::RateLimited { .. }) = account.collect().await else {
            panic!("the cloud asked for silence");
        };
    }
}
