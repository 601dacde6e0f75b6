//! Decisions of a cycle that no simulated cloud leads to.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::cloud::ServiceFilter;
use crate::cloud::kit::InventoryBudget;
use crate::cloud::model::{Measurement, MeasurementSet, Sample};
use crate::cloud::railway::usage::{self, Usage};
use crate::cloud::railway::wire;
use crate::limits::MemoryBudget;

fn settings() -> Settings {
    Settings {
        endpoint: "https://backboard.railway.com/".parse().unwrap(),
        workspace: None,
        projects: Vec::new(),
        environments: Vec::new(),
        preview_environments: false,
        http: false,
        metrics_max_age: Duration::from_secs(600),
    }
}

fn connection(nodes: impl Iterator<Item = Value>, next: Option<&str>) -> Value {
    let edges: Vec<Value> = nodes.map(|node| json!({ "node": node })).collect();
    json!({"edges": edges, "pageInfo": {"hasNextPage": next.is_some(), "endCursor": next}})
}

fn answer<T>(data: T) -> Answer<T> {
    Answer { data, error: None }
}

/// A page of these projects, each with the environment `production`, whose id is the project's with an `e` before it.
fn projects(ids: &[&str], next: Option<&str>) -> Answer<Page<Project>> {
    let project = |id: &&str| {
        let environment = json!({"id": format!("e{id}"), "name": "production"});
        json!({"id": id, "name": id, "environments": connection(std::iter::once(environment), None)})
    };
    let data = json!({"projects": connection(ids.iter().map(project), next)});
    answer(wire::projects(&data.to_string(), InventoryBudget::PER_CYCLE).unwrap())
}

/// A page of these services, each with a domain and one running instance, whose id is the service's with an `i` before it.
fn services(ids: &[&str], next: Option<&str>) -> Answer<Page<ListedService>> {
    let service = |id: &&str| {
        let instances = json!([{"id": format!("i{id}"), "status": "RUNNING"}]);
        json!({
            "serviceId": id, "serviceName": id, "domains": {"serviceDomains": [{"id": "d"}]},
            "latestDeployment": {"status": "SUCCESS"}, "activeDeployments": [{"instances": instances}],
        })
    };
    let data = json!({"environment": {"serviceInstances": connection(ids.iter().map(service), next)}});
    let filter = ServiceFilter::default();
    answer(wire::services(&data.to_string(), "shop/production", &filter, InventoryBudget::PER_CYCLE).unwrap())
}

fn measured(instances: &[&str]) -> Answer<Spent<Usage>> {
    measured_at(instances, 1.0)
}

fn measured_at(instances: &[&str], time: f64) -> Answer<Spent<Usage>> {
    let result = |measurement: &str, id: &&str| json!({"measurement": measurement, "tags": {"deploymentInstanceId": id}, "values": [{"ts": time, "value": 2}]});
    let results: Vec<Value> = instances
        .iter()
        .flat_map(|id| [result("MEMORY_USAGE_GB", id), result("MEMORY_LIMIT_GB", id)])
        .collect();
    let data = json!({ "metrics": results }).to_string();
    answer(InventoryBudget::PER_CYCLE.reading(|budget| usage::newest(&data, 0.0, budget)).unwrap())
}

/// No traffic of so many services.
fn none_of(services: usize) -> Spent<Vec<Option<Sample>>> {
    InventoryBudget::PER_CYCLE.reading(|_| Ok(vec![None; services])).unwrap()
}

fn cycle(settings: &Settings, kept: Kept, page: Answer<Page<Project>>) -> Cycle<'_> {
    Cycle::new(settings, TokenKind::Account, Arc::new(kept), page, Inventory::new(), 4)
}

/// What the cycle requests now.
fn drained(cycle: &mut Cycle<'_>) -> Vec<String> {
    std::iter::from_fn(|| cycle.next_request())
        .map(|request| match request {
            CycleRequest::Projects(after, _) => format!("projects after {after}"),
            CycleRequest::Environments(_, project, after, _) => {
                format!("environments of {project} after {after}")
            }
            CycleRequest::Services(_, request, _) => {
                let after = request.after.map(|after| format!(" after {after}")).unwrap_or_default();
                format!("services of {}{after}", request.environment)
            }
            CycleRequest::Usage(_, environment, _) => format!("usage of {environment}"),
            CycleRequest::Http(_, environment, _, ids, _) => {
                format!("http of {environment}: {}", ids.join(" "))
            }
        })
        .collect()
}

#[test]
fn an_environment_is_asked_for_measurements_once_and_only_where_an_instance_exists() {
    let settings = settings();
    let mut cycle = cycle(&settings, Kept::default(), projects(&["a", "b"], None));
    assert_eq!(drained(&mut cycle), ["services of ea", "services of eb"]);
    cycle.record(CycleResponse::Services(0, Ok(services(&[], None)))).unwrap();
    cycle.record(CycleResponse::Services(1, Ok(services(&["s1"], Some("c1"))))).unwrap();
    assert_eq!(drained(&mut cycle), ["usage of eb", "services of eb after c1"]);
    cycle.record(CycleResponse::Services(1, Ok(services(&["s1", "s2"], None)))).unwrap();
    assert!(drained(&mut cycle).is_empty(), "the answer is about all pages");
    cycle.record(CycleResponse::Usage(1, Ok(measured(&["is1", "is2", "ended"])))).unwrap();
    let (collection, kept) = cycle.finish(None).unwrap();
    assert_eq!((collection.services.len(), collection.cut_short, collection.batch_errors), (2, None, vec![]));
    assert_eq!(kept.instances.len(), 2, "what has ended is not kept");
}

#[test]
fn further_pages_of_environments_are_asked_for() {
    let settings = settings();
    let environments = connection(std::iter::once(json!({"id": "e1", "name": "production"})), Some("c1"));
    let data = json!({"projects": connection(
        std::iter::once(json!({"id": "p1", "name": "shop", "environments": environments})), None)});
    let mut cycle = cycle(
        &settings,
        Kept::default(),
        answer(wire::projects(&data.to_string(), InventoryBudget::PER_CYCLE).unwrap()),
    );
    assert_eq!(drained(&mut cycle), ["services of e1", "environments of p1 after c1"]);
    let data =
        json!({"environments": connection(std::iter::once(json!({"id": "e2", "name": "staging"})), None)});
    let page = wire::environments(&data.to_string(), InventoryBudget::PER_CYCLE).unwrap();
    cycle.record(CycleResponse::Environments(0, Ok(answer(page)))).unwrap();
    assert_eq!(drained(&mut cycle), ["services of e2"]);
}

#[test]
fn ten_services_share_a_request_for_their_traffic() {
    let settings = Settings { http: true, ..settings() };
    let mut cycle = cycle(&settings, Kept::default(), projects(&["a"], None));
    drained(&mut cycle);
    let ids: Vec<String> = (0..11).map(|number| format!("s{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    cycle.record(CycleResponse::Services(0, Ok(services(&ids, None)))).unwrap();
    let sent = drained(&mut cycle);
    assert_eq!(sent.len(), 3);
    assert_eq!((&*sent[0], &*sent[2]), ("usage of ea", "http of ea: s10"));
    assert_eq!(sent[1], format!("http of ea: {}", ids[..10].join(" ")));
    let places = (0..10).collect();
    cycle.record(CycleResponse::Http(0, places, Ok(answer(none_of(10))))).unwrap();
    cycle.record(CycleResponse::Http(0, vec![10], Err(CloudError::Status(500)))).unwrap();
    let (collection, _) = cycle.finish(None).unwrap();
    let unread: Vec<bool> = collection
        .services
        .iter()
        .map(|service| service.reading.unread.contains(Measurement::ServiceHttpRequests))
        .collect();
    assert_eq!(unread, [&[false; 10][..], &[true]].concat(), "no traffic is not the same as none read");
    assert_eq!(collection.batch_errors, [CloudError::Status(500)]);
}

#[tokio::test(start_paused = true)]
async fn regions_and_limits_stay_known_where_measurements_cannot_be_read() {
    let settings = settings();
    let mut first = cycle(&settings, Kept::default(), projects(&["a"], None));
    first.record(CycleResponse::Services(0, Ok(services(&["s1"], None)))).unwrap();
    first.record(CycleResponse::Usage(0, Ok(measured(&["is1"])))).unwrap();
    let (_, kept) = first.finish(None).unwrap();

    tokio::time::advance(Duration::from_secs(60)).await;
    let mut second = cycle(&settings, kept, projects(&["a"], None));
    second.record(CycleResponse::Services(0, Ok(services(&["s1", "s2"], None)))).unwrap();
    second.record(CycleResponse::Usage(0, Err(CloudError::Status(404)))).unwrap();
    let (collection, _) = second.finish(None).unwrap();
    let instances: Vec<_> =
        collection.services.iter().map(|one| &one.instances.as_ref().unwrap()[0]).collect();
    assert_eq!(instances[0].facts.limits(&collection.services[0].facts).memory_bytes, Some(2e9));
    assert_eq!(instances[1].facts.overrides, None, "a new one has none yet");
    let expected =
        MeasurementSet::of(&[Measurement::CpuUsageCores, Measurement::MemoryUsage, Measurement::DiskUsage]);
    assert!(instances.iter().all(|instance| instance.reading.unread == expected));
}

#[test]
fn what_a_cycle_that_ends_early_has_not_listed_may_still_exist() {
    let settings = settings();
    let limited = CloudError::RateLimited { retry_after: None };
    let mut cycle = cycle(&settings, Kept::default(), projects(&["a", "b"], None));
    drained(&mut cycle);
    cycle.record(CycleResponse::Services(0, Ok(services(&["s1"], None)))).unwrap();
    assert_eq!(cycle.record(CycleResponse::Services(1, Err(limited.clone()))), Err(limited.clone()));
    let (collection, _) = cycle.finish(Some(limited.clone())).unwrap();
    assert_eq!((collection.services.len(), collection.cut_short.as_ref()), (1, Some(&limited)));

    let mut cycle = self::cycle(&settings, Kept::default(), projects(&["a"], None));
    cycle.record(CycleResponse::Services(0, Ok(services(&["s1"], None)))).unwrap();
    assert_eq!(cycle.record(CycleResponse::Usage(0, Err(limited.clone()))), Err(limited.clone()));
    let (collection, _) = cycle.finish(Some(limited.clone())).unwrap();
    assert_eq!((collection.cut_short, collection.batch_errors), (None, vec![limited]), "the list is whole");
}

#[test]
fn an_environment_that_was_deleted_after_it_was_listed_is_no_failure_unless_all_are_gone() {
    let settings = settings();
    let gone = || CycleResponse::Services(0, Err(CloudError::Status(404)));
    let mut cycle = cycle(&settings, Kept::default(), projects(&["a", "b"], None));
    cycle.record(gone()).unwrap();
    cycle.record(CycleResponse::Services(1, Ok(services(&["s1"], None)))).unwrap();
    assert_eq!(cycle.finish(None).unwrap().0.cut_short, None);

    let mut cycle = self::cycle(&settings, Kept::default(), projects(&["a"], None));
    cycle.record(gone()).unwrap();
    assert_eq!(cycle.finish(None).unwrap().0.cut_short, Some(CloudError::Status(404)));
}

#[test]
fn a_list_that_leads_back_or_names_no_next_page_is_cut() {
    let settings = settings();
    let mut cycle = cycle(&settings, Kept::default(), projects(&["a"], Some("c1")));
    assert_eq!(drained(&mut cycle), ["projects after c1", "services of ea"]);
    cycle.record(CycleResponse::Projects(Ok(projects(&["b"], Some("c1"))))).unwrap();
    assert_eq!(drained(&mut cycle), ["services of eb"]);
    assert_eq!(cycle.finish(None).unwrap().0.cut_short, Some(AnswerProblem::PageCycle.into()));

    let mut page = projects(&["a"], Some("c1"));
    page.data.cursor = None;
    let cycle = self::cycle(&settings, Kept::default(), page);
    assert_eq!(cycle.finish(None).unwrap().0.cut_short, Some(AnswerProblem::Shape.into()));
}

#[test]
fn a_name_of_the_settings_that_is_not_found_is_reported_and_none_found_is_an_error() {
    let with = |projects: &[&str], environments: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Settings { projects: owned(projects), environments: owned(environments), ..settings() }
    };
    for (settings, expected) in [
        (with(&["a", "z"], &[]), Ok(vec![CloudError::NotVisible("project")])),
        (with(&["a"], &["eb"]), Err(CloudError::NotVisible("environment"))),
        (with(&["z"], &[]), Err(CloudError::NotVisible("project"))),
        (with(&["a"], &["production"]), Ok(vec![])),
        (with(&[], &["ea", "staging"]), Ok(vec![CloudError::NotVisible("environment")])),
    ] {
        let cycle = cycle(&settings, Kept::default(), projects(&["a", "b"], None));
        let outcome = cycle.finish(None).map(|(collection, _)| collection.batch_errors);
        assert_eq!(outcome, expected, "{:?} {:?}", settings.projects, settings.environments);
    }
}

#[test]
fn ended_instances_of_an_answer_are_charged_until_the_cycle_ends() {
    let settings = settings();
    let memory = MemoryBudget::new(1 << 20);
    let holder = memory.holder("team-a", "acme");
    let ended: Vec<String> = (0..5_000).map(|number| format!("{number:0>100}")).collect();
    let ended: Vec<&str> = ended.iter().map(String::as_str).collect();
    let inventory = Inventory::charged(holder.charge());
    let page = projects(&["a"], None);
    let mut cycle = Cycle::new(&settings, TokenKind::Account, Arc::default(), page, inventory, 4);
    cycle.record(CycleResponse::Services(0, Ok(services(&["s1"], None)))).unwrap();
    cycle.record(CycleResponse::Usage(0, Ok(measured(&ended[..1_000])))).unwrap();
    assert!(memory.held() > 300_000, "{} bytes for 1,000 instances", memory.held());

    // More than there is: nothing of it is kept, and the account is cut.
    cycle.environments[0].pending += 1;
    cycle.record(CycleResponse::Usage(0, Ok(measured(&ended)))).unwrap();
    assert!(holder.is_cut().is_some());
    let (collection, _) = cycle.finish(None).unwrap();
    assert_eq!(collection.batch_errors, [AnswerProblem::TooLarge.into()]);
    assert_eq!(memory.held(), 0);
}

/// A page of these environments.
fn environments(ids: &[String], next: Option<&str>) -> Answer<Page<Environment>> {
    let nodes = ids.iter().map(|id| json!({ "id": id }));
    let data = json!({"environments": connection(nodes, next)}).to_string();
    answer(wire::environments(&data, InventoryBudget::PER_CYCLE).unwrap())
}

#[test]
fn projects_and_environments_are_charged_whether_collected_or_not_and_end_where_the_memory_does() {
    let named =
        Settings { projects: vec!["p0".to_owned()], environments: vec!["z".to_owned()], ..settings() };
    for settings in [settings(), named] {
        for of_projects in [true, false] {
            let memory = MemoryBudget::new(1 << 20);
            let holder = memory.holder("team-a", "acme");
            let inventory = Inventory::charged(holder.charge());
            let page = projects(&["p0"], None);
            let mut cycle = Cycle::new(&settings, TokenKind::Account, Arc::default(), page, inventory, 4);
            let mut pages = 0;
            while cycle.cut_short.is_none() {
                let ids: Vec<String> = (0..100).map(|number| format!("{pages}-{number:0>100}")).collect();
                cycle.listing += 1;
                let next = format!("c{pages}");
                let response = if of_projects {
                    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                    CycleResponse::Projects(Ok(projects(&ids, Some(&next))))
                } else {
                    CycleResponse::Environments(0, Ok(environments(&ids, Some(&next))))
                };
                cycle.record(response).unwrap();
                pages += 1;
            }
            assert_eq!(cycle.cut_short, Some(AnswerProblem::TooLarge.into()));
            assert!(holder.is_cut().is_some());
            assert!(pages < 60, "{pages} pages of 100 in 1 MiB");
            assert!(cycle.next_page.is_none_or(|next| next != format!("c{}", pages - 1)));
        }
    }
}

#[test]
fn a_page_of_environments_is_read_within_its_budget() {
    let nodes = (0..400_000).map(|_| r#"{"node":{"id":"abcd"}}"#).collect::<Vec<_>>().join(",");
    let page_info = r#"{"hasNextPage":true,"endCursor":"c1"}"#;
    let data = format!(r#"{{"environments":{{"edges":[{nodes}],"pageInfo":{page_info}}}}}"#);
    let page = wire::environments(&data, InventoryBudget::PER_CYCLE).unwrap();
    assert!(page.cut && page.entries.len() < 350_000, "{} entries", page.entries.len());
    let next = page.next(false, &mut Pages::starting_at(String::new()), &mut Inventory::new());
    assert_eq!(next, Ok(None), "what comes after a cut page would leave a gap");
}

#[test]
fn cursors_are_charged_with_all_else() {
    let mut inventory = Inventory::charged(MemoryBudget::new(1 << 20).holder("team-a", "acme").charge());
    let mut pages = Pages::starting_at(String::new());
    let problem = (0..1_000).find_map(|number| {
        let page = Page::<Environment> {
            entries: Vec::new(),
            unreadable: 0,
            cut: false,
            has_next: true,
            cursor: Some(format!("{number:0>1000}")),
        };
        page.next(false, &mut pages, &mut inventory).err()
    });
    assert_eq!(problem, Some(AnswerProblem::TooLarge));
}

#[tokio::test(start_paused = true)]
async fn an_environment_is_asked_again_when_a_new_point_can_be_there_and_a_failure_at_once() {
    let settings = Settings { http: true, ..settings() };
    let mut kept = Kept::default();
    let (mut asked, start) = (Vec::new(), Moment::now());
    for number in 0..16 {
        // One a minute, the first of them ten seconds old.
        let newest = start.wall - 10.0 + f64::from(number / 4 * 60);
        let mut cycle = cycle(&settings, kept, projects(&["a"], None));
        drained(&mut cycle);
        cycle.record(CycleResponse::Services(0, Ok(services(&["s1"], None)))).unwrap();
        let requests = drained(&mut cycle);
        let asks = |what: &str| requests.iter().any(|request| request.starts_with(what));
        let (usage, http) = (asks("usage"), asks("http"));
        assert!(http, "it always fails");
        cycle.record(CycleResponse::Http(0, vec![0], Err(CloudError::Status(404)))).unwrap();
        if usage {
            asked.push(number);
            cycle.record(CycleResponse::Usage(0, Ok(measured_at(&["is1"], newest)))).unwrap();
        }
        let (collection, after) = cycle.finish(None).unwrap();
        let service = &collection.services[0];
        let reading = &service.instances.as_ref().unwrap()[0].reading;
        assert_eq!(reading.current.contains(Measurement::MemoryUsage), !usage, "cycle {number}");
        assert!(reading.unread.is_empty());
        assert!(service.reading.unread.contains(Measurement::ServiceHttpRequests));
        kept = after;
        tokio::time::advance(Duration::from_secs(15)).await;
    }
    // The first ones learn how late points are.
    assert_eq!(asked, [0, 1, 2, 3, 4, 8, 12], "of sixteen cycles of 15 s");
}
