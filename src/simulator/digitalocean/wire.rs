//! Apps, instances and health as the API sends them. Pure.

use serde_json::{Map, Value, json};

use super::apps::App;
use super::sizes;
use crate::simulator::faults::NameFormat;
use crate::simulator::numbers::{floor, hash, hash_text, hex};
use crate::simulator::world::{Instance, Service, Status};

/// Regions by the world's.
fn region(service: &Service) -> &'static str {
    match service.region {
        "BEIJING1" => "sgp",
        "SHANGHAI1" => "ams",
        _ => "nyc",
    }
}

/// Whether it serves HTTP; it is a worker else.
fn is_http(service: &Service) -> bool {
    service.port.is_some()
}

/// One app as an object; `project` is its project's id, where it is asked for.
pub(super) fn app(app: &App, now: f64, project: Option<String>, format: NameFormat) -> Value {
    let deployment = |phase: &str| {
        let id = hex(app.variant() ^ hash_text(phase), 32);
        json!({ "id": id, "phase": phase, "cause": "manual" })
    };
    let deploying = app.services.iter().any(|service| service.status == Status::Deploying);
    let (mut http, mut workers) = (Vec::new(), Vec::new());
    for service in &app.services {
        let list = if is_http(service) { &mut http } else { &mut workers };
        list.push(component(service, format));
    }
    let mut spec = Map::new();
    spec.insert("name".into(), format.name(&app.name).into());
    spec.insert("region".into(), app.services.first().map_or("nyc", region).into());
    let mut add = |name: &str, list: Vec<Value>| {
        // The API leaves out empty lists.
        if !list.is_empty() {
            spec.insert(name.into(), list.into());
        }
    };
    add("services", http);
    add("workers", workers);
    if has_job(app) {
        let job = json!({
            "name": format.with_bytes(0).name("migrate"), "kind": "PRE_DEPLOY", "instance_count": 1,
            "instance_size_slug": "apps-s-1vcpu-0.5gb",
            "image": { "registry_type": "DOCR", "repository": "acme/migrate", "tag": "1" },
        });
        add("jobs", vec![job]);
    }
    if app.variant().is_multiple_of(3) {
        add(
            "static_sites",
            vec![json!({ "name": "www", "github": { "repo": "acme/www", "branch": "main" } })],
        );
    }
    if app.variant().is_multiple_of(5) {
        add("functions", vec![json!({ "name": "hooks", "source_dir": "/" })]);
    }
    let mut object = Map::new();
    object.insert("id".into(), app.id.clone().into());
    object.insert("owner_uuid".into(), hex(hash_text("owner"), 32).into());
    object.insert("spec".into(), spec.into());
    object.insert("default_ingress".into(), format!("https://{}.apps.example", app.name).into());
    object.insert(
        "created_at".into(),
        app.services.first().map_or_else(String::new, |one| time(one.created_at)).into(),
    );
    object.insert("updated_at".into(), time(now).into());
    object.insert("active_deployment".into(), deployment("ACTIVE"));
    if deploying {
        object.insert("in_progress_deployment".into(), deployment("DEPLOYING"));
    }
    object.insert(
        "region".into(),
        json!({ "slug": app.services.first().map_or("nyc", region), "label": "A region", "data_centers": [] }),
    );
    object.insert("tier_slug".into(), "basic".into());
    if let Some(project) = project {
        object.insert("project_id".into(), project.into());
    }
    object.into()
}

/// The id of an app's project: one of two.
pub(super) fn project(app: &App) -> String {
    hex(hash(&[app.variant() % 2, 77]), 32)
}

fn has_job(app: &App) -> bool {
    app.variant().is_multiple_of(2)
}

fn component(service: &Service, format: NameFormat) -> Value {
    let variant = hash_text(&service.uuid);
    let mut object = Map::new();
    object.insert("name".into(), format.with_bytes(0).name(&service.name).into());
    if service.scales {
        let (least, most) = (service.target.min(1), service.target * 2);
        let bounds = json!({
            "min_instance_count": least, "max_instance_count": most, "metrics": { "cpu": { "percent": 80 } },
        });
        object.insert("autoscaling".into(), bounds);
    } else {
        object.insert("instance_count".into(), service.target.into());
    }
    let (slug, ..) = sizes::of(service);
    match variant % 16 {
        // A slug of former years, which the list of sizes does not have.
        3 => object.insert("instance_size_slug".into(), "professional-xs".into()),
        // The default may be left out.
        number if slug == "apps-s-1vcpu-0.5gb" && number % 2 == 0 => None,
        _ => object.insert("instance_size_slug".into(), slug.into()),
    };
    let repository = format!("{}/{}", service.namespace, service.name);
    if variant.is_multiple_of(7) {
        object.insert("github".into(), json!({ "repo": repository, "branch": "main" }));
    } else {
        let image = json!({ "registry_type": "DOCR", "repository": repository, "tag": service.image_tag });
        object.insert("image".into(), image);
    }
    if is_http(service) {
        object.insert("http_port".into(), service.port.into());
    }
    object.into()
}

/// The name of an instance, unique for its life.
fn instance_name(component: &str, instance: &Instance) -> String {
    let digits = hex(hash_text(&instance.uuid), 15);
    format!("{component}-{}-{}", &digits[..10], &digits[10..])
}

/// The name that metrics carry, which the next instance takes over.
pub(super) fn alias(service: &Service, instance: &Instance) -> String {
    let number = instance.name.rsplit_once('.').map_or("0", |(_, number)| number);
    format!("{}-{number}", service.name)
}

/// The instances of an app.
pub(super) fn instances(app: &App, format: NameFormat) -> Value {
    let mut list: Vec<Value> = Vec::new();
    for service in &app.services {
        let kind = if is_http(service) { "SERVICE" } else { "WORKER" };
        for instance in service.instances() {
            // One of them is huge at most.
            let format = if list.is_empty() { format } else { format.with_bytes(0) };
            list.push(json!({
                "component_name": format.with_bytes(0).name(&service.name),
                "component_type": kind,
                "instance_name": instance_name(&service.name, &instance),
                "instance_alias": if format.is_longer() { format.name(&alias(service, &instance)) } else { alias(service, &instance) },
            }));
        }
    }
    // A job before a deployment has an instance while that deployment runs.
    if has_job(app) && app.services.iter().any(|service| service.status == Status::Deploying) {
        list.push(json!({
            "component_name": format.with_bytes(0).name("migrate"),
            "component_type": "JOB",
            "instance_name": format!("migrate-{}", hex(app.variant(), 5)),
            "instance_alias": "migrate-0",
        }));
    }
    json!({ "instances": list })
}

/// The health of an app's components.
pub(super) fn health(app: &App, now: f64, format: NameFormat) -> Value {
    let component = |service: &Service| {
        let instances: Vec<Instance> = service.instances().collect();
        let mean = |value: &dyn Fn(&Instance) -> f64| {
            instances.iter().map(value).sum::<f64>() / (instances.len() as f64).max(1.0)
        };
        let at = floor(now);
        let cpu = mean(&|instance| instance.cores_in_use(now) / instance.size.cores * 100.0);
        let memory = mean(&|instance| instance.point(at).map_or(0.0, |point| point.memory_percent));
        json!({
            "name": format.with_bytes(0).name(&service.name),
            "state": if service.started == service.target { "HEALTHY" } else { "UNHEALTHY" },
            "replicas_desired": service.target,
            "replicas_ready": service.started,
            "cpu_usage_percent": cpu,
            "memory_usage_percent": memory,
        })
    };
    let components: Vec<Value> = app.services.iter().map(component).collect();
    json!({ "app_health": { "components": components } })
}

/// A time as the API writes it; empty if it is out of the calendar's range.
fn time(seconds: f64) -> String {
    jiff::Timestamp::from_second(floor(seconds)).map(|time| time.to_string()).unwrap_or_default()
}

/// An answer of the documented shape whose values have other types.
pub(super) fn wrong(operation: &str) -> Value {
    match operation {
        "apps" => json!({ "apps": { "id": 5 }, "links": [], "meta": "many" }),
        "instances" => json!({ "instances": "none" }),
        "health" => json!({ "app_health": [1] }),
        "sizes" => json!({ "instance_sizes": 17 }),
        _ => json!({ "status": 200, "data": { "resultType": 1, "result": { "0": "now" } } }),
    }
}

/// An answer of the documented shape with `nested` in place of its values.
pub(super) fn nested(operation: &str, nested: &str) -> String {
    match operation {
        "apps" => format!(r#"{{"apps":{nested},"links":{{}},"meta":{{"total":1}}}}"#),
        "instances" => format!(r#"{{"instances":{nested}}}"#),
        "health" => format!(r#"{{"app_health":{{"components":{nested}}}}}"#),
        "sizes" => format!(r#"{{"instance_sizes":{nested}}}"#),
        _ => format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":{nested}}}}}"#),
    }
}
