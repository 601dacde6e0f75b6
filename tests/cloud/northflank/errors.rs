//! Errors as the API speaks them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use caas_operator::cloud::error::AnswerProblem;
use caas_operator::cloud::http::AccountLimits;
use caas_operator::cloud::model::{Measurement, MeasurementSet};
use caas_operator::cloud::northflank::Settings;
use caas_operator::cloud::{CloudError, Collection};
use caas_operator::simulator::{
    self, AccountSettings, Clock, Northflank, Permission, Reset, Running, Simulator,
};

use super::{Account, all_instances, options, services, settings, start};
use crate::support::{assert_hidden, limits, logged, value};

const ALL: [Permission; 4] = [
    Permission::ProjectsRead,
    Permission::ServicesRead,
    Permission::ViewInstances,
    Permission::ViewObservability,
];

async fn without(permission: Permission) -> Running {
    let permissions = ALL.into_iter().filter(|one| *one != permission).collect();
    start(Northflank { permissions, ..options() }, services(20)).await
}

/// A cloud of 20 services with a fault, and what one cycle makes of it.
async fn with_fault(fault: &str) -> (Running, Result<Collection, CloudError>) {
    let cloud = start(options(), services(20)).await;
    cloud.set_fault(fault.parse().unwrap()).unwrap();
    let collected = Account::at(&cloud).collect().await;
    (cloud, collected)
}

#[tokio::test]
async fn a_token_that_is_not_accepted_costs_one_request_and_then_none_for_a_while() {
    let cloud = start(options(), services(10)).await;
    let account = Account::with(settings(&cloud), "nf-expired");
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
async fn a_permission_that_the_role_lacks_is_named() {
    let cloud = without(Permission::ProjectsRead).await;
    let denied = CloudError::ScopeMissing("the permission Projects > Manage > Read");
    assert_eq!(Account::at(&cloud).collect().await, Err(denied));

    let cloud = without(Permission::ServicesRead).await;
    let collection = Account::at(&cloud).collect().await.unwrap();
    let denied = CloudError::ScopeMissing("the permission Services > General > Read");
    assert_eq!((collection.cut_short, collection.services.len()), (Some(denied), 0));
}

#[tokio::test]
async fn without_the_permission_for_metrics_there_are_services_and_containers_and_one_error() {
    let cloud = without(Permission::ViewObservability).await;
    let limits = AccountLimits { max_concurrent: 4, ..limits() };
    let account = Account::limited(settings(&cloud), &cloud.credentials()[0].password, limits);
    let collection = account.collect().await.unwrap();
    let denied = CloudError::ScopeMissing("the permission Services > Deployment > View Observability");
    assert_eq!(collection.failures(), (1, Some(&denied)), "one error, however many services");
    assert_eq!(all_instances(&collection).count(), 40);
    let metrics = cloud.counts()["metrics"];
    assert!((1..=4).contains(&metrics), "{metrics} requests that can only be denied");
}

#[tokio::test]
async fn without_the_permission_for_containers_those_that_are_measured_are_exposed() {
    let cloud = without(Permission::ViewInstances).await;
    let collection = Account::at(&cloud).collect().await.unwrap();
    let denied = CloudError::ScopeMissing("the permission Services > Deployment > View Instances");
    assert_eq!(collection.failures(), (1, Some(&denied)));
    assert_eq!(all_instances(&collection).count(), 40);
    assert!(all_instances(&collection).all(|one| value(one, Measurement::CpuUsageCores).is_some()));
}

#[tokio::test]
async fn a_role_that_may_only_read_services_has_them_without_containers() {
    let permissions = vec![Permission::ProjectsRead, Permission::ServicesRead];
    let cloud = start(Northflank { permissions, ..options() }, services(20)).await;
    let collection = Account::at(&cloud).collect().await.unwrap();
    assert!(matches!(collection.failures().1, Some(CloudError::ScopeMissing(_))));
    assert_eq!(collection.services.len(), 20);
    assert!(collection.services.iter().all(|one| matches!(one.instances, Err(CloudError::ScopeMissing(_)))));
}

#[tokio::test]
async fn a_project_or_team_that_is_not_there_is_told() {
    let cloud = start(options(), services(20)).await;
    let token = &cloud.credentials()[0].password;
    let projects = vec!["shop".to_owned(), "nowhere".to_owned()];
    let collection = Account::with(Settings { projects, ..settings(&cloud) }, token).collect().await.unwrap();
    assert_eq!(collection.failures(), (1, Some(&CloudError::NotVisible("project"))));
    assert_eq!(collection.services.len(), 2, "those of the other project");

    let team = Settings { team: Some("nobody".to_owned()), ..settings(&cloud) };
    assert_eq!(Account::with(team, token).collect().await, Err(CloudError::Status(404)));
}

#[tokio::test]
async fn metrics_that_fail_cost_their_service_only() {
    let (_cloud, collected) = with_fault("metrics:status=404@service=kibana").await;
    let collection = collected.unwrap();
    assert_eq!(collection.failures(), (1, Some(&CloudError::Status(404))));
    let unread: Vec<MeasurementSet> = all_instances(&collection)
        .map(|instance| instance.reading.unread)
        .filter(|unread| !unread.is_empty())
        .collect();
    assert_eq!(unread.len(), 2, "the containers of kibana");
    assert!(unread.iter().all(|set| set.contains(Measurement::MemoryUsage)));
    let measured = all_instances(&collection).filter(|instance| instance.reading.sample.is_some());
    assert_eq!(measured.count(), 38);
}

#[tokio::test]
async fn containers_that_cannot_be_listed_are_those_of_before_or_those_that_are_measured() {
    let (_cloud, collected) = with_fault("containers:status=500@x1@service=kibana").await;
    // The one attempt after it succeeds.
    assert_eq!(collected.unwrap().failures(), (0, None));
    let (_cloud, collected) = with_fault("containers:status=404@service=kibana").await;
    let collection = collected.unwrap();
    assert_eq!(collection.failures(), (1, Some(&CloudError::Status(404))));
    assert_eq!(all_instances(&collection).count(), 40);
}

#[tokio::test]
async fn details_that_cannot_be_read_leave_those_of_before_and_are_asked_for_again() {
    let cloud = start(options(), services(10)).await;
    cloud.set_fault("service:status=404@x10".parse().unwrap()).unwrap();
    let account = Account::at(&cloud);
    let collection = account.collect().await.unwrap();
    assert_eq!(collection.failures(), (10, Some(&CloudError::Status(404))));
    assert!(collection.services.iter().all(|service| service.facts.size.is_none()));
    let collection = account.collected().await;
    assert!(collection.services.iter().all(|service| service.facts.size.is_some()));
}

#[tokio::test]
async fn plans_that_cannot_be_read_leave_services_without_limits_and_are_asked_for_again() {
    let cloud = start(options(), services(10)).await;
    cloud.set_fault("plans:status=404@x1".parse().unwrap()).unwrap();
    let account = Account::at(&cloud);
    let collection = account.collect().await.unwrap();
    assert_eq!(collection.failures(), (1, Some(&CloudError::Status(404))));
    assert!(collection.services.iter().all(|service| service.facts.limits.is_empty()));
    let collection = account.collected().await;
    assert!(collection.services.iter().any(|service| !service.facts.limits.is_empty()));
}

#[tokio::test]
async fn lists_that_do_not_end_are_cut() {
    for fault in ["services:page-cycle", "services:endless-pages", "projects:endless-pages"] {
        let (cloud, collected) = with_fault(fault).await;
        let collection = collected.unwrap();
        assert_eq!(collection.cut_short, Some(AnswerProblem::PageCycle.into()), "{fault}");
        assert_eq!(collection.services.len(), 20, "{fault}");
        let counts = cloud.counts();
        assert!(counts["projects"] <= 2 && counts["services"] <= 10, "{fault}");
    }
    let (cloud, collected) = with_fault("containers:endless-pages").await;
    let collection = collected.unwrap();
    assert_eq!(collection.failures(), (20, Some(&AnswerProblem::PageCycle.into())));
    assert_eq!(all_instances(&collection).count(), 40, "those that are measured");
    assert_eq!(cloud.counts()["containers"], 40, "the second page has nothing new");
}

#[tokio::test]
async fn answers_that_are_not_the_apis_are_told_apart() {
    let short = AccountLimits { request_timeout: Duration::from_secs(2), ..limits() };
    for (fault, error) in [
        ("projects:html", CloudError::from(AnswerProblem::NotJson)),
        ("projects:wrong-json", AnswerProblem::Shape.into()),
        ("projects:deep-json", AnswerProblem::TooDeep.into()),
        ("projects:503", CloudError::Status(503)),
        ("projects:redirect", AnswerProblem::Redirect.into()),
        ("projects:empty-body", AnswerProblem::NotJson.into()),
    ] {
        let cloud = start(options(), services(10)).await;
        cloud.set_fault(fault.parse().unwrap()).unwrap();
        let account = Account::limited(settings(&cloud), &cloud.credentials()[0].password, short);
        assert_eq!(account.collect().await, Err(error), "{fault}");
    }
    for operation in ["services", "containers", "metrics", "service", "plans"] {
        let (_, collected) = with_fault(&format!("{operation}:wrong-json")).await;
        let collection = collected.unwrap();
        assert_eq!(collection.failures().1, Some(&AnswerProblem::Shape.into()), "{operation}");
    }
}

#[tokio::test]
async fn an_outage_in_mid_cycle_ends_it_instead_of_asking_for_every_service() {
    let account = AccountSettings { services: 150, instances: 1, ..AccountSettings::new("acme") };
    let cloud = start(options(), account).await;
    for operation in ["metrics", "containers"] {
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
async fn the_limit_of_a_token_ends_a_cycle_with_the_wait_that_it_asks_for_in_every_dialect() {
    let short = AccountLimits { request_timeout: Duration::from_secs(1), ..limits() };
    for (reset, retry_after) in [(Reset::Delta, false), (Reset::Epoch, false), (Reset::Delta, true)] {
        let limited = Northflank { hourly_limit: 20, reset, retry_after, ..Northflank::default() };
        // The hour's requests are spent 50 minutes ago.
        let (behind, start) = (Arc::new(AtomicU64::new(3000)), Clock::system().now());
        let clock = Arc::clone(&behind);
        let clock = Clock::new(move || start - clock.load(Ordering::Relaxed) as f64);
        let settings_of = simulator::Settings { accounts: vec![services(20)], clock, ..limited.into() };
        let cloud = Simulator::start(settings_of).await.unwrap();
        let account = || Account::limited(settings(&cloud), &cloud.credentials()[0].password, short);
        let collection = account().collect().await.unwrap();
        assert!(matches!(collection.failures().1, Some(CloudError::RateLimited { .. })));
        assert_eq!(collection.services.len(), 20, "what was listed before");

        behind.store(0, Ordering::Relaxed);
        let account = account();
        let Err(CloudError::RateLimited { retry_after: Some(wait) }) = account.collect().await else {
            panic!("{reset:?}");
        };
        assert!(wait.as_secs() > 570 && wait.as_secs() <= 600, "{reset:?} {wait:?}");
        cloud.reset_counts();
        assert!(matches!(account.collect().await, Err(CloudError::RateLimited { .. })));
        assert_eq!(cloud.counts().total, 0, "the cloud asked for silence");
    }
}

#[test]
fn no_token_and_no_answer_appears_in_a_log_at_trace_level_or_in_what_a_cycle_leaves() {
    let (log, (errors, metrics)) = logged(async {
        let account = AccountSettings { password: Some("canary-token".to_owned()), ..services(10) };
        let cloud = start(options(), account).await;
        for fault in ["metrics:status=418@x2", "containers:wrong-json@x2", "service:html@x2"] {
            cloud.set_fault(fault.parse().unwrap()).unwrap();
        }
        let account = Account::at(&cloud);
        let collection = account.collect().await.unwrap();
        assert!(collection.failures().0 > 0);
        let refused = Account::with(settings(&cloud), "canary-refused").collect().await;
        (format!("{collection:?} {refused:?}"), account.metrics.render())
    });
    let texts = [("log", &*log), ("collection", &errors), ("metrics", &metrics)];
    assert_hidden(&["canary", "fails on purpose"], &texts);
}
