//! What is read from the API's documented answers, and from others.

use serde_json::{Value, json};

use super::*;
use crate::cloud::kit::InventoryBudget;

fn page(body: &Value) -> Page<ListedService> {
    services(body.to_string().as_bytes(), &mut { InventoryBudget::PER_CYCLE }).unwrap()
}

/// A service of this id with these fields besides.
fn listed(id: &str, more: &Value) -> Value {
    let mut service = json!({"id": id, "name": "web", "type": "web_service", "serviceDetails": {}});
    service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"cursor": format!("cursor-of-{id}"), "service": service})
}

#[test]
fn the_documented_page_of_services_is_read() {
    let page =
        page(&json!([{"cursor": "opaque", "service": {"id": "srv-abc", "name": "web", "type": "web_service",
        "ownerId": "tea-1", "environmentId": "evm-1", "suspended": "not_suspended", "suspenders": [],
        "imagePath": "docker.io/acme/web:4.1", "createdAt": "2026-01-02T03:04:05Z",
        "serviceDetails": {"plan": "starter", "region": "oregon", "numInstances": 2, "runtime": "image",
            "autoscaling": {"enabled": false, "min": 1, "max": 3}}}}]));
    let text = |text: &str| Some(text.to_owned());
    let expected = ListedService {
        id: "srv-abc".to_owned(),
        name: "web".to_owned(),
        kind: Kind::WebService,
        workspace: text("tea-1"),
        environment: text("evm-1"),
        suspended: text("not_suspended"),
        plan: text("starter"),
        region: text("oregon"),
        instances: Some(2),
        image: text("docker.io/acme/web"),
        image_tag: text("4.1"),
    };
    assert_eq!(page, Page { entries: vec![expected], unreadable: 0, next: Ok(None) });
}

#[test]
fn under_autoscaling_the_number_of_instances_says_nothing() {
    let of = |details: Value| {
        page(&json!([listed("srv-a", &json!({"serviceDetails": details}))])).entries[0].instances
    };
    assert_eq!(of(json!({"numInstances": 3, "autoscaling": {"enabled": true}})), None);
    assert_eq!(of(json!({"numInstances": 3, "autoscaling": null})), Some(3));
    assert_eq!(of(json!({"numInstances": 3, "autoscaling": {"enabled": "yes"}})), Some(3));
    assert_eq!(of(json!({"schedule": "0 3 * * *"})), None, "a cron job has none");
}

#[test]
fn only_a_page_that_is_full_has_another_behind_it() {
    let of = |number: usize| {
        let list: Vec<Value> = (0..number).map(|one| listed(&format!("srv-{one}"), &json!({}))).collect();
        page(&json!(list)).next
    };
    assert_eq!(of(0), Ok(None));
    assert_eq!(of(99), Ok(None));
    assert_eq!(of(100), Ok(Some("cursor-of-srv-99".to_owned())), "the cursor of the last entry");
    for cursor in [Value::Null, json!(7), json!(["x"])] {
        let mut list = vec![listed("srv-a", &json!({})); 100];
        list[99]["cursor"] = cursor;
        assert_eq!(page(&json!(list)).next, Err(AnswerProblem::Shape), "a full page is not the last one");
    }
}

#[test]
fn what_has_no_instances_is_left_out_and_what_cannot_be_read_costs_itself() {
    let page = page(&json!([
        listed("srv-a", &json!({"type": "static_site"})),
        listed("srv-b", &json!({"type": "workflow"})),
        listed("srv-c", &json!({"name": null, "ownerId": 7, "serviceDetails": "none", "imagePath": []})),
        listed("srv-d", &json!({"type": 7})),
        listed("", &json!({})),
        {"cursor": "x"},
        {"cursor": "x", "postgres": {"id": "dpg-a"}},
        7,
    ]));
    assert_eq!((page.entries.len(), page.unreadable), (1, 4));
    assert_eq!(page.entries[0].name, "srv-c", "without a name the id");
    for body in ["{}", "null", r#"{"error": "rate limit exceeded"}"#] {
        assert_eq!(
            services(body.as_bytes(), &mut { InventoryBudget::PER_CYCLE }),
            Err(AnswerProblem::Shape),
            "{body}"
        );
    }
    assert_eq!(services(b"<html>", &mut { InventoryBudget::PER_CYCLE }), Err(AnswerProblem::NotJson));
}

#[test]
fn projects_and_environments_have_names_and_an_environment_its_project() {
    let body = json!([
        {"cursor": "a", "environment": {"id": "evm-1", "name": "production", "projectId": "prj-1", "serviceIds": ["srv-a"]}},
        {"cursor": "b", "environment": {"id": "evm-2"}},
        {"cursor": "c", "environment": {"name": "lost"}},
    ]);
    let page =
        entities(body.to_string().as_bytes(), "environment", &mut { InventoryBudget::PER_CYCLE }).unwrap();
    let entity = |id: &str, name: &str, project: Option<&str>| Entity {
        id: id.to_owned(),
        name: name.to_owned(),
        project: project.map(str::to_owned),
    };
    assert_eq!(page.entries, [entity("evm-1", "production", Some("prj-1")), entity("evm-2", "evm-2", None)]);
    assert_eq!(page.unreadable, 1);
}

#[test]
fn instances_are_listed_with_the_time_they_were_created_at() {
    let list = |body: Value| instances(body.to_string().as_bytes(), &mut InventoryBudget::PER_CYCLE.clone());
    let created = list(json!([
        {"id": "srv-abc-5f7xk", "createdAt": "2026-01-02T03:04:05Z"}, {"id": "srv-abc-2"},
    ]));
    let expected = [("srv-abc-5f7xk", Some(1_767_323_045.0)), ("srv-abc-2", None)];
    let created_at = |created: &[(&str, Option<f64>)], is_complete| {
        let created = created.iter().map(|(id, at)| ((*id).to_owned(), *at)).collect();
        Ok(ListedInstances { created, is_complete })
    };
    assert_eq!(created, created_at(&expected, true));
    assert_eq!(list(json!([])), created_at(&[], true));
    // What cannot be read costs itself, and is told.
    let broken =
        json!([{"createdAt": "2026-01-02T03:04:05Z"}, 7, {"id": "x".repeat(5_000)}, {"id": "srv-abc-2"}]);
    assert_eq!(list(broken), created_at(&[("srv-abc-2", None)], false));
    assert_eq!(list(json!({"instances": []})), Err(AnswerProblem::Shape));
}

#[test]
fn a_list_of_instances_that_exceeds_the_budget_of_an_answer_is_too_large() {
    let entries: Vec<Value> =
        (0..3_000).map(|number| json!({"id": format!("{number}{}", "x".repeat(900))})).collect();
    let body = json!(entries).to_string();
    let mut nearly_spent = InventoryBudget::PER_CYCLE;
    while nearly_spent.spend_entry::<()>(1 << 20).is_ok() {}
    assert_eq!(instances(body.as_bytes(), &mut nearly_spent), Err(AnswerProblem::TooLarge));
    assert!(instances(body.as_bytes(), &mut InventoryBudget::PER_CYCLE.clone()).is_ok());
}

#[test]
fn a_page_that_takes_more_than_a_response_may_is_not_read_to_its_end() {
    let page = |entries: usize, key: &str| {
        let entry = format!(r#"{{"cursor":"c","{key}":{{"id":"a","type":"web_service"}}}}"#);
        format!("[{}]", vec![entry; entries].join(","))
    };
    let services =
        |entries| services(page(entries, "service").as_bytes(), &mut { InventoryBudget::PER_CYCLE });
    assert_eq!(services(50_000).map(|page| page.entries.len()), Ok(50_000));
    assert_eq!(services(200_000).map(|page| page.entries.len()), Err(AnswerProblem::TooLarge));
    let owners =
        |entries| entities(page(entries, "owner").as_bytes(), "owner", &mut { InventoryBudget::PER_CYCLE });
    assert_eq!(owners(50_000).map(|page| page.entries.len()), Ok(50_000));
    assert_eq!(owners(500_000).map(|page| page.entries.len()), Err(AnswerProblem::TooLarge));
}
