//! Errors as the API speaks them: most of them inside an answer of status 200.

use std::time::Duration;

use caas_operator::cloud::error::AnswerProblem;
use caas_operator::cloud::http::AccountLimits;
use caas_operator::cloud::model::Measurement;
use caas_operator::cloud::railway::{Settings, TokenKind};
use caas_operator::cloud::{CloudError, Collection};
use caas_operator::simulator::{AccountSettings, Railway, Running, TokenRefusal};

use super::{Account, options, project_token, services, settings, start};
use crate::support::{instances, limits, value};

/// A cloud of ten environments with a fault, and what one cycle makes of it.
async fn with_fault(fault: &str) -> (Running, Result<Collection, CloudError>) {
    let cloud = start(options(), services(20)).await;
    cloud.set_fault(fault.parse().unwrap()).unwrap();
    let collected = Account::at(&cloud).collect().await;
    (cloud, collected)
}

#[tokio::test]
async fn a_token_that_is_not_accepted_costs_one_request_and_then_none_for_a_while() {
    for refusal in [TokenRefusal::Reported, TokenRefusal::Status] {
        let cloud = start(Railway { refusal, ..options() }, services(10)).await;
        for account in [
            Account::with(settings(&cloud), "expired"),
            Account::of_environment(settings(&cloud), "expired"),
            // The token of an environment is none of an account.
            Account::with(settings(&cloud), &project_token(&cloud)),
        ] {
            cloud.reset_counts();
            account.is_rejected().await;
            assert_eq!(cloud.counts().total, 1);
        }
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_between_two_cycles_is_tried_once_more_and_then_rejected() {
    let cloud = start(options(), services(10)).await;
    let account = Account::at(&cloud);
    let of_environment = Account::of_environment(settings(&cloud), &project_token(&cloud));
    account.collected().await;
    of_environment.collected().await;
    cloud.revoke_tokens();
    for account in [account, of_environment] {
        cloud.reset_counts();
        account.is_rejected().await;
        assert_eq!(cloud.counts().total, 2);
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_in_mid_cycle_ends_it() {
    let account = AccountSettings { services: 60, applications: 58, ..services(60) };
    let cloud = start(options(), account).await;
    cloud.set_fault("environment:revoked-token@x1".parse().unwrap()).unwrap();
    let limits = AccountLimits { max_concurrent: 4, ..limits() };
    let token = &cloud.credentials()[0].password;
    let account = Account::limited(settings(&cloud), TokenKind::Account, token, limits);
    let collection = account.collect().await.unwrap();
    assert_eq!(collection.cut_short, Some(CloudError::Status(401)));
    assert!(cloud.counts().total < 20, "{} requests", cloud.counts().total);
    assert_eq!(account.collect().await, Err(CloudError::LoginRejected));
}

#[tokio::test]
async fn two_factor_authentication_is_named() {
    let cloud = start(Railway { two_factor: true, ..options() }, services(10)).await;
    let Err(CloudError::ScopeMissing(scope)) = Account::at(&cloud).collect().await else {
        panic!("no error")
    };
    assert!(scope.contains("two-factor authentication"), "{scope}");
}

#[tokio::test]
async fn an_unknown_workspace_is_told_from_a_bad_token() {
    let cloud = start(options(), services(10)).await;
    let settings = || Settings { workspace: Some("w-unknown".to_owned()), ..settings(&cloud) };
    let unknown = Err(CloudError::NotVisible("workspace"));
    assert_eq!(Account::with(settings(), &cloud.credentials()[0].password).collect().await, unknown);
    assert_eq!(Account::with(settings(), "expired").collect().await, Err(CloudError::LoginRejected));
}

#[tokio::test]
async fn projects_and_environments_that_do_not_exist_are_named() {
    let cloud = start(options(), services(20)).await;
    let token = cloud.credentials()[0].password.clone();
    let with = |projects: &[&str], environments: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (projects, environments) = (owned(projects), owned(environments));
        Account::with(Settings { projects, environments, ..settings(&cloud) }, &token)
    };
    assert_eq!(with(&["none"], &[]).collect().await, Err(CloudError::NotVisible("project")));
    assert_eq!(with(&[], &["none"]).collect().await, Err(CloudError::NotVisible("environment")));
    let collection = with(&["shop", "none"], &[]).collect().await.unwrap();
    assert_eq!(collection.failures(), (1, Some(&CloudError::NotVisible("project"))));
    assert_eq!(collection.services.len(), 4, "what exists is collected");
}

#[tokio::test]
async fn an_error_inside_an_answer_of_200_costs_what_it_was_about() {
    let reported = CloudError::from(AnswerProblem::Reported);
    let (_cloud, collected) = with_fault("projects:reported-error").await;
    assert_eq!(collected, Err(reported.clone()));

    let (_cloud, collected) = with_fault("environment:reported-error@x1").await;
    let collection = collected.unwrap();
    assert_eq!(
        (collection.failures(), collection.cut_short.as_ref()),
        ((1, Some(&reported)), Some(&reported))
    );
    assert!((20..40).contains(&collection.services.len()), "{}", collection.services.len());

    let (_cloud, collected) = with_fault("metrics:reported-error@x1").await;
    let collection = collected.unwrap();
    assert_eq!((collection.failures(), collection.cut_short.as_ref()), ((1, Some(&reported)), None));
    assert_eq!(collection.services.len(), 40);
    let unread = |instance: &&caas_operator::cloud::model::Instance| !instance.reading.unread.is_empty();
    let unread = collection.services.iter().flat_map(instances).filter(unread).count();
    assert!((1..60).contains(&unread), "the instances of one environment: {unread}");
}

#[tokio::test]
async fn what_an_answer_has_beside_an_error_is_collected() {
    let cloud = start(Railway { partial: true, ..options() }, services(20)).await;
    let collection = Account::at(&cloud).collect().await.unwrap();
    let reported = CloudError::from(AnswerProblem::Reported);
    assert_eq!(collection.failures(), (10, Some(&reported)), "one of each environment");
    assert_eq!((collection.services.len(), collection.cut_short), (40, None));
    for service in &collection.services {
        assert_eq!(service.facts.status, None);
        assert!(instances(service).iter().all(|one| value(one, Measurement::CpuUsageCores).is_some()));
    }
}

#[tokio::test]
async fn a_failed_request_for_traffic_costs_the_traffic_only() {
    let cloud = start(options(), services(20)).await;
    cloud.set_fault("http:reported-error".parse().unwrap()).unwrap();
    let settings = Settings { http: true, ..settings(&cloud) };
    let collection = Account::with(settings, &cloud.credentials()[0].password).collect().await.unwrap();
    assert_eq!(collection.failures().1, Some(&AnswerProblem::Reported.into()));
    assert!(collection.services.iter().flat_map(instances).all(|one| one.reading.unread.is_empty()));
    let unread = |service: &&caas_operator::cloud::model::Service| {
        service.reading.unread.contains(Measurement::ServiceHttpRequests)
    };
    assert!(collection.services.iter().filter(unread).count() > 0);
}

#[tokio::test]
async fn a_list_that_does_not_end_is_cut() {
    for (fault, projects) in [("projects:page-cycle", 2), ("projects:endless-pages", 2)] {
        let (cloud, collected) = with_fault(fault).await;
        let collection = collected.unwrap();
        assert_eq!(collection.cut_short, Some(AnswerProblem::PageCycle.into()), "{fault}");
        assert_eq!((collection.services.len(), cloud.counts()["projects"]), (40, projects), "{fault}");
    }
    let (cloud, collected) = with_fault("environment:page-cycle").await;
    assert_eq!(collected.unwrap().cut_short, Some(AnswerProblem::PageCycle.into()));
    assert_eq!(cloud.counts()["environment"], 20, "a second page of each environment, which has nothing new");
}

#[tokio::test]
async fn names_of_a_mebibyte_and_with_newlines_are_cut_and_kept_apart() {
    let (_cloud, collected) = with_fault("huge-label").await;
    let collection = collected.unwrap();
    assert_eq!(collection.services.len(), 40);
    let longest = collection.services.iter().map(|service| service.facts.name.len()).max();
    assert!(longest.is_some_and(|longest| (1_024..1_100).contains(&longest)), "{longest:?}");
}

#[tokio::test]
async fn answers_that_are_not_the_apis_are_told_apart() {
    let short = AccountLimits { request_timeout: Duration::from_secs(2), ..limits() };
    for (fault, error) in [
        ("projects:html", CloudError::from(AnswerProblem::NotJson)),
        ("projects:wrong-json", AnswerProblem::Shape.into()),
        ("projects:deep-json", AnswerProblem::TooDeep.into()),
        ("projects:empty-body", AnswerProblem::NotJson.into()),
        ("projects:503", CloudError::Status(503)),
        ("projects:status=400", CloudError::Status(400)),
        ("projects:redirect", AnswerProblem::Redirect.into()),
    ] {
        let cloud = start(options(), services(10)).await;
        cloud.set_fault(fault.parse().unwrap()).unwrap();
        let token = &cloud.credentials()[0].password;
        let account = Account::limited(settings(&cloud), TokenKind::Account, token, short);
        assert_eq!(account.collect().await, Err(error), "{fault}");
    }
    for operation in ["environment", "metrics"] {
        let (_cloud, collected) = with_fault(&format!("{operation}:wrong-json")).await;
        assert_eq!(collected.unwrap().failures().1, Some(&AnswerProblem::Shape.into()), "{operation}");
    }
}

#[tokio::test]
async fn an_outage_in_mid_cycle_ends_it_instead_of_asking_for_every_environment() {
    let account =
        AccountSettings { services: 202, applications: 200, instances: 1, ..AccountSettings::new("acme") };
    let cloud = start(options(), account).await;
    cloud.set_fault("environment:status=500".parse().unwrap()).unwrap();
    let limits = AccountLimits { max_concurrent: 4, ..limits() };
    let token = &cloud.credentials()[0].password;
    let account = Account::limited(settings(&cloud), TokenKind::Account, token, limits);
    let collection = account.collect().await.unwrap();
    assert_eq!(collection.cut_short, Some(CloudError::Status(500)));
    assert!(cloud.counts().total < 60, "{} requests", cloud.counts().total);
}

#[tokio::test]
async fn the_limit_of_the_hour_ends_a_cycle_with_the_wait_that_the_cloud_asks_for() {
    let short = AccountLimits { request_timeout: Duration::from_secs(1), ..limits() };
    let cloud = start(Railway { hourly_limit: 8, second_limit: 0, ..options() }, services(20)).await;
    let token = &cloud.credentials()[0].password;
    let account = Account::limited(settings(&cloud), TokenKind::Account, token, short);
    let collection = account.collect().await.unwrap();
    let (_, Some(CloudError::RateLimited { retry_after: Some(wait) })) = collection.failures() else {
        panic!("{:?}", collection.failures());
    };
    assert!(wait.as_secs() > 3_500 || *wait == Duration::from_secs(900), "{wait:?}");
    let asked = cloud.counts().total;
    let Err(CloudError::RateLimited { .. }) = account.collect().await else {
        panic!("the cloud asked for silence");
    };
    assert_eq!(cloud.counts().total, asked, "and gets it");
}
