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
    wire::services(format!(r#"{{"results": [{}]}}"#, results.join(",")).as_bytes(), |_| true).unwrap()
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
    let first = wire::services_url(&settings.endpoint, &settings.namespace).unwrap();
    let mut cycle = Cycle::new(settings, first, 32);
    let Some(Ask::Page(url)) = cycle.next() else { panic!("a page") };
    cycle.take(Answer::Page(url, Ok(page(services, instances)))).unwrap();
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
        _ => Ok(Reading::NoData),
    });
    assert_eq!((asked, stopped), (5_000, None));
    assert_eq!(cycle.finish(None).unwrap().errors().count(), 1_000);
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
fn more_instances_than_memory_should_hold_are_cut() {
    let settings = settings();
    let mut cycle = started(&settings, 1, MOST_INSTANCES + 1);
    assert!(cycle.next().is_none());
    let collection = cycle.finish(None).unwrap();
    assert_eq!(collection.services[0].instances, Err(AnswerProblem::TooLarge.into()));
}
