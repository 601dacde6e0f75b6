//! Projects, services and containers as the API sends them. Pure.

use serde_json::{Value, json};

use super::options::Northflank;
use super::plans;
use super::projects::{self, BUILDER};
use crate::simulator::faults::{ContentFaults, NameFormat};
use crate::simulator::numbers::{floor, hash_text, hex};
use crate::simulator::world::{Instance, Service, Status, World};

/// Seconds that a container takes to start.
const STARTING: f64 = 10.0;

/// The last change of a service is looked for in so many of its containers at most.
const MOST_LOOKED_AT: usize = 200;

/// The longest time that ended containers are listed, in seconds.
const LONGEST_ENDED: f64 = 3600.0;
/// Ended containers are looked for at times that are so many seconds apart.
const ENDED_STEP: usize = 15;

/// An id without what an unusual name adds to it.
pub(super) fn usual(id: &str) -> &str {
    id.split('\n').next().unwrap_or(id)
}

/// Regions by the world's.
fn region(service: &Service) -> &'static str {
    match service.region {
        "BEIJING1" => "asia-east",
        "SHANGHAI1" => "europe-west",
        _ => "us-central",
    }
}

/// One project as an object.
pub(super) fn project(id: &str) -> Value {
    json!({
        "id": id,
        "uid": hex(hash_text(id), 24),
        "name": projects::title(id),
        "description": "A simulated project",
        "lifecycleStatus": "created",
    })
}

/// Team, project and service as one identifier.
fn app_id(team: &str, project: &str, service: &str) -> String {
    format!("/{team}/{project}/{service}")
}

/// What builds and runs nothing, as the list of a project has it.
pub(super) fn builder(world: &World, project: &str) -> Value {
    json!({
        "id": BUILDER,
        "appId": app_id(&world.settings().namespace, project, BUILDER),
        "uid": hex(hash_text(project), 24),
        "projectId": project,
        "name": projects::title(BUILDER),
        "tags": [],
        "serviceType": "build",
        "disabledCI": false,
        "disabledCD": false,
        "status": { "build": { "status": "SUCCESS", "lastTransitionTime": "2025-01-02T03:04:05.678Z" } },
    })
}

/// What a list of services says of one.
pub(super) fn service(project: &str, service: &Service, format: NameFormat) -> Value {
    let id = format.name(&service.name);
    json!({
        "id": id,
        "appId": app_id(&service.namespace, project, &id),
        "uid": hex(hash_text(&service.uuid), 24),
        "projectId": project,
        "name": projects::title(&service.name),
        "tags": [],
        "description": "",
        "serviceType": if is_combined(service) { "combined" } else { "deployment" },
        "disabledCI": false,
        "disabledCD": service.scales,
        "status": status(service),
    })
}

/// A combined service builds what it runs; a deployment runs an image.
fn is_combined(service: &Service) -> bool {
    projects::variant(service).is_multiple_of(3)
}

/// Whether its last deployment failed, while the containers of the one before go on.
pub(super) fn has_failed(service: &Service) -> bool {
    service.status == Status::Running && projects::variant(service) % 16 == 5
}

fn status(service: &Service) -> Value {
    let (word, reason) = match service.status {
        Status::Deploying if service.started == 0 => ("PENDING", "DEPLOYING"),
        Status::Deploying => ("IN_PROGRESS", "DEPLOYING"),
        Status::Running if has_failed(service) => ("FAILED", "DEPLOYING"),
        Status::Running if service.scales => ("COMPLETED", "SCALING"),
        Status::Running => ("COMPLETED", "DEPLOYING"),
        Status::Stopped => ("COMPLETED", "SCALING"),
    };
    // Whatever changes a service starts containers, or ends all of them.
    let started = service.instances().take(MOST_LOOKED_AT).map(|instance| instance.created_at);
    let since = started.fold(service.created_at, f64::max);
    let deployment = json!({ "status": word, "reason": reason, "lastTransitionTime": time(since) });
    if is_combined(service) {
        json!({
            "build": { "status": "SUCCESS", "lastTransitionTime": time(service.created_at) },
            "deployment": deployment,
        })
    } else {
        json!({ "deployment": deployment })
    }
}

/// What a request for a service says of it.
pub(super) fn details(project: &str, one: &Service, options: &Northflank) -> Value {
    let is_paused = one.status == Status::Stopped;
    let mut deployment = json!({
        "region": region(one),
        "instances": if is_paused { 0 } else { one.target },
        "type": "deployment",
        "storage": { "ephemeralStorage": { "storageSize": 1024 } },
    });
    let repository = format!("{}/{}", one.namespace, one.name);
    if !is_combined(one) {
        if projects::variant(one).is_multiple_of(7) {
            deployment["internal"] = json!({ "id": BUILDER, "branch": "main", "buildSHA": "latest" });
        } else {
            deployment["external"] = json!({ "imagePath": format!("{repository}:{}", one.image_tag) });
        }
    }
    let mut object = service(project, one, NameFormat::default());
    object["cluster"] = json!({ "id": "nf-europe-west", "name": "nf-europe-west", "loadBalancers": [] });
    object["createdAt"] = time(one.created_at).into();
    object["billing"] = json!({ "deploymentPlan": plans::of(one).id });
    object["deployment"] = deployment;
    object["ports"] = one.port.map_or_else(
        || json!([]),
        |port| json!([{ "name": "p01", "internalPort": port, "public": true, "protocol": "HTTP" }]),
    );
    if is_combined(one) {
        object["buildSettings"] = build_settings();
        object["vcsData"] = json!({
            "projectUrl": format!("https://git.example/{repository}"), "projectType": "github", "projectBranch": "main",
            "dockerWorkDir": "/", "dockerFilePath": "/Dockerfile",
        });
    }
    if one.scales {
        object["autoscaling"] = json!({ "horizontal": {
            "enabled": true, "minReplicas": one.target.min(1), "maxReplicas": one.target * 2,
            "cpu": { "enabled": true, "thresholdPercentage": 80 },
        } });
    }
    if !options.no_pause_flag {
        object["servicePaused"] = is_paused.into();
    }
    object
}

fn build_settings() -> Value {
    json!({ "dockerfile": { "dockerFilePath": "/Dockerfile", "dockerWorkDir": "/" } })
}

/// What a request for the service that builds says of it.
pub(super) fn builder_details(world: &World, project: &str) -> Value {
    let mut object = builder(world, project);
    object["billing"] = json!({ "buildPlan": "nf-compute-400-16" });
    object["buildSettings"] = build_settings();
    object["cluster"] = json!({ "id": "nf-europe-west", "name": "nf-europe-west", "loadBalancers": [] });
    object
}

/// The name of a container: that of its service, and two parts of its own.
pub(super) fn container_name(service: &str, instance: &Instance) -> String {
    let digits = hex(hash_text(&instance.uuid), 15);
    format!("{service}-{}-{}", &digits[..10], &digits[10..])
}

/// The containers of a service: those that run or start, and those that ended not long ago where the options want them.
pub(super) fn containers(
    world: &World,
    project: &str,
    service: &Service,
    options: &Northflank,
    now: f64,
    faults: ContentFaults,
) -> Vec<Value> {
    let mut list: Vec<Value> = Vec::new();
    let mut names = std::collections::HashSet::new();
    for instance in service.instances() {
        let status = if now < instance.created_at + STARTING { "TASK_STARTING" } else { "TASK_RUNNING" };
        names.insert(container_name(&service.name, &instance));
        let format = faults.names_of(list.len());
        list.push(container(&service.name, &instance, status, instance.started_at(now), format));
    }
    let age = options.ended_containers.as_secs_f64().min(LONGEST_ENDED);
    for step in (0..).map(|step| step * ENDED_STEP).skip(1).take_while(|step| *step as f64 <= age) {
        let then = now - step as f64;
        let Some(before) = projects::service(world, project, &service.name, then) else { continue };
        for instance in before.instances() {
            if names.insert(container_name(&service.name, &instance)) {
                let status = if projects::variant(service).is_multiple_of(2) {
                    "TASK_KILLED"
                } else {
                    "TASK_FINISHED"
                };
                list.push(container(&service.name, &instance, status, then, NameFormat::default()));
            }
        }
    }
    list
}

fn container(service: &str, instance: &Instance, status: &str, updated_at: f64, format: NameFormat) -> Value {
    json!({
        "name": format.name(&container_name(service, instance)),
        "status": status,
        "createdAt": floor(instance.created_at),
        "updatedAt": floor(updated_at),
        "ipAddresses": [],
    })
}

/// A time as the API writes it; empty if it is out of the calendar's range.
pub(super) fn time(seconds: f64) -> String {
    let milliseconds = floor(seconds * 1000.0);
    jiff::Timestamp::from_millisecond(milliseconds)
        .map(|time| time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
        .unwrap_or_default()
}

/// An answer of the documented shape whose values have other types.
pub(super) fn wrong(operation: &str) -> Value {
    match operation {
        "projects" | "services" | "containers" => {
            json!({ "data": { operation: { "id": 5 } }, "pagination": { "hasNextPage": "maybe", "count": [] } })
        }
        "plans" => json!({ "data": { "plans": 17 } }),
        "metrics" => json!({ "data": { "cpu": { "metricInfo": "vCPU", "values": "none" }, "memory": 7 } }),
        _ => json!({ "data": ["none"] }),
    }
}

/// An answer of the documented shape with `nested` in place of its values.
pub(super) fn nested(operation: &str, nested: &str) -> String {
    match operation {
        "projects" | "services" | "containers" | "plans" => {
            format!(r#"{{"data":{{"{operation}":{nested}}},"pagination":{{"hasNextPage":false,"count":1}}}}"#)
        }
        "metrics" => format!(r#"{{"data":{{"cpu":{{"values":{nested}}}}}}}"#),
        _ => format!(r#"{{"data":{{"id":"x","deployment":{nested}}}}}"#),
    }
}
