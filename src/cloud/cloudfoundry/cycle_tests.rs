use super::*;
use crate::cloud::model::InstanceFacts;
use crate::limits::MemoryBudget;

const SPACES: &str = r#""included": {
    "spaces": [{"guid": "s", "name": "prod", "relationships": {"organization": {"data": {"guid": "o"}}}}],
    "organizations": [{"guid": "o", "name": "acme"}]}"#;

fn apps(names: &[&str], next: Option<&str>) -> Page<ServiceFacts> {
    let app = |name: &&str| {
        format!(
            r#"{{"guid": "guid-{name}", "name": "{name}", "state": "STARTED",
                "relationships": {{"space": {{"data": {{"guid": "s"}}}}}}}}"#
        )
    };
    let apps: Vec<_> = names.iter().map(app).collect();
    let next = next.map_or("null".to_owned(), |next| format!(r#"{{"href": "{next}"}}"#));
    let body =
        format!(r#"{{"pagination": {{"next": {next}}}, "resources": [{}], {SPACES}}}"#, apps.join(","));
    wire::apps(body.as_bytes(), &Scope::default(), InventoryBudget::PER_CYCLE).unwrap()
}

/// Processes, each with its guid, its application, its type and how many instances it should have.
fn processes(list: &[(&str, &str, &str, i64)]) -> Page<Process> {
    let process = |(guid, app, kind, instances): &(&str, &str, &str, i64)| Process {
        guid: (*guid).to_owned(),
        app: format!("guid-{app}"),
        kind: (*kind).to_owned(),
        instances: Some(*instances),
        memory_bytes: None,
        disk_bytes: None,
    };
    let entries: Vec<_> = list.iter().map(process).collect();
    Page { next: Ok(None), listed: Listed::default(), entries, unreadable: 0, cut: false }
}

fn stats(guid: &str, states: &[State]) -> Stats {
    let instance = |(index, state): (usize, &State)| Instance {
        facts: Arc::new(InstanceFacts {
            name: format!("{guid}-{index}"),
            id: format!("{guid}/{index}"),
            state: Some(*state),
            ..InstanceFacts::default()
        }),
        reading: Reading::no_data(),
    };
    let instances = states.iter().enumerate().map(instance).collect();
    Stats { instances, routable: None, lacks_measurements: false }
}

/// Runs a cycle over these pages; `answer` responds for each process. Returns the result and the guids that were asked.
fn run(
    first: Page<ServiceFacts>,
    listed: Result<Page<Process>, CloudError>,
    filter: &ServiceFilter,
    answer: impl Fn(&str) -> Result<Stats, CloudError>,
) -> (Result<Collection, CloudError>, Vec<String>) {
    let endpoint: Url = "https://api.example.org/".parse().unwrap();
    let scope = Scope::default();
    let [apps_url, processes_url] =
        [wire::apps_url(&endpoint, 5_000, &scope, None), wire::processes_url(&endpoint, 5_000, &scope)];
    let mut cycle =
        Cycle::new(&endpoint, (filter, &scope), (&apps_url, first), &processes_url, Inventory::new(), 4);
    let (mut listed, mut asked, mut ended) = (Some(listed), Vec::new(), None);
    while let Some(request) = cycle.next_request() {
        let response = match request {
            CycleRequest::Apps(url, _) => CycleResponse::Apps(url, Err(CloudError::Status(500))),
            CycleRequest::Processes(url) => CycleResponse::Processes(url, listed.take().unwrap()),
            CycleRequest::Stats(place, _, process, _) => {
                asked.push(process.guid.clone());
                CycleResponse::Stats(place, answer(&process.guid))
            }
        };
        if let Err(error) = cycle.record(response) {
            ended = Some(error);
            break;
        }
    }
    (cycle.finish(ended, &mut StartTimes::default()), asked)
}

#[allow(clippy::unnecessary_wraps)] // As responses are.
fn running(guid: &str) -> Result<Stats, CloudError> {
    Ok(stats(guid, &[State::Running]))
}

fn names(collection: &Collection) -> Vec<(&str, Option<&str>, Option<State>)> {
    collection
        .services
        .iter()
        .map(|service| (&*service.facts.name, service.facts.application.as_deref(), service.facts.state))
        .collect()
}

#[test]
fn each_process_is_a_service_and_those_without_instances_are_not_asked() {
    let listed = processes(&[
        ("a", "shop", "web", 1),
        ("b", "shop", "worker", 1),
        ("c", "shop", "clock", 0),
        ("d", "gone", "web", 1),
    ]);
    let (collection, asked) = run(apps(&["shop"], None), Ok(listed), &ServiceFilter::default(), running);
    let collection = collection.unwrap();
    assert_eq!(asked, ["a", "b"]);
    assert_eq!(
        names(&collection),
        [
            ("shop", Some("acme/prod"), Some(State::Running)),
            ("shop/worker", Some("acme/prod"), Some(State::Running)),
            ("shop/clock", Some("acme/prod"), Some(State::Stopped)),
        ]
    );
    assert_eq!(collection.services[0].facts.id.as_deref(), Some("guid-shop"), "cf app --guid");
    assert_eq!(collection.failures(), (0, None));
}

#[test]
fn a_stopped_application_is_not_asked_for_instances_and_has_none() {
    let mut page = apps(&["shop"], None);
    page.entries[0].status = Some("STOPPED".to_owned());
    let listed = Ok(processes(&[("a", "shop", "web", 3)]));
    let (collection, asked) = run(page, listed, &ServiceFilter::default(), running);
    let collection = collection.unwrap();
    assert_eq!((asked.len(), collection.failures()), (0, (0, None)));
    let service = &collection.services[0];
    assert_eq!((service.facts.state, service.instances.as_deref()), (Some(State::Stopped), Ok(&[][..])));
    assert_eq!((service.facts.desired_instances, service.facts.running_instances), (Some(3), Some(0)));
}

#[test]
fn the_filter_sees_the_names_of_services_and_saves_their_requests() {
    let listed = || Ok(processes(&[("a", "shop", "web", 1), ("b", "shop", "worker", 1)]));
    let filter = ServiceFilter::new(&["*/worker"], &[]);
    let (collection, asked) = run(apps(&["shop"], None), listed(), &filter, running);
    assert_eq!((asked, collection.unwrap().services.len()), (vec!["b".to_owned()], 1));
}

#[test]
fn two_processes_of_one_type_are_one_service_that_is_being_deployed() {
    let listed =
        processes(&[("old", "shop", "web", 1), ("new", "shop", "web", 1), ("old", "shop", "web", 1)]);
    let (collection, asked) = run(apps(&["shop"], None), Ok(listed), &ServiceFilter::default(), running);
    let collection = collection.unwrap();
    assert_eq!(asked, ["old", "new"], "a process that a second page repeats is asked once");
    let service = &collection.services[0];
    assert_eq!((collection.services.len(), service.facts.state), (1, Some(State::Deploying)));
    assert_eq!((service.facts.desired_instances, service.facts.running_instances), (Some(2), Some(2)));
    assert_eq!(service.instances.as_ref().unwrap().len(), 2);
}

#[test]
fn a_process_that_went_between_list_and_request_is_no_failure_unless_all_did() {
    let answer = |guid: &str| if guid == "a" { Err(CloudError::Status(404)) } else { running(guid) };
    let listed = || Ok(processes(&[("a", "shop", "web", 1), ("b", "cart", "web", 1)]));
    let pages = || apps(&["shop", "cart"], None);
    let (collection, _) = run(pages(), listed(), &ServiceFilter::default(), answer);
    let collection = collection.unwrap();
    assert_eq!((collection.failures(), collection.services.len()), ((0, None), 1));

    let (collection, _) = run(pages(), listed(), &ServiceFilter::default(), |_| Err(CloudError::Status(404)));
    let collection = collection.unwrap();
    assert_eq!(collection.services.len(), 2, "an API that finds nothing proves nothing");
    assert_eq!(collection.failures(), (2, Some(&CloudError::Status(404))));
}

#[test]
fn a_list_that_ends_early_is_said_and_without_any_process_the_cycle_failed() {
    let next = Some("https://api.example.org/v3/apps?page=2");
    let listed = processes(&[("a", "shop", "web", 1)]);
    let (collection, _) = run(apps(&["shop"], next), Ok(listed), &ServiceFilter::default(), running);
    let collection = collection.unwrap();
    assert_eq!(collection.cut_short, Some(CloudError::Status(500)));
    assert_eq!(collection.services.len(), 1, "what was listed is collected");

    let failed = Err(CloudError::Status(503));
    let (collection, asked) = run(apps(&["shop"], None), failed, &ServiceFilter::default(), running);
    assert_eq!((collection, asked.len()), (Err(CloudError::Status(503)), 0));
}

#[test]
fn an_outage_does_not_cost_a_request_a_process() {
    let list: Vec<(String, String)> = (0..100).map(|n| (format!("p{n}"), format!("a{n}"))).collect();
    let names: Vec<&str> = list.iter().map(|(_, app)| &**app).collect();
    let listed: Vec<_> = list.iter().map(|(guid, app)| (&**guid, &**app, "web", 1)).collect();
    let answer = |_: &str| Err(CloudError::Status(503));
    let (collection, asked) =
        run(apps(&names, None), Ok(processes(&listed)), &ServiceFilter::default(), answer);
    assert_eq!((asked.len(), collection.unwrap().failures().0), (8, 100));
}

#[test]
fn a_list_that_has_less_than_it_says_is_not_complete() {
    let fewer = Listed { entries: 1, total: Some(2) };
    let incomplete = Some(CloudError::from(AnswerProblem::IncompleteList));
    let list = || processes(&[("a", "shop", "web", 1)]);
    for (of_apps, of_processes, expected) in [
        (fewer, Listed::default(), incomplete.clone()),
        (Listed::default(), fewer, incomplete),
        (Listed { total: Some(1), ..fewer }, Listed { total: Some(1), ..fewer }, None),
    ] {
        let first = Page { listed: of_apps, ..apps(&["shop"], None) };
        let listed = Ok(Page { listed: of_processes, ..list() });
        let (collection, _) = run(first, listed, &ServiceFilter::default(), running);
        let collection = collection.unwrap();
        assert_eq!((collection.services.len(), collection.cut_short), (1, expected));
    }
}

#[test]
fn a_next_page_that_leads_back_is_not_followed() {
    for next in [
        "https://api.example.org/v3/apps?page=1",
        "https://evil.example/v3/apps?per_page=5000&include=space%2Cspace.organization",
    ] {
        let listed = Ok(processes(&[("a", "shop", "web", 1)]));
        let (collection, _) = run(apps(&["shop"], Some(next)), listed, &ServiceFilter::default(), running);
        assert_eq!(collection.unwrap().cut_short, Some(AnswerProblem::PageCycle.into()), "{next}");
    }
}

#[test]
fn applications_and_processes_are_charged_and_end_where_the_memory_does() {
    let endpoint: Url = "https://api.example.org/".parse().unwrap();
    let (filter, scope) = (ServiceFilter::default(), Scope::default());
    let [apps_url, processes_url] =
        [wire::apps_url(&endpoint, 5_000, &scope, None), wire::processes_url(&endpoint, 5_000, &scope)];
    for of_apps in [true, false] {
        let memory = MemoryBudget::new(1 << 20);
        let holder = memory.holder("team-a", "acme");
        let inventory = Inventory::charged(holder.charge());
        let first = (&apps_url, apps(&["shop"], None));
        let mut cycle = Cycle::new(&endpoint, (&filter, &scope), first, &processes_url, inventory, 4);
        let mut pages = 0;
        while cycle.cut_short.is_none() {
            let names: Vec<String> = (0..100).map(|number| format!("{pages}-{number:0>100}")).collect();
            let response = if of_apps {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let next = format!("/v3/apps?page={}", pages + 2);
                CycleResponse::Apps(apps_url.clone(), Ok(apps(&names, Some(&next))))
            } else {
                // All of one service, so that only what is remembered of processes grows.
                let list: Vec<_> = names.iter().map(|guid| (guid.as_str(), "shop", "web", 1)).collect();
                let next = format!("/v3/processes?page={}", pages + 2);
                let page = Page { next: Ok(Some(next)), ..processes(&list) };
                CycleResponse::Processes(processes_url.clone(), Ok(page))
            };
            cycle.record(response).unwrap();
            pages += 1;
        }
        assert_eq!(cycle.cut_short, Some(AnswerProblem::TooLarge.into()));
        assert!(holder.is_cut().is_some());
        assert!(pages < 60, "{pages} pages of 100 in 1 MiB");
    }
}

#[test]
fn pages_of_processes_and_entities_are_read_within_their_budget() {
    let page = |entry: &str, count: usize| {
        let entries = vec![entry; count].join(",");
        format!(r#"{{"pagination": {{"next": null}}, "resources": [{entries}]}}"#)
    };
    let process = r#"{"guid":"g","type":"t","relationships":{"app":{"data":{"guid":"a"}}}}"#;
    assert!(wire::processes(page(process, 400_000).as_bytes()).unwrap().cut);
    assert!(wire::entities(page(r#"{"guid":"g","name":"n"}"#, 400_000).as_bytes()).unwrap().cut);
}
