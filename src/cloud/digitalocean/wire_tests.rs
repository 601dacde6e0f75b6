//! What is read from the API's documented answers, and from others.

use serde_json::{Value, json};

use super::*;

fn page(body: &Value) -> Page {
    apps(body.to_string().as_bytes()).unwrap()
}

#[test]
fn the_documented_page_of_apps_is_read() {
    let page = page(&json!({
        "apps": [{"id": "4f6c", "region": {"slug": "ams"}, "project_id": "88b7", "tier_slug": "basic",
            "active_deployment": {"id": "1", "phase": "ACTIVE"}, "in_progress_deployment": null,
            "spec": {"name": "shop",
                "services": [{"name": "api", "instance_count": 2, "instance_size_slug": "apps-s-1vcpu-1gb",
                    "image": {"registry_type": "DOCR", "repository": "acme/api", "tag": "4.1"}}],
                "workers": [{"name": "mailer", "autoscaling": {"min_instance_count": 1, "max_instance_count": 4},
                    "github": {"repo": "acme/mailer"}}],
                "jobs": [{"name": "migrate", "kind": "PRE_DEPLOY", "image": {"repository": "acme/api", "digest": "sha256:0"}}],
                "static_sites": [{"name": "www"}], "functions": [{"name": "hook"}]}}],
        "links": {"pages": {"next": "https://api.digitalocean.com/v2/apps?page=2", "last": "https://x"}},
        "meta": {"total": 41},
    }));
    assert_eq!(
        (page.unreadable, page.next),
        (0, Ok(Some("https://api.digitalocean.com/v2/apps?page=2".to_owned())))
    );
    assert_eq!(page.listed, Listed { entries: 1, total: Some(41) });
    let component = |name: &str, kind, instance_count, size: &str, image: Option<(&str, &str)>| Component {
        name: name.to_owned(),
        kind,
        instance_count,
        size: size.to_owned(),
        image: image.map(|(image, _)| image.to_owned()),
        image_tag: image.map(|(_, tag)| tag.to_owned()),
    };
    let expected = App {
        id: "4f6c".to_owned(),
        name: "shop".to_owned(),
        project: Some("88b7".to_owned()),
        region: Some("ams".to_owned()),
        active: Some("ACTIVE".to_owned()),
        in_progress: None,
        components: vec![
            component("api", Kind::Service, Some(2), "apps-s-1vcpu-1gb", Some(("acme/api", "4.1"))),
            component("mailer", Kind::Worker, None, DEFAULT_SIZE, None),
            component("migrate", Kind::Job, None, DEFAULT_SIZE, Some(("acme/api", "sha256:0"))),
        ],
    };
    assert_eq!(page.apps, [expected]);
}

#[test]
fn the_last_page_has_no_next_and_an_empty_list_may_be_missing() {
    for body in [
        json!({"apps": [], "links": {}, "meta": {"total": 0}}),
        json!({"links": {"pages": {"first": "https://x"}}, "meta": {"total": 0}}),
        json!({"apps": null, "meta": {"total": 0}}),
    ] {
        let page = page(&body);
        assert_eq!((page.apps.len(), page.next), (0, Ok(None)), "{body}");
    }
    for links in
        [json!(7), json!({"pages": "x"}), json!({"pages": {"next": 2}}), json!({"pages": {"next": {}}})]
    {
        let page = page(&json!({"apps": [], "links": links}));
        assert_eq!(page.next, Err(AnswerProblem::Shape), "not the last page: {links}");
    }
    assert_eq!(apps(b"{}").unwrap_err(), AnswerProblem::Shape);
    assert_eq!(apps(br#"{"apps": 7}"#).unwrap_err(), AnswerProblem::Shape);
}

#[test]
fn an_app_that_cannot_be_read_costs_itself_only() {
    let page = page(&json!({"apps": [
        {"spec": {"name": "no-id"}},
        {"id": "1"},
        {"id": "2", "spec": {"name": "odd", "services": {"name": "api"}}},
        {"id": "3", "spec": {"name": "nameless", "workers": [{}]}},
        {"id": "4", "region": "ams", "active_deployment": 7, "spec": {"services": [{"name": "api", "image": "x"}]}},
        7,
    ]}));
    assert_eq!(page.unreadable, 5);
    assert_eq!((page.apps[0].name.as_str(), page.apps[0].components.len()), ("4", 1), "the id is its name");
}

#[test]
fn instances_have_a_name_and_the_alias_that_metrics_carry() {
    let list = |body: &Value| {
        let mut list = Vec::new();
        instances(body.to_string().as_bytes(), |instance| {
            list.push(instance);
            Ok(())
        })
        .map(|()| list)
    };
    let listed = |component: &str, name: &str, alias: &str| ListedInstance {
        component: component.to_owned(),
        name: name.to_owned(),
        alias: alias.to_owned(),
    };
    let body = json!({"instances": [
        {"component_name": "api", "component_type": "SERVICE", "instance_name": "api-76b84c7fb8-6p8kq",
            "instance_alias": "api-0"},
        {"component_name": "api", "instance_alias": "api-1"},
        {"component_name": "api", "instance_name": "api-76b84c7fb8-xxxxx"},
    ]});
    assert_eq!(
        list(&body).unwrap(),
        [
            listed("api", "api-76b84c7fb8-6p8kq", "api-0"),
            listed("api", "api-1", "api-1"),
            listed("api", "api-76b84c7fb8-xxxxx", "api-76b84c7fb8-xxxxx"),
        ]
    );
    assert_eq!(list(&json!({})).unwrap(), [], "no instances");
    assert_eq!(list(&json!({"instances": [{"component_name": "api"}]})), Err(AnswerProblem::Shape));
    assert_eq!(list(&json!({"instances": [{"instance_name": "api-0"}]})), Err(AnswerProblem::Shape));
}

#[test]
fn health_is_read_as_it_stands_even_where_more_are_ready_than_desired() {
    let body = json!({"app_health": {"components": [
        {"name": "api", "cpu_usage_percent": 30, "memory_usage_percent": 25, "replicas_desired": 1,
            "replicas_ready": 2, "state": "HEALTHY"},
        {"name": "mailer", "replicas_desired": "3", "state": "UNHEALTHY"},
        {"name": "new", "state": "UNKNOWN"},
        {"state": "HEALTHY"},
    ], "functions_components": []}});
    let health = health(body.to_string().as_bytes()).unwrap();
    let of = |is_healthy, desired, ready| Some(ComponentHealth { is_healthy, desired, ready });
    assert_eq!(health.get("api").copied(), of(Some(true), Some(1), Some(2)));
    assert_eq!(health.get("mailer").copied(), of(Some(false), Some(3), None));
    assert_eq!(health.get("new").copied(), of(None, None, None));
    assert_eq!(health.len(), 3);
}

#[test]
fn sizes_are_strings_and_one_of_nothing_is_no_limit() {
    let body = json!({"instance_sizes": [
        {"slug": "apps-s-1vcpu-1gb", "cpus": "1", "memory_bytes": "1073741824", "cpu_type": "SHARED"},
        {"slug": "apps-odd", "cpus": "0", "memory_bytes": "many"},
        {"cpus": "1"},
    ]});
    let sizes = sizes(body.to_string().as_bytes()).unwrap();
    let limits = |cpu_cores, memory_bytes| Limits { cpu_cores, memory_bytes, disk_bytes: None };
    assert_eq!(sizes.get("apps-s-1vcpu-1gb"), Some(&limits(Some(1.0), Some(1_073_741_824.0))));
    assert_eq!(sizes.get("apps-odd"), Some(&limits(None, None)));
    assert_eq!(sizes.len(), 2);
}

#[test]
fn components_that_take_more_than_a_response_may_are_not_read_to_their_end() {
    let page = |components: usize| {
        let components = vec![r#"{"name":"a"}"#; components].join(",");
        apps(format!(r#"{{"apps":[{{"id":"1","spec":{{"services":[{components}]}}}}]}}"#).as_bytes())
    };
    assert_eq!(page(100_000).map(|page| page.components()), Ok(100_000));
    assert_eq!(page(600_000).map(|page| page.components()), Err(AnswerProblem::TooLarge));
}
