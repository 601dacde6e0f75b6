//! What is read from the API's documented answers, and from others.

use serde_json::{Value, json};

use super::*;
use crate::cloud::model::State;

fn bytes(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

/// The cursor of the page after one with this pagination.
fn next(pagination: &Value) -> Result<Option<String>, AnswerProblem> {
    projects(&bytes(&json!({"data": {"projects": []}, "pagination": pagination}))).unwrap().next
}

#[test]
fn the_documented_page_of_projects_is_read() {
    let body = json!({
        "data": {"projects": [{"id": "default-project", "name": "Default Project", "description": "x"}, {"id": "p2"}]},
        "pagination": {"hasNextPage": true, "cursor": "6eb0ab", "count": 2},
    });
    let page = projects(&bytes(&body)).unwrap();
    let project =
        |id: &str, name: Option<&str>| ListedProject { id: id.to_owned(), name: name.map(str::to_owned) };
    assert_eq!(page.entries, [project("default-project", Some("Default Project")), project("p2", None)]);
    assert_eq!((page.unreadable, page.next), (0, Ok(Some("6eb0ab".to_owned()))));
    assert_eq!(page.listed, Listed { entries: 2, total: Some(2) });
}

#[test]
fn a_list_ends_where_there_is_no_next_page_and_is_cut_where_its_cursor_is_missing() {
    assert_eq!(next(&json!({"hasNextPage": false, "count": 0})), Ok(None));
    assert_eq!(next(&json!({"hasNextPage": false, "cursor": "old", "count": 0})), Ok(None));
    assert_eq!(next(&json!({"hasNextPage": true, "count": 0})), Err(AnswerProblem::Shape));
    assert_eq!(next(&json!({"hasNextPage": true, "cursor": "", "count": 0})), Err(AnswerProblem::Shape));
    assert_eq!(next(&json!({"hasNextPage": true, "cursor": "c".repeat(9_000)})), Err(AnswerProblem::Shape));
    assert_eq!(next(&json!({"cursor": "6eb0ab"})), Ok(Some("6eb0ab".to_owned())));
    let odd = [
        json!(7),
        json!({"hasNextPage": "maybe"}),
        json!({"hasNextPage": true, "cursor": 7}),
        json!({"cursor": []}),
    ];
    for pagination in odd {
        assert_eq!(next(&pagination), Err(AnswerProblem::Shape), "{pagination}");
    }
}

#[test]
fn an_empty_list_may_be_left_out_of_a_page_but_not_the_page_itself() {
    let page = containers(&bytes(&json!({"data": {}, "pagination": {"hasNextPage": false, "count": 0}})));
    assert!(page.is_ok_and(|page| page.entries.is_empty()));
    for body in [json!({}), json!({"data": {}}), json!({"data": {"services": 7}}), json!({"data": []})] {
        assert_eq!(services(&bytes(&body)).unwrap_err(), AnswerProblem::Shape, "{body}");
    }
    let refused = json!({"error": {"status": 404, "message": "Not found"}});
    assert_eq!(services(&bytes(&refused)).unwrap_err(), AnswerProblem::Shape, "an error of status 200");
    assert_eq!(services(b"<html>").unwrap_err(), AnswerProblem::NotJson);
}

#[test]
fn the_documented_page_of_services_is_read_and_an_odd_entry_costs_itself_only() {
    let body = json!({
        "data": {"services": [
            {"id": "example-service", "appId": "/example-user/default-project/example-service",
                "projectId": "default-project", "name": "Example Service", "serviceType": "combined",
                "disabledCI": false, "disabledCD": false, "status": {
                    "build": {"status": "SUCCESS", "lastTransitionTime": "2021-11-29T11:47:16.624Z"},
                    "deployment": {"status": "COMPLETED", "reason": "DEPLOYING",
                        "lastTransitionTime": "2021-11-29T11:47:16.624Z"}}},
            {"id": "new", "serviceType": "deployment", "status": "odd"},
            {"name": "No id"},
            7,
        ]},
        "pagination": {"hasNextPage": false, "count": 4},
    });
    let page = services(&bytes(&body)).unwrap();
    let text = |text: &str| Some(text.to_owned());
    let example = ListedService {
        id: "example-service".to_owned(),
        full_id: text("/example-user/default-project/example-service"),
        kind: text("combined"),
        deployment: text("COMPLETED"),
        since: text("2021-11-29T11:47:16.624Z"),
    };
    let new = ListedService { id: "new".to_owned(), kind: text("deployment"), ..ListedService::default() };
    assert_eq!((page.entries, page.unreadable), (vec![example, new], 2));
}

#[test]
fn containers_have_a_state_and_a_time_and_those_that_ended_are_left_out() {
    let container = |name: &str, status: &str| json!({"name": name, "status": status, "createdAt": 1_611_241_087, "updatedAt": 1});
    let body = json!({
        "data": {"containers": [
            container("web-78b4d4459d-sbtn8", "TASK_RUNNING"), container("b", "TASK_STARTING"),
            container("c", "TASK_KILLED"), container("d", "TASK_FAILED"), container("e", "TASK_FINISHED"),
            {"name": "f", "status": "TASK_LOST", "createdAt": 1_611_241_087_000_u64}, {"status": "TASK_RUNNING"},
        ]},
        "pagination": {"hasNextPage": false, "count": 7},
    });
    let page = containers(&bytes(&body)).unwrap();
    let read: Vec<_> = page
        .entries
        .iter()
        .map(|one| (one.name.as_str(), one.id.as_str(), one.state, one.created_at))
        .collect();
    let at = Some(1_611_241_087.0);
    assert_eq!(
        read,
        [
            ("web-78b4d4459d-sbtn8", "web-78b4d4459d-sbtn8", Some(State::Running), at),
            ("b", "b", Some(State::Deploying), at),
            ("f", "f", Some(State::Unknown), None),
        ]
    );
    assert_eq!(page.unreadable, 1);
}

/// A service's details from its `deployment` and further fields.
fn of(fields: &Value) -> Details {
    let mut data = json!({"id": "web", "name": "Web", "serviceType": "deployment"});
    data.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    details(&bytes(&json!({"data": data}))).unwrap()
}

#[test]
fn a_service_tells_its_plan_region_image_and_how_many_containers_it_should_have() {
    let read = of(&json!({
        "billing": {"deploymentPlan": "nf-compute-20"},
        "deployment": {"region": "europe-west", "instances": 2, "external": {"imagePath": "nginx:1.27"}},
    }));
    let text = |text: &str| Some(text.to_owned());
    let expected = Details {
        plan: text("nf-compute-20"),
        region: text("europe-west"),
        desired: Some(2),
        is_paused: false,
        image: text("nginx"),
        image_tag: text("1.27"),
    };
    assert_eq!(read, expected);
    let built = of(&json!({"deployment": {"instances": 1, "internal": {"id": "builder", "branch": "main"}}}));
    assert_eq!((built.image, built.image_tag, built.plan), (None, None, None));
    assert_eq!(details(br#"{"data": {"deployment": {}}}"#), Err(AnswerProblem::Shape));
    assert_eq!(details(b"{}"), Err(AnswerProblem::Shape));
}

#[test]
fn a_service_is_paused_by_its_flag_or_by_wanting_no_containers() {
    for (fields, paused) in [
        (json!({"servicePaused": true, "deployment": {"instances": 2}}), true),
        (json!({"servicePaused": false, "deployment": {"instances": 2}}), false),
        (json!({"deployment": {"instances": 0}}), true),
        (json!({"deployment": {"instances": 1}}), false),
        (json!({"deployment": null}), false),
    ] {
        assert_eq!(of(&fields).is_paused, paused, "{fields}");
    }
}

#[test]
fn what_scales_by_itself_has_no_number_that_it_should_have() {
    let scaled = |enabled| {
        of(&json!({
            "deployment": {"instances": 2},
            "autoscaling": {"horizontal": {"enabled": enabled, "minReplicas": 1, "maxReplicas": 4}},
        }))
    };
    assert_eq!((scaled(true).desired, scaled(false).desired), (None, Some(2)));
}

#[test]
fn plans_are_limits_and_one_of_nothing_is_none() {
    let body = json!({"data": {"plans": [
        {"id": "nf-compute-20", "cpuResource": 0.2, "ramResource": 512, "amountPerHour": 0.0061},
        {"id": "odd", "cpuResource": 0, "ramResource": "many"},
        {"cpuResource": 1},
    ]}});
    let plans = plans(&bytes(&body)).unwrap();
    let limits = |cpu_cores, memory_bytes| Limits { cpu_cores, memory_bytes, disk_bytes: None };
    assert_eq!(plans.get("nf-compute-20"), Some(&limits(Some(0.2), Some(536_870_912.0))));
    assert_eq!((plans.get("odd"), plans.len()), (Some(&limits(None, None)), 2));
    assert_eq!(super::plans(br#"{"data": {}}"#), Err(AnswerProblem::Shape));
}

#[test]
fn a_page_that_takes_more_than_a_response_may_is_not_read_to_its_end() {
    let page = |key: &str, entries: usize, entry: &str| {
        format!(r#"{{"data":{{"{key}":[{}]}},"pagination":{{}}}}"#, vec![entry; entries].join(","))
    };
    let services = |entries| services(page("services", entries, r#"{"id":"a"}"#).as_bytes());
    assert_eq!(services(50_000).map(|page| page.entries.len()), Ok(50_000));
    assert_eq!(services(400_000).map(|page| page.entries.len()), Err(AnswerProblem::TooLarge));
    let container = r#"{"name":"a","status":"TASK_RUNNING"}"#;
    let containers = |entries| containers(page("containers", entries, container).as_bytes());
    assert_eq!(containers(50_000).map(|page| page.entries.len()), Ok(50_000));
    assert_eq!(containers(200_000).map(|page| page.entries.len()), Err(AnswerProblem::TooLarge));
}
