//! Decisions of a cycle that no simulated cloud leads to.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::cloud::model::{Measurement, Reading, Service, State};
use crate::cloud::northflank::{metrics, wire};

fn settings() -> Settings {
    Settings {
        endpoint: "https://api.northflank.com/".parse().unwrap(),
        team: None,
        projects: Vec::new(),
        inventory_interval: Duration::from_secs(900),
        metrics_max_age: Duration::from_secs(600),
    }
}

fn bytes(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

fn last_page(name: &str, list: &Value) -> Vec<u8> {
    bytes(
        &json!({"data": {name: list}, "pagination": {"hasNextPage": false, "count": list.as_array().map(Vec::len)}}),
    )
}

fn projects() -> Page<ListedProject> {
    wire::projects(&last_page("projects", &json!([{"id": "shop"}]))).unwrap()
}

fn services(ids: &[&str], since: &str) -> Page<ListedService> {
    let status = json!({"deployment": {"status": "COMPLETED", "lastTransitionTime": since}});
    let service = |id: &&str| json!({"id": id, "serviceType": "deployment", "status": status});
    let list: Vec<_> = ids.iter().map(service).collect();
    wire::services(&last_page("services", &json!(list))).unwrap()
}

fn containers(names: &[&str]) -> Page<InstanceFacts> {
    let container = |name: &&str| json!({"name": name, "status": "TASK_RUNNING", "createdAt": 1_611_241_087});
    let list: Vec<_> = names.iter().map(container).collect();
    wire::containers(&last_page("containers", &json!(list))).unwrap()
}

/// CPU of these containers, measured now.
fn cpu(names: &[&str], unit: &str) -> Spent<Metrics> {
    let now = jiff::Timestamp::now().to_string();
    let series =
        |name: &&str| json!({"metadata": {"containerId": name}, "data": [{"value": 0.5, "ts": now}]});
    let values: Vec<_> = names.iter().map(series).collect();
    let data = json!({"cpu": {"metricInfo": {"metricUnit": unit}, "values": values}});
    let body = bytes(&json!({"data": data}));
    InventoryBudget::PER_CYCLE.reading(|budget| metrics::read(&body, 0.0, budget)).unwrap()
}

fn details(instances: u32) -> Details {
    let deployment = json!({"instances": instances, "region": "europe-west"});
    let data = json!({"id": "web", "billing": {"deploymentPlan": "small"}, "deployment": deployment});
    wire::details(&bytes(&json!({"data": data}))).unwrap()
}

fn plans() -> Plans {
    let plan = json!({"id": "small", "cpuResource": 2, "ramResource": 512});
    wire::plans(&bytes(&json!({"data": {"plans": [plan]}}))).unwrap()
}

/// A cycle whose list of services has arrived.
fn listed<'a>(
    settings: &'a Settings,
    filter: &'a ServiceFilter,
    kept: Kept,
    page: Page<ListedService>,
) -> Cycle<'a> {
    let mut cycle = Cycle::new(settings, filter, Arc::new(kept), projects(), Inventory::new(), 4);
    assert!(matches!(cycle.next_request(), Some(CycleRequest::Services(0, None, _))));
    cycle.record(CycleResponse::Services(0, None, Ok(page))).unwrap();
    cycle
}

/// The cycle's requests in order: the service's number and what is asked.
fn drained(cycle: &mut Cycle<'_>) -> Vec<(usize, &'static str)> {
    std::iter::from_fn(|| cycle.next_request())
        .map(|request| match request {
            CycleRequest::Projects(_) => (0, "projects"),
            CycleRequest::Services(project, ..) => (project, "services"),
            CycleRequest::Plans => (0, "plans"),
            CycleRequest::Metrics(service, ..) => (service, "metrics"),
            CycleRequest::Containers(service, _) => (service, "containers"),
            CycleRequest::Details(service, _) => (service, "details"),
        })
        .collect()
}

/// What the next cycle knows after one in which `web` had the container `a`.
fn after_first_cycle(desired: u32) -> Kept {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let mut cycle = listed(&settings, &filter, Kept::default(), services(&["web"], "1"));
    assert_eq!(drained(&mut cycle), [(0, "plans"), (0, "metrics"), (0, "containers"), (0, "details")]);
    cycle.record(CycleResponse::Plans(Ok(plans()))).unwrap();
    cycle.record(CycleResponse::Metrics(0, Ok(cpu(&["a"], "vCPU")))).unwrap();
    cycle.record(CycleResponse::Containers(0, Ok(containers(&["a"])))).unwrap();
    cycle.record(CycleResponse::Details(0, Ok(details(desired)))).unwrap();
    cycle.finish(None).1
}

/// `kept` in a cycle in which it is, or is not, the turn of `web` to be asked for its containers.
fn on_turn(kept: Kept, is_turn: bool) -> Kept {
    let key = ("shop".to_owned(), "web".to_owned());
    let cycles =
        (1..4).find(|cycles| Kept { cycles: *cycles, ..Kept::default() }.is_turn_of(&key) == is_turn);
    Kept { cycles: cycles.unwrap(), ..kept }
}

fn only(collection: Collection) -> Service {
    let [service] = <[Service; 1]>::try_from(collection.services).unwrap();
    service
}

fn names(service: &Service) -> Vec<&str> {
    service.instances.as_ref().unwrap().iter().map(|instance| instance.facts.name.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_service_in_its_usual_cycle_is_asked_for_its_metrics_only() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let mut cycle = listed(&settings, &filter, on_turn(after_first_cycle(1), false), services(&["web"], "1"));
    assert_eq!(drained(&mut cycle), [(0, "metrics")]);
    cycle.record(CycleResponse::Metrics(0, Ok(cpu(&["a"], "vCPU")))).unwrap();
    assert_eq!(drained(&mut cycle), []);
    let service = only(cycle.finish(None).0);
    assert_eq!((names(&service), service.facts.state), (vec!["a"], Some(State::Running)));
    assert_eq!((service.facts.desired_instances, service.facts.limits.cpu_cores), (Some(1), Some(2.0)));

    let mut cycle = listed(&settings, &filter, on_turn(after_first_cycle(1), true), services(&["web"], "1"));
    assert_eq!(drained(&mut cycle), [(0, "metrics"), (0, "containers")]);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_metrics_show_for_the_first_time_is_looked_for_at_once() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let mut cycle = listed(&settings, &filter, on_turn(after_first_cycle(1), false), services(&["web"], "1"));
    assert_eq!(drained(&mut cycle), [(0, "metrics")]);
    cycle.record(CycleResponse::Metrics(0, Ok(cpu(&["a", "b"], "vCPU")))).unwrap();
    assert_eq!(drained(&mut cycle), [(0, "containers")]);
    cycle.record(CycleResponse::Containers(0, Ok(containers(&["b"])))).unwrap();
    let (collection, kept) = cycle.finish(None);
    assert_eq!(names(&only(collection)), ["b"], "a has ended, and its metrics are still there");

    let mut cycle = listed(&settings, &filter, on_turn(kept, false), services(&["web"], "1"));
    assert_eq!(drained(&mut cycle), [(0, "metrics")]);
    cycle.record(CycleResponse::Metrics(0, Ok(cpu(&["b"], "vCPU")))).unwrap();
    assert_eq!(drained(&mut cycle), [], "that they go now is no news");
}

#[tokio::test(start_paused = true)]
async fn a_new_deployment_is_asked_for_containers_and_details_at_once() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let mut cycle = listed(&settings, &filter, on_turn(after_first_cycle(1), false), services(&["web"], "2"));
    assert_eq!(drained(&mut cycle), [(0, "metrics"), (0, "containers"), (0, "details")]);
}

#[tokio::test(start_paused = true)]
async fn a_paused_service_costs_nothing_until_it_is_deployed_again_or_its_details_are_old() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let kept = after_first_cycle(0);
    let mut cycle = listed(&settings, &filter, kept.clone(), services(&["web"], "1"));
    assert_eq!(drained(&mut cycle), []);
    let service = only(cycle.finish(None).0);
    assert_eq!((names(&service), service.facts.state), (vec![], Some(State::Stopped)));
    assert_eq!((service.facts.running_instances, service.reading), (Some(0), Reading::default()));

    let mut resumed = listed(&settings, &filter, kept.clone(), services(&["web"], "2"));
    assert_eq!(drained(&mut resumed), [(0, "metrics"), (0, "containers"), (0, "details")]);

    tokio::time::advance(Duration::from_secs(900)).await;
    let mut later = listed(&settings, &filter, kept, services(&["web"], "1"));
    assert_eq!(drained(&mut later), [(0, "details")]);
    later.record(CycleResponse::Details(0, Ok(details(2)))).unwrap();
    assert_eq!(drained(&mut later)[0], (0, "metrics"), "it was resumed without a sign of it in the list");
}

#[tokio::test(start_paused = true)]
async fn without_a_list_of_containers_those_that_were_measured_lately_are_taken() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    for error in [CloudError::Status(500), CloudError::ScopeMissing("the permission")] {
        let mut cycle = listed(&settings, &filter, Kept::default(), services(&["web"], "1"));
        drained(&mut cycle);
        cycle.record(CycleResponse::Metrics(0, Ok(cpu(&["a"], "vCPU")))).unwrap();
        cycle.record(CycleResponse::Containers(0, Err(error.clone()))).unwrap();
        cycle.record(CycleResponse::Details(0, Ok(details(1)))).unwrap();
        let (collection, _) = cycle.finish(None);
        assert_eq!(collection.failures(), (1, Some(&error)));
        let service = only(collection);
        assert_eq!((names(&service), service.facts.running_instances), (vec!["a"], Some(1)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_of_containers_that_fails_leaves_the_one_before_for_a_while() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let kept = on_turn(after_first_cycle(1), true);
    for (seconds, expected) in [(899, Ok(1)), (1, Err(CloudError::Status(500)))] {
        let kept = kept.clone();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        let mut cycle = listed(&settings, &filter, kept, services(&["web"], "1"));
        drained(&mut cycle);
        cycle.record(CycleResponse::Metrics(0, Err(CloudError::Status(404)))).unwrap();
        cycle.record(CycleResponse::Containers(0, Err(CloudError::Status(500)))).unwrap();
        let (collection, _) = cycle.finish(None);
        assert_eq!(collection.failures().0, 2);
        assert_eq!(only(collection).instances.map(|list| list.len()), expected, "{seconds} s later");
    }
}

#[tokio::test(start_paused = true)]
async fn containers_are_known_between_two_turns_however_long_the_interval_is() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let kept = on_turn(after_first_cycle(1), false);
    tokio::time::advance(Duration::from_secs(3_600)).await;
    let mut cycle = listed(&settings, &filter, kept, services(&["web"], "1"));
    let asked = drained(&mut cycle);
    assert!(!asked.contains(&(0, "containers")), "{asked:?}");
    cycle.record(CycleResponse::Metrics(0, Err(CloudError::Status(500)))).unwrap();
    assert_eq!(only(cycle.finish(None).0).instances.map(|list| list.len()), Ok(1));
}

#[tokio::test(start_paused = true)]
async fn what_lists_that_end_early_no_longer_have_is_forgotten_in_time() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let mut kept = Kept::default();
    for number in 0..12 {
        let id = format!("web-{number}");
        let page = Page { unreadable: 1, ..services(&[&id], "1") };
        let mut cycle = listed(&settings, &filter, kept, page);
        drained(&mut cycle);
        cycle.record(CycleResponse::Details(0, Ok(details(1)))).unwrap();
        kept = cycle.finish(None).1;
        tokio::time::advance(Duration::from_secs(300)).await;
    }
    // Half an hour of them, twice the interval of details.
    assert!((2..=7).contains(&kept.services.len()), "{}", kept.services.len());
}

#[tokio::test(start_paused = true)]
async fn no_cores_are_computed_from_a_share_whose_whole_is_unknown() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let mut cycle = listed(&settings, &filter, on_turn(after_first_cycle(1), false), services(&["web"], "1"));
    drained(&mut cycle);
    cycle.record(CycleResponse::Metrics(0, Ok(cpu(&["a"], "pct")))).unwrap();
    let (collection, after) = cycle.finish(None);
    let service = only(collection);
    let sample = service.instances.as_ref().unwrap()[0].reading.sample.as_ref().unwrap();
    assert_eq!(sample.value(Measurement::CpuLimitUtilization), Some(0.005));
    let mut failed = listed(&settings, &filter, after, services(&["web"], "1"));
    drained(&mut failed);
    failed.record(CycleResponse::Metrics(0, Err(CloudError::Status(500)))).unwrap();
    assert_eq!(only(failed.finish(None).0).facts.limits.cpu_cores, None, "also without metrics");
    assert_eq!(
        (service.facts.limits.cpu_cores, service.facts.limits.memory_bytes),
        (None, Some(536_870_912.0))
    );
}

#[tokio::test(start_paused = true)]
async fn no_cycle_asks_for_the_details_of_more_than_a_third_of_the_services() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let ids: Vec<String> = (0..40).map(|number| format!("web-{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut kept = Kept::default();
    let mut asked = Vec::new();
    for expected in [14, 14, 12, 0] {
        let mut cycle = listed(&settings, &filter, kept, services(&ids, "1"));
        let requests = drained(&mut cycle);
        let of_details: Vec<usize> =
            requests.iter().filter(|(_, what)| *what == "details").map(|(number, _)| *number).collect();
        assert_eq!(of_details.len(), expected);
        for number in &of_details {
            cycle.record(CycleResponse::Details(*number, Ok(details(1)))).unwrap();
        }
        asked.extend(of_details);
        kept = cycle.finish(None).1;
    }
    asked.sort_unstable();
    assert_eq!(asked, (0..40).collect::<Vec<_>>(), "each once");
}

#[tokio::test(start_paused = true)]
async fn containers_on_two_pages_are_one_list_and_one_that_leads_back_is_none() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let page = |names, next: Option<&str>| Page { next: Ok(next.map(str::to_owned)), ..containers(names) };
    let mut cycle = listed(&settings, &filter, Kept::default(), services(&["web"], "1"));
    drained(&mut cycle);
    cycle.record(CycleResponse::Metrics(0, Ok(cpu(&["a"], "vCPU")))).unwrap();
    cycle.record(CycleResponse::Containers(0, Ok(page(&["a", "b"], Some("2"))))).unwrap();
    let next = cycle.next_request();
    assert!(
        matches!(&next, Some(CycleRequest::Containers(0, url)) if url.query() == Some("per_page=100&cursor=2"))
    );
    cycle.record(CycleResponse::Containers(0, Ok(page(&["b", "c"], None)))).unwrap();
    assert_eq!(names(&only(cycle.finish(None).0)), ["a", "b", "c"]);

    let mut cycle = listed(&settings, &filter, Kept::default(), services(&["web"], "1"));
    drained(&mut cycle);
    cycle.record(CycleResponse::Containers(0, Ok(page(&["a"], Some("2"))))).unwrap();
    drained(&mut cycle);
    cycle.record(CycleResponse::Containers(0, Ok(page(&["b"], Some("2"))))).unwrap();
    let service = only(cycle.finish(None).0);
    assert_eq!(service.instances, Err(AnswerProblem::PageCycle.into()));
}

#[tokio::test(start_paused = true)]
async fn what_a_cycle_that_ends_early_has_not_read_keeps_its_last_values() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let kept = on_turn(after_first_cycle(1), false);
    let mut cycle = listed(&settings, &filter, kept, services(&["web"], "1"));
    let limited = CloudError::RateLimited { retry_after: None };
    cycle.next_request();
    let ended_by = cycle.record(CycleResponse::Metrics(0, Err(limited.clone()))).unwrap_err();
    let (collection, kept) = cycle.finish(Some(ended_by));
    let service = only(collection.clone());
    let reading = &service.instances.as_ref().unwrap()[0].reading;
    assert!(reading.sample.is_none() && reading.unread.contains(Measurement::CpuUsageCores));
    assert_eq!((collection.cut_short, collection.batch_errors), (None, vec![limited]));
    assert!(kept.services.values().all(|service| service.details.is_some() && service.containers.is_some()));
}

#[tokio::test(start_paused = true)]
async fn services_are_in_the_same_order_whichever_project_answers_first() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let projects =
        || wire::projects(&last_page("projects", &json!([{"id": "shop"}, {"id": "wiki"}]))).unwrap();
    let collected = |first| {
        let mut cycle = Cycle::new(&settings, &filter, Arc::default(), projects(), Inventory::new(), 4);
        for project in [first, 1 - first] {
            cycle.record(CycleResponse::Services(project, None, Ok(services(&["web", "db"], "1")))).unwrap();
        }
        let facts =
            |service: Service| (service.facts.application.clone().unwrap(), service.facts.name.clone());
        cycle.finish(None).0.services.into_iter().map(facts).collect::<Vec<_>>()
    };
    let expected = [("shop", "db"), ("shop", "web"), ("wiki", "db"), ("wiki", "web")];
    let expected = expected.map(|(project, name)| (project.to_owned(), name.to_owned()));
    assert_eq!((collected(0), collected(1)), (expected.to_vec(), expected.to_vec()));
}

#[tokio::test(start_paused = true)]
async fn what_a_list_that_ends_early_does_not_have_is_still_known_in_the_next_cycle() {
    let (settings, filter) = (settings(), ServiceFilter::default());
    let mut cycle =
        Cycle::new(&settings, &filter, Arc::new(after_first_cycle(1)), projects(), Inventory::new(), 4);
    drained(&mut cycle);
    cycle.record(CycleResponse::Services(0, None, Err(CloudError::Status(500)))).unwrap();
    let (collection, kept) = cycle.finish(None);
    assert_eq!((collection.cut_short, collection.services.len()), (Some(CloudError::Status(500)), 0));
    assert_eq!(kept.services.len(), 1);
}
