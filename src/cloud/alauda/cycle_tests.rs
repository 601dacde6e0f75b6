use std::time::Duration;

use super::*;
use crate::cloud::error::Unreachable;

fn settings() -> Settings {
    Settings {
        endpoint: "https://caas.example.com/v1/".parse().unwrap(),
        namespace: "acme".to_owned(),
        metrics_window: Duration::from_secs(100),
        metrics_lag: Duration::from_secs(30),
    }
}

fn page(services: usize, instances: usize) -> wire::Page {
    let service = |number: usize| {
        let instance = |id: usize| format!(r#"{{"uuid": "{number}-{id}"}}"#);
        let list: Vec<_> = (0..instances).map(instance).collect();
        format!(r#"{{"service_name": "s{number}", "instances": [{}]}}"#, list.join(","))
    };
    let results: Vec<_> = (0..services).map(service).collect();
    let body = format!(r#"{{"results": [{}]}}"#, results.join(","));
    wire::services(body.as_bytes(), |_| true, Room::WHOLE).unwrap()
}

/// Answers every sample of the cycle and returns how many were asked for and why the cycle stopped.
fn answer_all(
    cycle: &mut Cycle<'_>,
    answer: impl Fn(usize, usize) -> Result<Reading, Failure>,
) -> (usize, Option<CloudError>) {
    let mut asked = 0;
    while let Some(ask) = cycle.next() {
        let Ask::Sample(service, instance, _) = ask else { panic!("a sample") };
        asked += 1;
        if let Err(error) = cycle.take(Answer::Sample(service, instance, answer(service, instance))) {
            return (asked, Some(error));
        }
    }
    (asked, None)
}

fn started(settings: &Settings, services: usize, instances: usize) -> Cycle<'_> {
    started_with(settings, page(services, instances))
}

fn started_with(settings: &Settings, page: wire::Page) -> Cycle<'_> {
    let first = wire::services_url(&settings.endpoint, &settings.namespace).unwrap();
    let mut cycle = Cycle::new(settings, first, 32);
    let Some(Ask::Page(url, _)) = cycle.next() else { panic!("a page") };
    cycle.take(Answer::Page(url, Ok(page))).unwrap();
    cycle
}

#[test]
fn a_cloud_that_answers_nothing_is_not_asked_for_every_instance() {
    let settings = settings();
    let mut cycle = started(&settings, 2_000, 5);
    let timeout = || Err(Failure::Request(Unreachable::Timeout.into()));
    let (asked, stopped) = answer_all(&mut cycle, |_, _| timeout());
    assert_eq!((asked, &stopped), (64, &Some(Unreachable::Timeout.into())));

    let collection = cycle.finish(stopped).unwrap();
    assert_eq!(collection.errors().count(), 10_000, "what was not asked shares the reason");
    assert_eq!(collection.cut_short, None, "the list of services is complete");
}

#[test]
fn one_service_that_always_fails_does_not_stop_the_others() {
    let settings = settings();
    let mut cycle = started(&settings, 5, 1_000);
    let (asked, stopped) = answer_all(&mut cycle, |service, _| match service {
        0 => Err(Failure::Request(CloudError::Status(500))),
        _ => Ok(Reading::no_data()),
    });
    assert_eq!((asked, stopped), (5_000, None));
    assert_eq!(cycle.finish(None).unwrap().errors().count(), 1_000);
}

#[test]
fn a_cloud_that_answers_every_sample_with_html_is_not_asked_for_every_instance() {
    let settings = settings();
    for problem in [AnswerProblem::NotJson, AnswerProblem::Encoding] {
        let mut cycle = started(&settings, 1_000, 5);
        let (asked, stopped) = answer_all(&mut cycle, |_, _| Err(Failure::Request(problem.into())));
        assert_eq!((asked, &stopped), (64, &Some(problem.into())));
        assert_eq!(cycle.finish(stopped).unwrap().errors().count(), 5_000);
    }
    let mut cycle = started(&settings, 1_000, 5);
    let (asked, _) = answer_all(&mut cycle, |_, _| Err(Failure::Request(AnswerProblem::Shape.into())));
    assert_eq!(asked, 5_000, "an answer that is the cloud's own speaks for itself");
}

#[test]
fn services_that_are_stopped_do_not_hide_that_the_cloud_is_ill() {
    let settings = settings();
    let list = vec![r#"{"uuid": "u"}"#; 1_000].join(",");
    let body = format!(
        r#"{{"results": [{{"service_name": "big", "instances": [{list}]}}, {{"service_name": "new", "instances": []}},
        {{"service_name": "..", "instances": [{{"uuid": "u"}}]}}, {{"service_name": "empty"}},
        {{"service_name": "old", "current_status": "Stopped", "instances": [{{"uuid": "u"}}]}},
        {{"service_name": "older", "current_status": "Stopped"}}]}}"#
    );
    let mut cycle = started_with(&settings, wire::services(body.as_bytes(), |_| true, Room::WHOLE).unwrap());
    let (mut asked, mut stopped) = (0, None);
    while let Some(ask) = cycle.next()
        && stopped.is_none()
    {
        stopped = match ask {
            Ask::Page(..) => panic!("no page"),
            Ask::Instances(service, ..) => cycle.take(Answer::Instances(service, Ok(Vec::new()))).err(),
            Ask::Sample(service, instance, _) => {
                asked += 1;
                let failure = Failure::Request(Unreachable::Timeout.into());
                cycle.take(Answer::Sample(service, instance, Err(failure))).err()
            }
        };
    }
    assert_eq!(
        (asked, stopped),
        (65, Some(Unreachable::Timeout.into())),
        "one before the list of the empty one"
    );
}

#[test]
fn what_concerns_the_account_stops_at_once() {
    let settings = settings();
    let mut cycle = started(&settings, 10, 10);
    let (asked, stopped) = answer_all(&mut cycle, |_, _| Err(Failure::Account(CloudError::LoginRejected)));
    assert_eq!((asked, &stopped), (1, &Some(CloudError::LoginRejected)));
    assert_eq!(cycle.finish(stopped).unwrap().errors().count(), 100);
}

#[test]
fn four_ill_services_in_front_do_not_stop_the_healthy_ones() {
    let settings = settings();
    let mut cycle = started(&settings, 10, 100);
    let (asked, stopped) = answer_all(&mut cycle, |service, _| match service {
        0..4 => Err(Failure::Request(Unreachable::Timeout.into())),
        _ => Ok(Reading::no_data()),
    });
    assert_eq!((asked, stopped), (1_000, None));
    assert_eq!(cycle.finish(None).unwrap().errors().count(), 400);
}

#[test]
fn a_service_on_two_pages_is_one_and_a_page_of_nothing_new_is_the_last() {
    let settings = settings();
    let mut cycle = started_with(&settings, wire::Page { next: Some("?page=2".to_owned()), ..page(3, 2) });
    for (number, services, ends) in [(3, 4, false), (4, 4, true)] {
        let Some(Ask::Page(url, _)) = cycle.next() else { panic!("a page") };
        let next = Some(format!("?page={number}"));
        cycle.take(Answer::Page(url, Ok(wire::Page { next, ..page(4, 2) }))).unwrap();
        assert_eq!((cycle.drafts.len(), !cycle.paging), (services, ends));
    }
    assert_eq!(
        answer_all(&mut cycle, |_, _| Ok(Reading::no_data())),
        (8, None),
        "each instance is asked for once"
    );
    assert_eq!(cycle.finish(None).unwrap().cut_short, Some(AnswerProblem::PageCycle.into()));
}

#[test]
fn services_of_one_name_in_two_applications_are_two() {
    let settings = settings();
    let body = br#"{"results": [{"service_name": "web", "application": "a", "instances": []},
        {"service_name": "web", "application": "b", "instances": []}, {"service_name": "web", "instances": []}]}"#;
    let page = wire::services(body, |_| true, Room::WHOLE).unwrap();
    assert_eq!(started_with(&settings, page).drafts.len(), 3);
}

/// So many small objects that no inventory may hold them.
const TOO_MANY: usize = 300_000;

#[test]
fn services_beyond_what_memory_should_hold_are_not_even_read() {
    let settings = settings();
    let results = vec![r#"{"service_name":"a"}"#; TOO_MANY].join(",");
    let body = format!(r#"{{"next": "?page=2", "results": [{results}]}}"#);
    let page = wire::services(body.as_bytes(), |_| true, Room::WHOLE).unwrap();
    assert!(page.cut && page.services.len() < TOO_MANY / 2, "{} services", page.services.len());

    let mut cycle = started_with(&settings, page);
    assert!(matches!(cycle.next(), Some(Ask::Instances(..))), "no further page");
    assert_eq!(cycle.finish(None).unwrap().cut_short, Some(AnswerProblem::TooLarge.into()));
}

#[test]
fn instances_are_bounded_in_sum_over_pages_and_lists() {
    let settings = settings();
    let mut cycle = started(&settings, 1, TOO_MANY);
    assert!(cycle.next().is_none(), "one list is too large by itself");
    let collection = cycle.finish(None).unwrap();
    assert_eq!(collection.services[0].instances, Err(AnswerProblem::TooLarge.into()));

    let results = (0..8).map(|id| format!(r#"{{"service_name": "s{id}"}}"#));
    let body = format!(r#"{{"results": [{}]}}"#, results.collect::<Vec<_>>().join(","));
    let mut cycle = started_with(&settings, wire::services(body.as_bytes(), |_| true, Room::WHOLE).unwrap());
    let list = vec![r#"{"uuid": "u"}"#; TOO_MANY / 6].join(",");
    for _ in 0..8 {
        let Some(Ask::Instances(service, _, room)) = cycle.next() else { panic!("a list") };
        let list =
            wire::instances(format!("[{list}]").as_bytes(), room).map_err(|e| Failure::Request(e.into()));
        cycle.take(Answer::Instances(service, list)).unwrap();
        // The samples are of no interest here.
        cycle.jobs.retain(|job| matches!(job, Job::Instances(_)));
    }
    let refused =
        cycle.finish(None).unwrap().services.into_iter().filter(|service| service.instances.is_err());
    assert!((1..8).contains(&refused.count()), "some fit and not all");
}

#[test]
fn a_name_as_long_as_texts_are_kept_is_not_asked_for() {
    let settings = settings();
    let long = "n".repeat(70_000);
    let body = format!(
        r#"{{"results": [{{"service_name": "{long}", "instances": [{{"uuid": "u"}}]}},
        {{"service_name": "a", "application": "{long}", "instances": [{{"uuid": "u"}}]}},
        {{"service_name": "b", "instances": [{{"uuid": "{long}"}}]}}]}}"#
    );
    let mut cycle = started_with(&settings, wire::services(body.as_bytes(), |_| true, Room::WHOLE).unwrap());
    assert!(cycle.next().is_none());
    let collection = cycle.finish(None).unwrap();
    let shape = CloudError::from(AnswerProblem::Shape);
    assert_eq!(collection.errors().filter(|error| **error == shape).count(), 3);
}
