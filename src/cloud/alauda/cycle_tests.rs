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

/// A page as it is read from this body.
fn read_page(body: &str) -> wire::Page {
    wire::services(body.as_bytes(), |_| Ok(true), InventoryBudget::PER_CYCLE).unwrap()
}

/// A page of so many services with so many instances each.
fn page(services: usize, instances: usize) -> wire::Page {
    let service = |number: usize| {
        let instance = |id: usize| format!(r#"{{"uuid": "{number}-{id}"}}"#);
        let list: Vec<_> = (0..instances).map(instance).collect();
        format!(r#"{{"service_name": "s{number}", "instances": [{}]}}"#, list.join(","))
    };
    let results: Vec<_> = (0..services).map(service).collect();
    read_page(&format!(r#"{{"results": [{}]}}"#, results.join(",")))
}

fn started(settings: &Settings, first_page: wire::Page) -> Cycle<'_> {
    let first = wire::services_url(&settings.endpoint, &settings.namespace).unwrap();
    Cycle::new(settings, &first, first_page, Inventory::new(), 32)
}

/// Answers every request of the cycle for a sample, and returns how many there were and the error that ended it.
fn answer_samples(
    cycle: &mut Cycle<'_>,
    answer: impl Fn(usize, usize) -> Result<Reading, CloudError>,
) -> (usize, Option<CloudError>) {
    let mut requested = 0;
    while let Some(request) = cycle.next_request() {
        let CycleRequest::Sample(service, instance, ..) = request else { panic!("a sample") };
        requested += 1;
        let response = CycleResponse::Sample(service, instance, answer(service, instance));
        if let Err(error) = cycle.record(response) {
            return (requested, Some(error));
        }
    }
    (requested, None)
}

#[test]
fn an_outage_does_not_cost_a_request_an_instance() {
    let settings = settings();
    for error in [
        CloudError::from(Unreachable::Timeout),
        // A token that was revoked in mid-cycle.
        CloudError::Status(401),
        // A proxy that answers in place of the API.
        AnswerProblem::NotJson.into(),
        AnswerProblem::Encoding.into(),
    ] {
        let mut cycle = started(&settings, page(2_000, 5));
        let (requested, ended_by) = answer_samples(&mut cycle, |_, _| Err(error.clone()));
        assert_eq!((requested, &ended_by), (64, &Some(error)));

        let collection = cycle.finish(ended_by);
        assert_eq!(collection.errors().count(), 10_000, "what was not requested shares the reason");
        assert_eq!(collection.cut_short, None, "the list of services is complete");
    }
    let mut cycle = started(&settings, page(1_000, 5));
    let (requested, _) = answer_samples(&mut cycle, |_, _| Err(AnswerProblem::Shape.into()));
    assert_eq!(requested, 5_000, "a response that the API itself gave is no outage");
}

#[test]
fn one_service_that_always_fails_does_not_stop_the_others() {
    let settings = settings();
    let mut cycle = started(&settings, page(5, 1_000));
    let outcome = answer_samples(&mut cycle, |service, _| match service {
        0 => Err(CloudError::Status(500)),
        _ => Ok(Reading::no_data()),
    });
    assert_eq!(outcome, (5_000, None));
    assert_eq!(cycle.finish(None).errors().count(), 1_000);
}

#[test]
fn services_that_are_stopped_do_not_hide_an_outage() {
    let settings = settings();
    let list = vec![r#"{"uuid": "u"}"#; 1_000].join(",");
    let mut cycle = started(
        &settings,
        read_page(&format!(
            r#"{{"results": [{{"service_name": "big", "instances": [{list}]}}, {{"service_name": "new", "instances": []}},
            {{"service_name": "..", "instances": [{{"uuid": "u"}}]}}, {{"service_name": "empty"}},
            {{"service_name": "old", "current_status": "Stopped", "instances": [{{"uuid": "u"}}]}},
            {{"service_name": "older", "current_status": "Stopped"}}]}}"#
        )),
    );
    let (mut requested, mut ended_by) = (0, None);
    while let Some(request) = cycle.next_request()
        && ended_by.is_none()
    {
        let response = match request {
            CycleRequest::Page(..) => panic!("no page"),
            CycleRequest::Instances(service, ..) => CycleResponse::Instances(service, Ok(Vec::new())),
            CycleRequest::Sample(service, instance, ..) => {
                requested += 1;
                CycleResponse::Sample(service, instance, Err(Unreachable::Timeout.into()))
            }
        };
        ended_by = cycle.record(response).err();
    }
    let timeout = Some(Unreachable::Timeout.into());
    assert_eq!((requested, ended_by), (65, timeout), "one before the list of the empty service arrived");
}

#[test]
fn services_that_are_complete_do_not_hide_an_outage_in_the_rest_of_a_large_one() {
    let settings = settings();
    let list = vec![r#"{"uuid": "u"}"#; 1_000].join(",");
    let small = |name: &str| format!(r#"{{"service_name": "{name}", "instances": [{{"uuid": "u"}}]}}"#);
    let results =
        [small("a"), small("b"), small("c"), format!(r#"{{"service_name": "big", "instances": [{list}]}}"#)];
    let page = read_page(&format!(r#"{{"results": [{}]}}"#, results.join(",")));
    let mut cycle = started(&settings, page);

    let (requested, ended_by) = answer_samples(&mut cycle, |service, _| match service {
        3 => Err(Unreachable::Timeout.into()),
        _ => Ok(Reading::no_data()),
    });

    assert_eq!((requested, ended_by), (3 + 64, Some(Unreachable::Timeout.into())));
}

#[test]
fn an_error_of_the_account_ends_the_cycle_at_once() {
    let settings = settings();
    let limited = CloudError::RateLimited { retry_after: None };
    let mut cycle = started(&settings, page(10, 10));
    let (requested, ended_by) = answer_samples(&mut cycle, |_, _| Err(limited.clone()));
    assert_eq!((requested, &ended_by), (1, &Some(limited)));
    assert_eq!(cycle.finish(ended_by).errors().count(), 100);
}

#[test]
fn a_later_page_that_concerns_the_account_ends_the_cycle_and_cuts_the_list_short() {
    let settings = settings();
    let limited = CloudError::RateLimited { retry_after: None };
    let mut cycle = started(&settings, wire::Page { next: Ok(Some("?page=2".to_owned())), ..page(1, 1) });
    let Some(CycleRequest::Page(url, _)) = cycle.next_request() else { panic!("a page") };
    let ended_by = cycle.record(CycleResponse::Page(url, Err(limited.clone()))).err();
    assert_eq!(ended_by, Some(limited.clone()));
    assert_eq!(cycle.finish(ended_by).cut_short, Some(limited));
}

#[test]
fn four_ill_services_in_front_do_not_stop_the_healthy_ones() {
    let settings = settings();
    let mut cycle = started(&settings, page(10, 100));
    let outcome = answer_samples(&mut cycle, |service, _| match service {
        0..4 => Err(Unreachable::Timeout.into()),
        _ => Ok(Reading::no_data()),
    });
    assert_eq!(outcome, (1_000, None));
    assert_eq!(cycle.finish(None).errors().count(), 400);
}

#[test]
fn a_service_on_two_pages_is_one_and_a_page_of_nothing_new_is_the_last() {
    let settings = settings();
    let mut cycle = started(&settings, wire::Page { next: Ok(Some("?page=2".to_owned())), ..page(3, 2) });
    for (number, services, is_last) in [(3, 4, false), (4, 4, true)] {
        let Some(CycleRequest::Page(url, _)) = cycle.next_request() else { panic!("a page") };
        let next = Ok(Some(format!("?page={number}")));
        cycle.record(CycleResponse::Page(url, Ok(wire::Page { next, ..page(4, 2) }))).unwrap();
        assert_eq!((cycle.services.len(), !cycle.is_paging), (services, is_last));
    }
    let outcome = answer_samples(&mut cycle, |_, _| Ok(Reading::no_data()));
    assert_eq!(outcome, (8, None), "each instance is requested once");
    assert_eq!(cycle.finish(None).cut_short, Some(AnswerProblem::PageCycle.into()));
}

#[test]
fn a_list_that_contradicts_itself_is_not_complete() {
    let settings = settings();
    let cut_short = |rest: &str| {
        let cycle =
            started(&settings, read_page(&format!(r#"{{"results": [{{"service_name": "a"}}], {rest}}}"#)));
        assert!(!cycle.is_paging && cycle.services.len() == 1, "what is listed is collected: {rest}");
        cycle.finish(None).cut_short
    };
    for odd in [r#""next": 7"#, r#""next": {"page": 2}"#, r#""next": false"#] {
        assert_eq!(cut_short(odd), Some(AnswerProblem::Shape.into()), "{odd}");
    }
    for fewer in [r#""count": 41"#, r#""count": "2", "next": null"#] {
        assert_eq!(cut_short(fewer), Some(AnswerProblem::IncompleteList.into()), "{fewer}");
    }
    for complete in [r#""count": 1, "next": null"#, r#""count": 0"#, r#""count": "many""#] {
        assert_eq!(cut_short(complete), None, "{complete}");
    }
}

#[test]
fn services_that_are_not_collected_count_as_listed() {
    let settings = settings();
    let body = r#"{"count": 3, "next": null, "results": [{"service_name": "a"}, {"service_name": "b"}, 7]}"#;
    let page = wire::services(body.as_bytes(), |name| Ok(name == "a"), InventoryBudget::PER_CYCLE).unwrap();
    let cut_short = started(&settings, page).finish(None).cut_short;
    assert_eq!(cut_short, Some(AnswerProblem::Shape.into()), "only for the one that cannot be read");
}

#[test]
fn services_of_one_name_are_told_apart_by_application_and_by_id() {
    let settings = settings();
    let page = read_page(
        r#"{"results": [{"service_name": "web", "application": "a", "instances": [{"uuid": "i1"}]},
        {"service_name": "web", "application": "b", "instances": [{"uuid": "i2"}]},
        {"service_name": "web", "instances": [{"uuid": "i3"}]},
        {"service_name": "web", "uuid": "1", "instances": [{"uuid": "i4"}]},
        {"service_name": "web", "uuid": "2", "instances": [{"uuid": "i5"}]},
        {"service_name": "web", "uuid": "1", "instances": [{"uuid": "i4"}]}]}"#,
    );
    let mut cycle = started(&settings, page);
    assert_eq!(
        answer_samples(&mut cycle, |_, _| Ok(Reading::no_data())),
        (5, None),
        "the last one is the fourth"
    );
    let services = cycle.finish(None).services;
    let ids: Vec<_> = services.iter().map(|service| service.facts.id.as_deref()).collect();
    assert_eq!(ids, [None, None, None, Some("1"), Some("2")]);
}

/// So many small objects that no inventory may hold them.
const TOO_MANY: usize = 300_000;

#[test]
fn services_beyond_the_budget_are_not_even_read() {
    let settings = settings();
    let results = vec![r#"{"service_name":"a"}"#; TOO_MANY].join(",");
    let page = read_page(&format!(r#"{{"next": "?page=2", "results": [{results}]}}"#));
    assert!(page.cut && page.services.len() < TOO_MANY / 2, "{} services", page.services.len());

    let mut cycle = started(&settings, page);
    assert!(matches!(cycle.next_request(), Some(CycleRequest::Instances(..))), "no further page");
    assert_eq!(cycle.finish(None).cut_short, Some(AnswerProblem::TooLarge.into()));
}

#[test]
fn instances_are_bounded_in_sum_over_pages_and_lists() {
    let settings = settings();
    let mut cycle = started(&settings, page(1, TOO_MANY));
    assert!(cycle.next_request().is_none(), "one list is too large by itself");
    let collection = cycle.finish(None);
    assert_eq!(collection.services[0].instances, Err(AnswerProblem::TooLarge.into()));

    let results: Vec<_> = (0..16).map(|id| format!(r#"{{"service_name": "s{id}"}}"#)).collect();
    let mut cycle = started(&settings, read_page(&format!(r#"{{"results": [{}]}}"#, results.join(","))));
    let list = format!("[{}]", vec![r#"{"uuid": "u"}"#; TOO_MANY / 6].join(","));
    for _ in 0..16 {
        let Some(CycleRequest::Instances(service, _, budget)) = cycle.next_request() else {
            panic!("a list")
        };
        let list = wire::instances(list.as_bytes(), budget).map_err(CloudError::from);
        // The list that exceeds the budget is its service's failure.
        cycle.record(CycleResponse::Instances(service, list)).unwrap();
        // The samples are of no interest here.
        cycle.pending.retain(|request| matches!(request, PendingRequest::Instances(_)));
    }
    let services = cycle.finish(None).services;
    let refused = services.iter().filter(|service| service.instances.is_err()).count();
    assert!((1..16).contains(&refused), "some fit and not all");
}

#[test]
fn a_name_as_long_as_texts_are_kept_is_not_requested() {
    let settings = settings();
    let long = "n".repeat(70_000);
    let mut cycle = started(
        &settings,
        read_page(&format!(
            r#"{{"results": [{{"service_name": "{long}", "instances": [{{"uuid": "u"}}]}},
            {{"service_name": "a", "application": "{long}", "instances": [{{"uuid": "u"}}]}},
            {{"service_name": "b", "instances": [{{"uuid": "{long}"}}]}}]}}"#
        )),
    );
    assert!(cycle.next_request().is_none());
    let collection = cycle.finish(None);
    let shape = CloudError::from(AnswerProblem::Shape);
    assert_eq!(collection.errors().filter(|error| **error == shape).count(), 3);
}
