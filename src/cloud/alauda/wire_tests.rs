use proptest::prelude::*;

use super::*;
use crate::cloud::model::State;

fn endpoint() -> Url {
    "https://caas.example.com/v1/".parse().unwrap()
}

fn named(name: &str) -> ServiceFacts {
    ServiceFacts { name: name.to_owned(), ..ServiceFacts::default() }
}

/// Reads a page of which all services are wanted.
fn services(body: &[u8]) -> Result<Page, AnswerProblem> {
    super::services(body, |_| Ok(true), InventoryBudget::PER_CYCLE)
}

fn instances(body: &[u8]) -> Result<Vec<Arc<InstanceFacts>>, AnswerProblem> {
    super::instances(body, InventoryBudget::PER_CYCLE)
}

/// The whole response as documented.
const DOCUMENTED: &str = r#"{"count": 41, "previous": null, "next": "https://host/v1/services/acme/?page=2", "results": [
  {"service_name": "kibana", "namespace": "acme", "uuid": "1cd6", "unique_name": "1cd6",
   "image_name": "index.alauda.cn/acme/kibana", "image_tag": "4.1", "instance_size": "XS",
   "current_status": "Running", "target_state": "STARTED", "is_deploying": false,
   "target_num_instances": 2, "current_num_instances": 2, "started_num_instances": 1,
   "staged_num_instances": 0, "scaling_mode": "MANUAL", "autoscaling_config": "{}",
   "instance_envvars": "{}", "instance_ports": [], "run_command": "", "application": null,
   "region": {"IaaS": "AWS", "name": "BEIJING1"}, "created_at": "2015-04-14T09:46:39.457Z",
   "instances": [{"instance_name": "kibana.0", "uuid": "92d0", "started_at": "2015-04-14T09:47:26.895Z"}]}]}"#;

#[test]
fn the_documented_page_is_read() {
    let page = services(DOCUMENTED.as_bytes()).unwrap();
    assert_eq!(page.next, Ok(Some("https://host/v1/services/acme/?page=2".to_owned())));
    assert_eq!(page.listed, Listed { entries: 1, total: Some(41) });
    assert_eq!(page.unreadable, 0);
    let [service] = &page.services[..] else { panic!("one service") };
    assert_eq!(
        service.facts,
        ServiceFacts {
            name: "kibana".to_owned(),
            application: None,
            id: Some("1cd6".to_owned()),
            status: Some("Running".to_owned()),
            state: Some(State::Running),
            desired_instances: Some(2),
            running_instances: Some(1),
            image: Some("index.alauda.cn/acme/kibana".to_owned()),
            image_tag: Some("4.1".to_owned()),
            size: Some("XS".to_owned()),
            region: Some("BEIJING1".to_owned()),
            ..ServiceFacts::default()
        }
    );
    let instances = service.instances.as_ref().unwrap().as_ref().unwrap();
    assert_eq!((&*instances[0].name, &*instances[0].id), ("kibana.0", "92d0"));
    assert!((instances[0].started_at.unwrap() - 1_429_004_846.895).abs() < 1e-3);
}

#[test]
fn fields_whose_type_changed_over_the_years_are_still_read() {
    let changed = r#"{"results": [{"service_name": "a", "instance_envvars": {"A": "b"}, "instance_ports": {},
        "target_num_instances": "3", "started_num_instances": null, "image_tag": 4.1, "region": "BEIJING1",
        "application": {"name": "shop"}, "custom_instance_size": {"mem": 256, "cpu": 0.125}, "instances": []}]}"#;
    let page = services(changed.as_bytes()).unwrap();
    let facts = &page.services[0].facts;
    assert_eq!((facts.desired_instances, facts.running_instances), (Some(3), None));
    assert_eq!(facts.image_tag.as_deref(), Some("4.1"));
    assert_eq!(facts.region.as_deref(), Some("BEIJING1"));
    assert_eq!(facts.application.as_deref(), Some("shop"));
    assert_eq!((page.next, page.listed), (Ok(None), Listed { entries: 1, total: None }));
    assert_eq!(page.services[0].instances, Some(Ok(Vec::new())), "an empty list is a list");
}

#[test]
fn a_missing_list_of_instances_is_not_an_empty_one() {
    let page = services(br#"{"results": [{"service_name": "a"}, {"service_name": "b", "instances": null}]}"#);
    assert!(page.unwrap().services.iter().all(|service| service.instances.is_none()));
}

#[test]
fn an_entry_that_cannot_be_read_costs_itself_only() {
    let body = r#"{"results": [7, null, [], ["x"], {}, {"service_name": null}, {"service_name": "a", "instances": "x"},
        {"service_name": "b", "instances": [{"instance_name": "b.0"}]},
        {"service_name": "c", "instances": [{"uuid": 9, "started_at": "yesterday"}]}]}"#;
    let page = services(body.as_bytes()).unwrap();
    assert_eq!(page.unreadable, 6);
    let [a, b, c] = &page.services[..] else { panic!("three services") };
    assert_eq!(a.instances, Some(Err(AnswerProblem::Shape)));
    assert_eq!(b.instances, Some(Err(AnswerProblem::Shape)), "an instance without an identifier");
    let instance = &c.instances.as_ref().unwrap().as_ref().unwrap()[0];
    assert_eq!((&*instance.name, &*instance.id, instance.started_at), ("9", "9", None));
}

#[test]
fn a_page_of_another_shape_and_one_that_is_no_json_are_different_problems() {
    for shape in [&b"[]"[..], b"{}", b"7", br#"{"results": 7}"#, br#"{"results": null}"#] {
        assert_eq!(services(shape).err(), Some(AnswerProblem::Shape), "{}", shape.escape_ascii());
    }
    for no_json in [&b""[..], b"<html></html>", br#"{"results": ["#, b"{\"results\": [\"\xff\"]}"] {
        assert_eq!(services(no_json).err(), Some(AnswerProblem::NotJson), "{}", no_json.escape_ascii());
    }
}

#[test]
fn the_list_of_instances_is_a_bare_array() {
    let list = instances(br#"[{"instance_name": "a.0", "uuid": "u", "started_at": null}]"#).unwrap();
    assert_eq!(
        *list[0],
        InstanceFacts { name: "a.0".to_owned(), id: "u".to_owned(), ..InstanceFacts::default() }
    );
    assert_eq!(instances(b"{}").err(), Some(AnswerProblem::Shape));
    assert_eq!(instances(b"[").err(), Some(AnswerProblem::NotJson));
}

#[test]
fn the_names_in_a_path_are_segments_of_their_own() {
    let url = ServicePath::new(&endpoint(), "acme", &named("a/b")).unwrap().instances_url();
    assert_eq!(url.as_str(), "https://caas.example.com/v1/services/acme/a%2Fb/instances/");
    assert!(ServicePath::new(&endpoint(), "acme", &named("..")).is_none());
    assert!(services_url(&endpoint(), "..").is_err());
}

#[test]
fn an_application_is_named_on_every_path_below_its_service() {
    let facts = ServiceFacts { application: Some("a&b c".to_owned()), ..named("web") };
    let path = ServicePath::new(&endpoint(), "acme", &facts).unwrap();
    assert_eq!(path.instances_url().query(), Some("application=a%26b+c"));
    let now = UNIX_EPOCH + Duration::from_secs(1_000);
    let window = Window::before(now, Duration::from_secs(30), Duration::from_secs(100));
    let url = path.metrics_url("u/1", window).unwrap();
    assert_eq!(
        url.as_str(),
        "https://caas.example.com/v1/services/acme/web/instances/u%2F1/metrics\
         ?application=a%26b+c&start_time=870&end_time=970&point_per_period=1m"
    );
}

#[test]
fn a_point_of_the_minute_in_which_the_window_begins_is_in_it() {
    let window = |now| {
        let now = UNIX_EPOCH + Duration::from_secs(now);
        Window::before(now, Duration::from_secs(30), Duration::from_secs(100)).oldest()
    };
    assert_eq!([window(1_000), window(0)].map(f64::to_bits), [810.0, 0.0].map(f64::to_bits));
}

#[test]
fn a_token_becomes_a_header_that_is_never_printed() {
    let header = login(br#"{"token": "0123abc"}"#).unwrap();
    assert_eq!(header.to_str().unwrap(), "Token 0123abc");
    assert!(!format!("{header:?}").contains("0123abc"));
    for body in [&br#"{"token": ""}"#[..], br#"{"token": "a\nb"}"#, b"{}", br#"{"token": 7}"#] {
        assert_eq!(login(body).err(), Some(AnswerProblem::Shape), "{}", body.escape_ascii());
    }
    assert_eq!(login(b"<html>").err(), Some(AnswerProblem::NotJson));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (services(&body), instances(&body), login(&body));
    }

    #[test]
    fn a_documented_page_with_bytes_changed_makes_nothing_panic(at in 0_usize..800, byte in any::<u8>()) {
        let mut body = DOCUMENTED.as_bytes().to_vec();
        let at = at % body.len();
        body[at] = byte;
        let _ = services(&body);
    }
}
