//! Projects, environments and services as the API sends them, and answers that are odd.

use serde_json::{Value, json};

use super::*;
use crate::cloud::kit::InventoryBudget;
use crate::cloud::model::State;

fn page_info(next: Option<&str>) -> Value {
    json!({"hasNextPage": next.is_some(), "endCursor": next})
}

fn connection(nodes: &[Value], next: Option<&str>) -> Value {
    let edges: Vec<Value> = nodes.iter().map(|node| json!({ "node": node })).collect();
    json!({ "edges": edges, "pageInfo": page_info(next) })
}

fn node(change: impl FnOnce(&mut Value)) -> Value {
    let mut node = json!({
        "serviceId": "s1", "serviceName": "api", "numReplicas": 2, "region": "us-west2", "cronSchedule": null,
        "source": {"image": "ghcr.io/acme/api:1.2"},
        "domains": {"serviceDomains": [{"id": "d1"}], "customDomains": []},
        "latestDeployment": {"status": "SUCCESS"},
        "activeDeployments": [{"createdAt": "2026-02-25T06:13:20.000Z", "instances": [
            {"id": "i1", "status": "RUNNING"}, {"id": "i2", "status": "RUNNING"}]}],
    });
    change(&mut node);
    node
}

fn read(nodes: &[Value], next: Option<&str>) -> Result<Page<ListedService>, AnswerProblem> {
    let data = json!({"environment": {"serviceInstances": connection(nodes, next)}});
    let filter = ServiceFilter::new(&[], &["excluded"]);
    services(&data.to_string(), "shop/production", &filter, InventoryBudget::PER_CYCLE)
}

/// The one service that is read of this node.
fn listed(change: impl FnOnce(&mut Value)) -> ListedService {
    let mut page = read(&[node(change)], None).unwrap();
    assert_eq!((page.unreadable, page.entries.len()), (0, 1));
    page.entries.remove(0)
}

#[test]
fn projects_have_their_environments_and_a_cursor_for_the_next_page() {
    let environments =
        connection(&[json!({"id": "e1", "name": "production"}), json!({"id": "e2"})], Some("c9"));
    let project = json!({"id": "p1", "name": "shop", "environments": environments});
    let data = json!({"projects": connection(&[project, json!({"id": "p2"}), json!(7)], Some("c1"))});
    let page = projects(&data.to_string(), InventoryBudget::PER_CYCLE).unwrap();
    assert_eq!((page.unreadable, page.has_next, page.cursor.as_deref()), (2, true, Some("c1")));
    let Project { id, name, environments } = &page.entries[0];
    assert_eq!((&**id, &**name, environments.cursor.as_deref()), ("p1", "shop", Some("c9")));
    let names: Vec<_> = environments.entries.iter().map(|one| (&*one.id, &*one.name)).collect();
    assert_eq!(names, [("e1", "production"), ("e2", "e2")], "what has no name is named by its id");
}

#[test]
fn a_project_token_names_its_project_and_environment() {
    let token =
        json!({"project": {"id": "p1", "name": "shop"}, "environment": {"id": "e1", "name": "production"}});
    let page = project_token(&json!({ "projectToken": token }).to_string()).unwrap();
    assert_eq!(
        (page.entries[0].id.as_str(), page.entries[0].environments.entries[0].id.as_str()),
        ("p1", "e1")
    );
    assert!(!page.has_next);
    let nameless = json!({"projectToken": {"project": {}, "environment": {"id": "e1"}}});
    assert_eq!(project_token(&nameless.to_string()), Err(AnswerProblem::Shape));
}

#[test]
fn a_service_is_read_with_the_instances_of_its_active_deployments() {
    let service = listed(|_| {});
    let facts = &service.facts;
    assert_eq!((&*facts.name, facts.id.as_deref()), ("api", Some("s1")));
    assert_eq!((facts.desired_instances, facts.running_instances), (Some(2), Some(2)));
    assert_eq!((facts.image.as_deref(), facts.image_tag.as_deref()), (Some("ghcr.io/acme/api"), Some("1.2")));
    assert_eq!((facts.region.as_deref(), facts.state), (Some("us-west2"), Some(State::Running)));
    assert_eq!(service.instances[1].created_at, Some(1_772_000_000.0));
    assert!(service.serves_http);
}

#[test]
fn fields_that_may_be_null_or_of_another_shape_cost_only_themselves() {
    let service = listed(|node| {
        for field in ["numReplicas", "region", "source", "domains", "latestDeployment"] {
            node[field] = Value::Null;
        }
    });
    assert_eq!((service.facts.desired_instances, &service.facts.image), (None, &None));
    assert_eq!((service.facts.status.as_deref(), service.facts.state), (None, Some(State::Running)));
    assert_eq!((service.facts.kind.as_deref(), service.serves_http), (Some("worker"), false));
    let service = listed(|node| {
        node["source"] = json!("ghcr.io/acme/api");
        node["domains"] = json!([1]);
        node["numReplicas"] = json!({"us-west2": 2});
    });
    assert_eq!((service.facts.desired_instances, &service.facts.image), (None, &None));
}

#[test]
fn two_deployments_run_side_by_side_while_one_replaces_the_other() {
    let service = listed(|node| {
        let older = json!({"createdAt": "odd", "instances": [{"id": "i0", "status": "REMOVING"}, {"id": "x", "status": "REMOVED"}]});
        node["activeDeployments"].as_array_mut().unwrap().push(older);
    });
    let ids: Vec<_> = service.instances.iter().map(|one| (&*one.id, one.state)).collect();
    assert_eq!(
        ids,
        [("i1", Some(State::Running)), ("i2", Some(State::Running)), ("i0", Some(State::Stopped))]
    );
    assert_eq!((service.facts.running_instances, service.instances[2].created_at), (Some(2), None));
}

#[test]
fn an_unreadable_service_costs_itself_and_an_excluded_one_nothing() {
    let nameless = node(|node| node["serviceId"] = Value::Null);
    let shapeless = node(|node| node["activeDeployments"] = json!({"instances": []}));
    let without = node(|node| {
        node.as_object_mut().unwrap().remove("activeDeployments");
    });
    let excluded = node(|node| node["serviceName"] = json!("excluded"));
    let page = read(&[node(|_| {}), nameless, shapeless, without, excluded], Some("c1")).unwrap();
    assert_eq!((page.entries.len(), page.unreadable, page.cut), (1, 3, false));
    assert_eq!((page.has_next, page.cursor.as_deref()), (true, Some("c1")));
}

#[test]
fn a_list_whose_end_cannot_be_told_is_another_shape() {
    for data in [
        json!({"environment": {"serviceInstances": {"edges": []}}}),
        json!({"environment": {"serviceInstances": {"edges": [], "pageInfo": {"hasNextPage": "no"}}}}),
        json!({"environment": {"serviceInstances": {"edges": {}, "pageInfo": page_info(None)}}}),
        json!({"environment": null}),
        json!({}),
    ] {
        let read = services(&data.to_string(), "a/b", &ServiceFilter::default(), InventoryBudget::PER_CYCLE);
        assert_eq!(read, Err(AnswerProblem::Shape), "{data}");
    }
}

#[test]
fn the_instances_of_one_service_are_read_no_further_than_a_response_may_take() {
    let page = |instances: usize| {
        let list = vec![r#"{"id":"i","status":"RUNNING"}"#; instances].join(",");
        let node =
            format!(r#"{{"node":{{"serviceId":"s1","activeDeployments":[{{"instances":[{list}]}}]}}}}"#);
        let list = format!(r#"{{"edges":[{node}],"pageInfo":{{"hasNextPage":false}}}}"#);
        let data = format!(r#"{{"environment":{{"serviceInstances":{list}}}}}"#);
        services(&data, "a/b", &ServiceFilter::default(), InventoryBudget::PER_CYCLE).unwrap()
    };
    let fits = page(50_000);
    assert_eq!((fits.entries[0].instances.len(), fits.cut), (50_000, false));
    let exceeds = page(200_000);
    assert_eq!((exceeds.entries.len(), exceeds.cut, exceeds.unreadable), (0, true, 0));
}
