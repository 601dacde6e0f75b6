//! Decisions of a cycle that no simulated cloud leads to.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use super::*;
use crate::cloud::ServiceFilter;
use crate::cloud::kit::{InventoryBudget, Spent};
use crate::cloud::model::{Measurement, MeasurementSet, State};
use crate::cloud::render::names::Names;
use crate::cloud::render::{series, wire};

/// 2026-11-27T10:00:00Z.
const TEN: u64 = 1_795_773_600;

fn settings(services_per_request: usize) -> Settings {
    let kinds = vec![Kind::WebService, Kind::BackgroundWorker];
    Settings { kinds, services_per_request, ..Settings::of_tests() }
}

/// A cycle that begins so many seconds past ten, with services of these ids and types that are not suspended.
fn cycle<'a>(settings: &'a Settings, kept: Kept, second: u64, services: &[(&str, &str)]) -> Cycle<'a> {
    let service = |(id, kind): &(&str, &str)| {
        json!({"cursor": id, "service": {"id": id, "name": id, "type": kind, "suspended": "not_suspended",
            "serviceDetails": {"numInstances": 1}}})
    };
    let body: Vec<_> = services.iter().map(service).collect();
    let page =
        wire::services(json!(body).to_string().as_bytes(), &mut { InventoryBudget::PER_CYCLE }).unwrap();
    let filter = ServiceFilter::default();
    let mut listing = Listing::new(settings, &filter, Inventory::new());
    listing.add(page, &Names::default(), None);
    Cycle::new(settings, Arc::new(kept), listing, UNIX_EPOCH + Duration::from_secs(TEN + second), 4)
}

/// An answer with one instance of each of these services, at so many seconds past ten.
fn usage(metric: Metric, second: u64, instances: &[(&str, &str)]) -> Spent<Answer> {
    let unit = if matches!(metric, Metric::Cpu | Metric::CpuLimit) { "cpu" } else { "bytes" };
    let series: Vec<_> = instances
        .iter()
        .map(|(service, instance)| {
            let time = jiff::Timestamp::from_second(i64::try_from(TEN + second).unwrap()).unwrap();
            json!({"labels": [{"field": "resource", "value": service}, {"field": "instance", "value": instance}],
                "unit": unit, "values": [{"timestamp": time.to_string(), "value": 1}]})
        })
        .collect();
    spent(|budget| series::newest(json!(series).to_string().as_bytes(), metric, 0, i64::MAX, budget))
}

/// An answer without a point.
fn nothing() -> Spent<Answer> {
    spent(|_| Ok(Answer::default()))
}

fn spent<T>(read: impl FnOnce(&mut InventoryBudget) -> Result<T, AnswerProblem>) -> Spent<T> {
    InventoryBudget::PER_CYCLE.reading(read).unwrap()
}

/// The requests that the cycle would send now: the batch and metric, or the service whose instances are listed.
fn drained(cycle: &mut Cycle<'_>) -> Vec<(usize, &'static str, String)> {
    std::iter::from_fn(|| cycle.next_request())
        .map(|request| match request {
            CycleRequest::Metric(batch, metric, _, url, _) => {
                let resources = url.query_pairs().filter(|(name, _)| name == "resource");
                let ids: Vec<String> = resources.map(|(_, id)| id.into_owned()).collect();
                (batch, metric.path(), ids.join(" "))
            }
            CycleRequest::Instances(service, ..) => (service, "instances", String::new()),
        })
        .collect()
}

fn answer(cycle: &mut Cycle<'_>, batch: usize, metric: Metric, answer: Result<Spent<Answer>, CloudError>) {
    cycle.record(CycleResponse::Metric(batch, metric, answer)).unwrap();
}

const WEB: (&str, &str) = ("srv-w", "web_service");
const WORKER: (&str, &str) = ("srv-b", "background_worker");

#[test]
fn batches_begin_with_web_services_so_that_few_of_them_are_asked_for_http() {
    let settings = settings(2);
    let services = [WORKER, WEB, ("srv-c", "background_worker"), ("srv-x", "web_service")];
    let mut cycle = cycle(&settings, Kept::default(), 0, &services);
    let asked = drained(&mut cycle);
    let of = |batch| -> Vec<_> {
        asked.iter().filter(|one| one.0 == batch).map(|(_, metric, ids)| (*metric, ids.as_str())).collect()
    };
    let (web, others) = ("srv-w srv-x", "srv-b srv-c");
    assert_eq!(
        of(0),
        [("cpu", web), ("memory", web), ("http-requests", web), ("http-latency", web), ("bandwidth", web)]
    );
    assert_eq!(of(1), [("cpu", others), ("memory", others), ("bandwidth", others)]);
}

#[tokio::test(start_paused = true)]
async fn limits_and_lists_are_asked_for_once_it_is_known_which_instances_there_are_and_then_not_again() {
    let settings = settings(30);
    let mut first = cycle(&settings, Kept::default(), 100, &[WORKER]);
    assert_eq!(drained(&mut first).len(), 3);
    answer(&mut first, 0, Metric::Cpu, Ok(usage(Metric::Cpu, 60, &[("srv-b", "one")])));
    assert_eq!(drained(&mut first), [], "memory is not there yet");
    answer(&mut first, 0, Metric::Memory, Ok(usage(Metric::Memory, 60, &[("srv-b", "one")])));
    let asked: Vec<_> = drained(&mut first).into_iter().map(|(_, what, _)| what).collect();
    assert_eq!(asked, ["instances", "cpu-limit", "memory-limit"]);
    let created = [("one".to_owned(), Some(7.0)), ("of old".to_owned(), None)].into();
    let list = InstanceList { at: (TEN + 100) as f64, created, is_complete: true };
    first.record(CycleResponse::Instances(0, Ok(spent(|_| Ok(list))))).unwrap();
    answer(&mut first, 0, Metric::CpuLimit, Ok(usage(Metric::CpuLimit, 60, &[("srv-b", "one")])));
    answer(&mut first, 0, Metric::MemoryLimit, Ok(nothing()));
    answer(&mut first, 0, Metric::Bandwidth, Ok(nothing()));
    let (collection, kept) = first.finish(None);
    let service = &collection.services[0];
    assert_eq!((service.facts.state, service.facts.limits.cpu_cores), (Some(State::Running), Some(1.0)));
    assert_eq!(service.instances.as_ref().unwrap()[0].facts.created_at, Some(7.0));
    let list = kept.services["srv-b"].list.as_ref().unwrap();
    assert_eq!(list.created.len(), 1, "of the list stays what metrics are of");

    tokio::time::advance(Duration::from_secs(60)).await;
    let mut second = cycle(&settings, kept, 160, &[WORKER]);
    assert_eq!(second.window.start, i64::try_from(TEN).unwrap() - 60, "two steps before the newest point");
    assert_eq!(drained(&mut second).len(), 2, "CPU and memory");
    // An instance that is in no list yet is new.
    let both = [("srv-b", "one"), ("srv-b", "two")];
    answer(&mut second, 0, Metric::Cpu, Ok(usage(Metric::Cpu, 120, &both)));
    answer(&mut second, 0, Metric::Memory, Ok(usage(Metric::Memory, 120, &both)));
    let asked: Vec<_> = drained(&mut second).into_iter().map(|(_, what, _)| what).collect();
    assert_eq!(asked, ["instances", "cpu-limit", "memory-limit"]);
}

#[test]
fn one_of_two_metrics_that_fails_is_one_error_and_the_other_shows_the_instances() {
    let settings = settings(30);
    let mut cycle = cycle(&settings, Kept::default(), 100, &[WORKER, ("srv-c", "background_worker")]);
    drained(&mut cycle);
    answer(&mut cycle, 0, Metric::Cpu, Err(CloudError::Status(500)));
    let instances = [("srv-b", "one"), ("srv-c", "two")];
    answer(&mut cycle, 0, Metric::Memory, Ok(usage(Metric::Memory, 60, &instances)));
    assert_eq!(drained(&mut cycle).len(), 4, "limits of the batch, and a list of each");
    let (collection, _) = cycle.finish(None);
    assert_eq!(collection.failures(), (1, Some(&CloudError::Status(500))));
    for service in &collection.services {
        let reading = &service.instances.as_ref().unwrap()[0].reading;
        assert_eq!(reading.unread, MeasurementSet::of(&[Measurement::CpuUsageCores]));
        assert!(reading.sample.is_some());
    }
}

#[test]
fn a_token_that_may_not_list_instances_is_one_error_and_is_denied_once() {
    let settings = settings(30);
    let mut cycle = cycle(&settings, Kept::default(), 100, &[WORKER, ("srv-c", "background_worker")]);
    drained(&mut cycle);
    let instances = [("srv-b", "one"), ("srv-c", "two")];
    answer(&mut cycle, 0, Metric::Cpu, Ok(usage(Metric::Cpu, 60, &instances)));
    answer(&mut cycle, 0, Metric::Memory, Ok(usage(Metric::Memory, 60, &instances)));
    let is_list = |request: &CycleRequest| matches!(request, CycleRequest::Instances(..));
    while !is_list(&cycle.next_request().unwrap()) {}
    let denied = CloudError::ScopeMissing("access to the workspace's services");
    cycle.record(CycleResponse::Instances(0, Err(denied.clone()))).unwrap();
    assert!(drained(&mut cycle).iter().all(|(_, what, _)| *what != "instances"), "no more are asked for");
    let (collection, _) = cycle.finish(None);
    assert_eq!(collection.failures(), (1, Some(&denied)));
    assert!(collection.services.iter().all(|service| service.instances.as_ref().unwrap().len() == 1));
}

#[tokio::test(start_paused = true)]
async fn instances_whose_metrics_cannot_be_read_stay_for_as_long_as_a_point_would() {
    let settings = settings(30);
    let mut first = cycle(&settings, Kept::default(), 100, &[WORKER]);
    drained(&mut first);
    answer(&mut first, 0, Metric::Cpu, Ok(usage(Metric::Cpu, 60, &[("srv-b", "one")])));
    answer(&mut first, 0, Metric::Memory, Ok(usage(Metric::Memory, 60, &[("srv-b", "one")])));
    let (_, mut kept) = first.finish(None);

    for (seconds, running) in [(60, Some(1)), (539, Some(1)), (1, None)] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        let ended = CloudError::RateLimited { retry_after: None };
        let (collection, after) = cycle(&settings, kept, 100, &[WORKER]).finish(Some(ended.clone()));
        assert_eq!(collection.failures(), (1, Some(&ended)), "one error, however many instances");
        let service = &collection.services[0];
        assert_eq!(service.facts.running_instances, running);
        let instances = service.instances.as_ref().unwrap();
        assert_eq!(instances.len(), usize::try_from(running.unwrap_or(0)).unwrap());
        assert!(instances.iter().all(|one| one.reading.sample.is_none() && !one.reading.unread.is_empty()));
        kept = after;
    }
}

#[test]
fn no_cycle_asks_for_more_than_twenty_lists() {
    let settings = settings(100);
    let ids: Vec<String> = (0..50).map(|number| format!("srv-{number}")).collect();
    let services: Vec<_> = ids.iter().map(|id| (id.as_str(), "background_worker")).collect();
    let mut cycle = cycle(&settings, Kept::default(), 100, &services);
    drained(&mut cycle);
    let instances: Vec<_> = ids.iter().map(|id| (id.as_str(), id.as_str())).collect();
    for metric in [Metric::Cpu, Metric::Memory] {
        answer(&mut cycle, 0, metric, Ok(usage(metric, 60, &instances)));
    }
    let lists = drained(&mut cycle).iter().filter(|one| one.1 == "instances").count();
    assert_eq!(lists, LISTS_PER_CYCLE);
}

#[test]
fn where_metrics_are_denied_nothing_more_is_asked_that_would_be() {
    let settings = settings(1);
    let mut cycle = cycle(&settings, Kept::default(), 100, &[WORKER, ("srv-c", "background_worker")]);
    let denied = CloudError::ScopeMissing("access to the workspace's metrics");
    let Some(CycleRequest::Metric(batch, metric, ..)) = cycle.next_request() else { panic!("a request") };
    answer(&mut cycle, batch, metric, Err(denied.clone()));
    assert_eq!(drained(&mut cycle), []);
    let (collection, _) = cycle.finish(None);
    assert_eq!(collection.failures(), (1, Some(&denied)));
    assert_eq!((collection.services.len(), collection.cut_short), (2, None));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_asked_again_when_a_new_point_can_be_there_and_a_failure_at_once() {
    let settings = settings(30);
    let (mut kept, mut asked) = (Kept::default(), Vec::new());
    for number in 0..16 {
        let second = 100 + 15 * number;
        let mut cycle = cycle(&settings, kept, second, &[WEB]);
        let requests = drained(&mut cycle);
        let asks = |metric: Metric| requests.iter().any(|request| request.1 == metric.path());
        let (usage, http) = (asks(Metric::Cpu), asks(Metric::Latency));
        // A point a minute, and the first one ten seconds old. Latency always fails.
        if usage {
            asked.push(number);
            for metric in [Metric::Cpu, Metric::Memory] {
                answer(&mut cycle, 0, metric, Ok(usage_of_web(metric, 90 + number / 4 * 60)));
            }
        }
        assert!(http && asks(Metric::Requests));
        answer(&mut cycle, 0, Metric::Requests, Ok(nothing()));
        answer(&mut cycle, 0, Metric::Latency, Err(CloudError::Status(404)));
        let (collection, after) = cycle.finish(None);
        let service = &collection.services[0];
        assert!(service.reading.unread.contains(Measurement::ServiceHttpDuration));
        let [instance] = &service.instances.as_ref().unwrap()[..] else { panic!("{service:?}") };
        let is_current = instance.reading.current.contains(Measurement::CpuUsageCores);
        assert_eq!((is_current, instance.reading.sample.is_some()), (!usage, usage), "cycle {number}");
        assert!(instance.reading.unread.is_empty());
        kept = after;
        tokio::time::advance(Duration::from_secs(15)).await;
    }
    // The first ones learn how late points are.
    assert_eq!(asked, [0, 1, 2, 3, 4, 8, 12], "of sixteen cycles of 15 s");
}

fn usage_of_web(metric: Metric, second: u64) -> Spent<Answer> {
    usage(metric, second, &[(WEB.0, "one")])
}
