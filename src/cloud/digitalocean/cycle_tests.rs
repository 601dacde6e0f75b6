//! Decisions of a cycle that no simulated cloud leads to.

use std::time::Duration;

use super::*;
use crate::cloud::digitalocean::points::{self, Points};
use crate::cloud::digitalocean::target::Kind;
use crate::cloud::digitalocean::wire;
use crate::cloud::kit::{InventoryBudget, Spent};
use crate::limits::MemoryBudget;

fn settings() -> Settings {
    Settings {
        endpoint: "https://api.digitalocean.com/".parse().unwrap(),
        projects: Vec::new(),
        apps: Vec::new(),
        kinds: vec![Kind::Service, Kind::Worker],
        health: false,
        metrics_max_age: Duration::from_secs(600),
    }
}

/// A page of these apps, each with the service `api`.
fn page(ids: &[&str], next: Option<&str>) -> Page {
    let app = |id: &&str| serde_json::json!({"id": id, "spec": {"name": id, "services": [{"name": "api"}]}});
    let apps: Vec<_> = ids.iter().map(app).collect();
    let body = serde_json::json!({"apps": apps, "links": {"pages": {"next": next}}});
    wire::apps(body.to_string().as_bytes()).unwrap()
}

fn instance(id: &str, alias: &str) -> Arc<InstanceFacts> {
    Arc::new(InstanceFacts { name: alias.to_owned(), id: id.to_owned(), ..InstanceFacts::default() })
}

fn memory(aliases: &[&str]) -> Spent<Points> {
    memory_at(aliases, 1_634_052_480.0)
}

fn memory_at(aliases: &[&str], time: f64) -> Spent<Points> {
    let series = |alias: &&str| {
        serde_json::json!({
            "metric": {"app_component": "api", "app_component_instance": alias},
            "values": [[time, "50"]],
        })
    };
    let result: Vec<_> = aliases.iter().map(series).collect();
    let body = serde_json::json!({"status": "success", "data": {"result": result}});
    let read = |budget: &mut InventoryBudget| points::newest(body.to_string().as_bytes(), 0.0, budget);
    InventoryBudget::PER_CYCLE.reading(read).unwrap()
}

/// The cycle's requests in order, without their URLs: the app's number and what is asked.
fn drained(cycle: &mut Cycle<'_>) -> Vec<(usize, &'static str)> {
    std::iter::from_fn(|| cycle.next_request())
        .map(|request| match request {
            CycleRequest::Page(_) => (0, "page"),
            CycleRequest::Sizes => (0, "sizes"),
            CycleRequest::Instances(app, ..) => (app, "instances"),
            CycleRequest::Health(app, _) => (app, "health"),
            CycleRequest::Metric(app, metric, ..) => (app, metric.path()),
        })
        .collect()
}

#[test]
fn apps_are_charged_whether_collected_or_not_and_end_where_the_memory_does() {
    for filter in [ServiceFilter::default(), ServiceFilter::new(&["wanted"], &[])] {
        let (settings, memory) = (settings(), MemoryBudget::new(1 << 20));
        let holder = memory.holder("team-a", "acme");
        let inventory = Inventory::charged(holder.charge());
        let mut cycle = Cycle::new(&settings, &filter, Arc::default(), page(&["shop"], None), inventory, 4);
        let mut number = 1;
        while cycle.cut_short.is_none() {
            number += 1;
            let ids: Vec<_> = (0..100).map(|app| format!("{number}-{app:0>100}")).collect();
            let ids: Vec<_> = ids.iter().map(String::as_str).collect();
            let next = format!("https://api.digitalocean.com/v2/apps?page={}", number + 1);
            cycle.record(CycleResponse::Page(number, Ok(page(&ids, Some(&next))))).unwrap();
        }
        assert_eq!(cycle.cut_short, Some(AnswerProblem::TooLarge.into()));
        assert!(holder.is_cut().is_some() && number < 100, "{number} pages");
    }
}

#[test]
fn no_value_is_given_to_two_instances_that_are_listed_under_one_alias() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let mut cycle =
        Cycle::new(&settings, &filter, Arc::default(), page(&["shop"], None), Inventory::new(), 4);
    let listed =
        [instance("api-old-1", "api-0"), instance("api-new-1", "api-0"), instance("api-new-2", "api-1")];
    let listed = ListedInstances::from([("api".to_owned(), listed.to_vec())]);
    cycle.record(CycleResponse::Instances(0, Ok(listed))).unwrap();
    cycle.record(CycleResponse::Metric(0, Metric::Memory, Ok(memory(&["api-0", "api-1"])))).unwrap();
    let (collection, _) = cycle.finish(None);
    let samples: Vec<bool> = collection.services[0]
        .instances
        .as_ref()
        .unwrap()
        .iter()
        .map(|instance| instance.reading.sample.is_some())
        .collect();
    assert_eq!(samples, [false, false, true]);
}

#[test]
fn the_restarts_of_an_instance_are_not_given_to_the_next_one_of_its_alias() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let mut first =
        Cycle::new(&settings, &filter, Arc::default(), page(&["shop"], None), Inventory::new(), 4);
    let listed = |id| ListedInstances::from([("api".to_owned(), vec![instance(id, "api-0")])]);
    first.record(CycleResponse::Instances(0, Ok(listed("api-old")))).unwrap();
    first.record(CycleResponse::Metric(0, Metric::Restarts, Ok(memory(&["api-0"])))).unwrap();
    let (_, kept) = first.finish(None);

    let mut second =
        Cycle::new(&settings, &filter, Arc::new(kept), page(&["shop"], None), Inventory::new(), 4);
    second.record(CycleResponse::Instances(0, Ok(listed("api-new")))).unwrap();
    assert!(drained(&mut second).contains(&(0, "restart_count")), "they are asked for at once");
    let (collection, _) = second.finish(None);
    assert_eq!(collection.services[0].instances.as_ref().unwrap()[0].reading.sample, None);
}

#[test]
fn an_app_without_instances_is_not_asked_for_metrics_and_one_that_a_second_page_repeats_only_once() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let mut cycle =
        Cycle::new(&settings, &filter, Arc::default(), page(&["shop"], Some("?page=2")), Inventory::new(), 4);
    cycle.record(CycleResponse::Instances(0, Ok(ListedInstances::new()))).unwrap();
    cycle.record(CycleResponse::Page(2, Ok(page(&["shop", "wiki"], None)))).unwrap();
    assert_eq!(drained(&mut cycle), [(0, "page"), (0, "sizes"), (0, "instances"), (1, "instances")]);
    let (collection, _) = cycle.finish(None);
    assert_eq!((collection.services.len(), collection.cut_short), (2, None));
}

#[test]
fn a_list_that_ends_before_the_total_of_its_apps_is_not_complete() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    for (total, expected) in [(2, Some(AnswerProblem::IncompleteList.into())), (1, None)] {
        let total = crate::cloud::kit::paging::Listed { entries: 1, total: Some(total) };
        let page = Page { listed: total, ..page(&["shop"], None) };
        let cycle = Cycle::new(&settings, &filter, Arc::default(), page, Inventory::new(), 4);
        assert_eq!(cycle.finish(None).0.cut_short, expected, "{total:?}");
    }
}

#[test]
fn a_list_of_pages_that_leads_back_or_skips_nothing_new_is_cut() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    for (ids, next) in [(&["shop"][..], "?page=1"), (&["shop"], "https://x/v2/apps"), (&[], "?page=2")] {
        let mut cycle =
            Cycle::new(&settings, &filter, Arc::default(), page(ids, Some(next)), Inventory::new(), 4);
        assert!(!drained(&mut cycle).contains(&(0, "page")), "{next}");
        assert!(cycle.finish(None).0.cut_short.is_some(), "{next}");
    }
}

#[test]
fn what_a_cycle_that_ends_early_has_not_read_keeps_its_last_values() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let mut cycle =
        Cycle::new(&settings, &filter, Arc::default(), page(&["shop", "wiki"], None), Inventory::new(), 4);
    let listed = ListedInstances::from([("api".to_owned(), vec![instance("api-1", "api-0")])]);
    cycle.record(CycleResponse::Instances(0, Ok(listed))).unwrap();
    cycle.record(CycleResponse::Metric(0, Metric::Memory, Ok(memory(&["api-0"])))).unwrap();
    let limited = CloudError::RateLimited { retry_after: None };
    let (collection, kept) = cycle.finish(Some(limited.clone()));
    let [shop, wiki] = &collection.services[..] else { panic!("{collection:?}") };
    let reading = &shop.instances.as_ref().unwrap()[0].reading;
    let unread = Metric::Cpu.measurement().0;
    assert!(
        reading.unread.contains(unread) && reading.sample.as_ref().is_some_and(|sample| sample.len() == 1)
    );
    assert_eq!((wiki.instances.as_ref().err(), collection.batch_errors.len()), (Some(&limited), 1));
    assert!(kept.apps["shop"].restarts.is_none(), "they are asked for in the next cycle");
}

#[tokio::test(start_paused = true)]
async fn metrics_are_asked_for_when_a_new_point_can_be_there_and_not_in_each_cycle() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let mut kept = Kept::default();
    let (mut asked, start) = (Vec::new(), Moment::now());
    for number in 0..16 {
        // One in two minutes, the first of them ten seconds old.
        let newest = start.wall - 10.0 + f64::from(number / 4 * 120);
        let mut cycle =
            Cycle::new(&settings, &filter, Arc::new(kept), page(&["shop"], None), Inventory::new(), 4);
        let listed = ListedInstances::from([("api".to_owned(), vec![instance("api-1", "api-0")])]);
        cycle.record(CycleResponse::Instances(0, Ok(listed))).unwrap();
        let requests = drained(&mut cycle);
        let asks = |metric: Metric| requests.contains(&(0, metric.path()));
        if asks(Metric::Memory) {
            asked.push(number);
        }
        // CPU fails, and is asked for until it is answered.
        assert!(asks(Metric::Cpu));
        cycle.record(CycleResponse::Metric(0, Metric::Cpu, Err(CloudError::Status(404)))).unwrap();
        if asks(Metric::Memory) {
            cycle
                .record(CycleResponse::Metric(0, Metric::Memory, Ok(memory_at(&["api-0"], newest))))
                .unwrap();
        }
        let (collection, after) = cycle.finish(None);
        let reading = &collection.services[0].instances.as_ref().unwrap()[0].reading;
        let is_current = reading.current.contains(Metric::Memory.measurement().0);
        assert_eq!((is_current, reading.sample.is_some()), (!asks(Metric::Memory), asks(Metric::Memory)));
        assert!(reading.unread.contains(Metric::Cpu.measurement().0));
        kept = after;
        tokio::time::advance(Duration::from_secs(30)).await;
    }
    // The first ones learn how late points are.
    assert_eq!(asked, [0, 1, 2, 3, 4, 8, 12], "of sixteen cycles of 30 s");
}
