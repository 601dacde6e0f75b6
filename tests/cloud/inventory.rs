//! What a healthy cycle requests, and lists of pages that are odd.

use std::sync::atomic::{AtomicUsize, Ordering};

use caas_operator::cloud::error::AnswerProblem;
use caas_operator::cloud::model::{Measurement, Reading};
use caas_operator::cloud::{CloudError, ServiceFilter};

use crate::support::{Account, Fake, ONE_PAGE, TOKEN, json, lenient, limits, password, status};

#[tokio::test]
async fn a_cycle_costs_one_request_a_page_and_one_an_instance_and_a_login_at_first() {
    let fake = Fake::healthy().await;
    let account = Account::at(&fake);

    let collection = account.collect().await.unwrap();
    account.collect().await.unwrap();

    assert_eq!(collection.failures(), (0, None));
    let samples = collection.services.iter().flat_map(|service| service.instances.as_ref().unwrap());
    assert!(samples.clone().all(|instance| {
        let sample = instance.reading.sample.as_ref().unwrap();
        sample.len() == 1 && sample.value(Measurement::MemoryUsage) == Some(16.0)
    }));
    assert_eq!(samples.count(), 3);
    assert_eq!(fake.seen().len(), 1 + 2 * (1 + 3));
    let (login, rest) = (&fake.seen()[0], &fake.seen()[1..]);
    assert_eq!((&*login.method, &*login.path), ("POST", "/v1/generate-api-token/"));
    assert_eq!(login.body, "username=acme&password=p%26ss+w%C3%B6rd");
    assert!(rest.iter().all(|seen| seen.authorization == Some(format!("Token {TOKEN}"))), "{rest:?}");
    assert!(fake.count("start_time=") == 6 && fake.count("point_per_period=1m") == 6);
    assert!((account.metric(&["api_requests_total", "metrics", "200"]) - 6.0).abs() < 0.1);
    assert!(account.metric(&["api_requests_in_flight"]).abs() < 0.1);
}

#[tokio::test]
async fn cycles_reuse_their_connections() {
    let fake = Fake::healthy().await;
    let account = Account::at(&fake);
    for _ in 0..5 {
        account.collect().await.unwrap();
    }
    assert!(fake.connected() <= 10, "{} connections for 21 requests", fake.connected());
}

#[tokio::test]
async fn pages_are_followed_by_absolute_and_by_relative_links_on_our_origin_only() {
    let stranger = Fake::healthy().await;
    let elsewhere = stranger.address;
    let fake = Fake::with(move |seen| {
        let page = |service: &str, next: String| {
            json(format!(
                r#"{{"next": {next}, "results": [{{"service_name": "{service}", "instances": []}}]}}"#
            ))
        };
        match &*seen.path {
            "/v1/services/acme/" => Some(page("a", r#""?page=2""#.to_owned())),
            "/v1/services/acme/?page=2" => Some(page("b", r#""/v1/services/acme/?page=3""#.to_owned())),
            "/v1/services/acme/?page=3" => {
                Some(page("c", format!(r#""http://{elsewhere}/v1/services/acme/?page=4""#)))
            }
            "/v1/services/acme/?page=4" => Some(page("d", "null".to_owned())),
            _ => None,
        }
    })
    .await;

    let collection = Account::at(&fake).collect().await.unwrap();

    let names: Vec<_> = collection.services.iter().map(|service| &*service.facts.name).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    assert_eq!(collection.cut_short, None);
    assert_eq!(stranger.connected(), 0, "another origin gets no request");
}

#[tokio::test]
async fn services_that_are_not_wanted_or_stopped_cost_no_request() {
    let fake = Fake::with(|seen| {
        let page = r#"{"results": [
            {"service_name": "web", "instances": [{"uuid": "w0"}]},
            {"service_name": "test-web"},
            {"service_name": "old", "current_status": "Stopped", "instances": [{"uuid": "o0"}]},
            {"service_name": "older", "current_status": "Stopped"}]}"#;
        (seen.path == "/v1/services/acme/").then(|| json(page))
    })
    .await;
    let filter = ServiceFilter::new(&["*"], &["test-*"]);
    let account = Account::filtered(&lenient(), &fake.endpoint(), limits(), None, password(), filter);

    let collection = account.collect().await.unwrap();

    assert_eq!(fake.seen().len(), 3, "login, page, one sample");
    let names: Vec<_> = collection.services.iter().map(|service| &*service.facts.name).collect();
    assert_eq!(names, ["web", "old", "older"]);
    assert_eq!(collection.services[1].instances.as_ref().unwrap()[0].reading, Reading::not_running());
    assert_eq!(collection.services[2].instances, Ok(Vec::new()));
}

#[tokio::test]
async fn instances_that_the_list_leaves_out_are_requested_with_the_application() {
    let fake = Fake::with(|seen| match &*seen.path {
        "/v1/services/acme/" => Some(json(
            r#"{"results": [{"service_name": "web", "application": "shop"}, {"service_name": "new", "instances": []}]}"#,
        )),
        "/v1/services/acme/web/instances/?application=shop" => {
            Some(json(r#"[{"instance_name": "web.0", "uuid": "w0", "started_at": "2015-04-14T09:47:26Z"}]"#))
        }
        _ => None,
    })
    .await;

    let collection = Account::at(&fake).collect().await.unwrap();

    assert_eq!(collection.failures(), (0, None));
    assert_eq!(fake.count("/instances/w0/metrics?application=shop&start_time="), 1);
    assert_eq!(fake.seen().len(), 4, "login, page, list of web, one sample; nothing for the empty list");
}

#[tokio::test]
async fn a_service_with_a_hostile_name_cannot_change_the_path() {
    let fake = Fake::with(|seen| {
        let page = r#"{"results": [{"service_name": "a/b?x=#", "instances": [{"uuid": "c/d;e"}]},
            {"service_name": "../../admin", "instances": [{"uuid": "u"}]}, {"service_name": "..;", "instances": [{"uuid": "u"}]},
            {"service_name": "..", "instances": [{"uuid": "u"}]}, {"service_name": "ok", "instances": [{"uuid": ".."}]}]}"#;
        (seen.path == "/v1/services/acme/").then(|| json(page))
    })
    .await;

    let collection = Account::at(&fake).collect().await.unwrap();

    let sample = &fake.seen()[2].path;
    assert!(
        sample.starts_with("/v1/services/acme/a%2Fb%3Fx%3D%23/instances/c%2Fd%3Be/metrics?start"),
        "{sample}"
    );
    assert_eq!(fake.seen().len(), 3, "a name that is a step in the path is not requested");
    assert_eq!(collection.failures(), (4, Some(&CloudError::Answer(AnswerProblem::Shape))));
}

#[tokio::test]
async fn pages_that_lead_back_to_earlier_ones_are_read_once() {
    for first in ["/v1/services/acme/", "/v1/services/acme/?page=1"] {
        let last = format!(r#"{{"next": "{first}", "results": [{{"service_name": "a", "instances": []}}]}}"#);
        let fake = Fake::with(move |seen| match &*seen.path {
            "/v1/services/acme/" => Some(json(r#"{"next": "?page=2", "results": []}"#)),
            "/v1/services/acme/?page=2" => Some(json(last.clone())),
            _ => None,
        })
        .await;

        let collection = Account::at(&fake).collect().await.unwrap();

        assert_eq!(collection.cut_short, Some(AnswerProblem::PageCycle.into()));
        assert_eq!(collection.services.len(), 1, "what was read is kept");
        assert_eq!(fake.count("/v1/services/"), 2, "{first}");
    }
}

#[tokio::test]
async fn pages_that_never_end_are_bounded() {
    let number = AtomicUsize::new(2);
    let fake = Fake::with(move |seen| {
        let next = number.fetch_add(1, Ordering::Relaxed);
        seen.path.starts_with("/v1/services/acme/").then(|| {
            json(format!(
                r#"{{"next": "?page={next}", "results": [{{"service_name": "s{next}", "instances": []}}]}}"#
            ))
        })
    })
    .await;

    let collection = Account::at(&fake).collect().await.unwrap();

    assert_eq!(collection.cut_short, Some(AnswerProblem::TooManyPages.into()));
    assert_eq!((collection.services.len(), fake.count("/v1/services/")), (1_000, 1_000));
}

#[tokio::test]
async fn a_first_page_that_fails_costs_the_cycle_and_a_later_one_cuts_it_short() {
    let first = Fake::with(|seen| seen.path.starts_with("/v1/services/acme/").then(|| status(404))).await;
    assert_eq!(Account::at(&first).collect().await, Err(CloudError::Status(404)));

    let page = ONE_PAGE.replacen("null", "\"?page=2\"", 1);
    let later = Fake::with(move |seen| match &*seen.path {
        "/v1/services/acme/" => Some(json(page.clone())),
        "/v1/services/acme/?page=2" => Some(status(404)),
        _ => None,
    })
    .await;
    let collection = Account::at(&later).collect().await.unwrap();
    assert_eq!(collection.cut_short, Some(CloudError::Status(404)));
    assert_eq!(collection.failures().0, 1, "the samples of page one are all there");
}
