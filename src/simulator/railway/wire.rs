//! Projects, environments, services and deployments as objects with all fields that are simulated. Pure.

use serde_json::{Value, json};

use super::graphql::list;
use super::options::{Railway, ReplicaCount};
use super::projects::{self, Environment, Kind, Project};
use crate::simulator::faults::{ContentFaults, NameFormat};
use crate::simulator::numbers::{floor, hash, hash_text};
use crate::simulator::world::{Instance, Service, Status};

/// Seconds that an instance is created, and then starting.
const CREATED: f64 = 2.0;
const STARTING: f64 = 5.0;

/// The projects of an account.
pub(super) fn projects(projects: &[Project], faults: ContentFaults) -> Value {
    let node = |(nth, project): (usize, &Project)| {
        json!({
            "id": project.id,
            "name": faults.names_of(nth).name(&project.name),
            "environments": environments(project),
        })
    };
    list(projects.iter().enumerate().map(node))
}

/// The environments of a project.
pub(super) fn environments(project: &Project) -> Value {
    list(project.environments().iter().map(named))
}

/// What a project token says of itself.
pub(super) fn project_token(environment: &Environment) -> Value {
    json!({
        "id": projects::uuid(&[hash_text(&environment.id), 83]),
        "name": "operator",
        "projectId": environment.project.id,
        "environmentId": environment.id,
        "project": { "id": environment.project.id, "name": environment.project.name },
        "environment": named(environment),
    })
}

fn named(environment: &Environment) -> Value {
    json!({
        "id": environment.id,
        "name": environment.name,
        "projectId": environment.project.id,
        "isEphemeral": environment.kind == Kind::Preview,
    })
}

/// An environment with its services.
pub(super) fn environment(
    environment: &Environment,
    services: &[Service],
    options: &Railway,
    now: f64,
    faults: ContentFaults,
) -> Value {
    let node = |(nth, one): (usize, &Service)| service(environment, one, options, now, faults.names_of(nth));
    let mut object = named(environment);
    object["serviceInstances"] = list(services.iter().enumerate().map(node));
    object
}

fn service(
    environment: &Environment,
    service: &Service,
    options: &Railway,
    now: f64,
    format: NameFormat,
) -> Value {
    let variant = hash_text(&service.uuid);
    let id = |n: u64| projects::uuid(&[variant, hash_text(&environment.id), n]);
    let replicas = environment.replicas(service);
    let counted = match options.replicas {
        ReplicaCount::EachRegion if in_two_regions(service) => replicas.div_ceil(2),
        ReplicaCount::EachRegion | ReplicaCount::AllRegions => replicas,
    };
    let instances = environment.instances(service);
    let listed: Vec<Value> = instances.iter().map(|one| instance(one, now)).collect();
    let sleeps = service.status == Status::Stopped && variant.is_multiple_of(2);
    let status = match service.status {
        Status::Running => "SUCCESS",
        Status::Deploying => "DEPLOYING",
        Status::Stopped if sleeps => "SLEEPING",
        Status::Stopped => "REMOVED",
    };
    let created = instances.first().map_or(service.created_at, |one| one.created_at);
    let deployment = |id: String, status: &str, created: f64, instances: Vec<Value>| {
        json!({
            "id": id,
            "status": status,
            "createdAt": time(created),
            "deploymentStopped": instances.is_empty(),
            "instances": instances,
        })
    };
    let running = || {
        let mut instances = listed.clone();
        if variant.is_multiple_of(3) {
            // One that ended is listed for a while.
            instances.push(json!({ "id": id(90), "status": "REMOVED" }));
        }
        deployment(id(91), status, created, instances)
    };
    let newest = if variant % 7 == 3 && service.status == Status::Running {
        // The one before still runs.
        deployment(id(92), "FAILED", created + 3600.0, Vec::new())
    } else if listed.is_empty() {
        deployment(id(91), status, created, Vec::new())
    } else {
        running()
    };
    let active: Vec<Value> = if listed.is_empty() { Vec::new() } else { vec![running()] };
    let source = if variant.is_multiple_of(5) {
        json!({ "image": null, "repo": format!("{}/{}", service.namespace, service.name) })
    } else {
        let image = format!("ghcr.io/{}/{}:{}", service.namespace, service.name, service.image_tag);
        json!({ "image": image, "repo": null })
    };
    let domain = |name: &str| json!([{ "id": id(93), "domain": format!("{}.{name}", service.name) }]);
    json!({
        "id": id(94),
        "serviceId": service.uuid,
        "serviceName": format.name(&service.name),
        "environmentId": environment.id,
        // The default of one replica is not written.
        "numReplicas": if replicas == 1 && variant.is_multiple_of(2) { Value::Null } else { counted.into() },
        "region": region(service, 0),
        "sleepApplication": sleeps,
        "cronSchedule": if service.port.is_none() && variant % 4 == 1 { "*/10 * * * *".into() } else { Value::Null },
        "source": source,
        "domains": {
            "serviceDomains": if service.port.is_some() { domain("up.railway.example") } else { json!([]) },
            "customDomains": [],
        },
        "latestDeployment": if options.partial { Value::Null } else { newest },
        "activeDeployments": active,
    })
}

fn instance(instance: &Instance, now: f64) -> Value {
    let started_at = instance.started_at(now);
    let status = match now - started_at {
        age if age >= STARTING => "RUNNING",
        _ if started_at > instance.created_at => "RESTARTING",
        age if age < CREATED => "CREATED",
        _ => "INITIALIZING",
    };
    json!({ "id": instance.uuid, "status": status })
}

/// Whether a service runs in two regions: its instances alternate.
pub(super) fn in_two_regions(service: &Service) -> bool {
    hash(&[hash_text(&service.uuid), 95]).is_multiple_of(4)
}

/// The region of an instance with this number.
pub(super) fn region(service: &Service, number: usize) -> &'static str {
    const REGIONS: [&str; 3] = ["us-west2", "europe-west4-drams3a", "asia-southeast1-eqsg3a"];
    let first = match service.region {
        "BEIJING1" => 2,
        "SHANGHAI1" => 1,
        _ => 0,
    };
    let further = if in_two_regions(service) { number % 2 } else { 0 };
    REGIONS[(first + further) % REGIONS.len()]
}

/// A time as the API writes it; empty if it is out of the calendar's range.
fn time(seconds: f64) -> String {
    jiff::Timestamp::from_millisecond(floor(seconds * 1000.0))
        .map(|time| time.to_string())
        .unwrap_or_default()
}

/// An answer of the documented shape whose values have other types.
pub(super) fn wrong(operation: &str) -> Value {
    json!({ "data": match operation {
        "projects" => json!({ "projects": [7], "projectToken": 5 }),
        "environment" => json!({ "environment": { "serviceInstances": { "edges": "none", "pageInfo": [] } } }),
        "metrics" => json!({ "metrics": { "measurement": 3 } }),
        _ => json!({ "r0": "none", "d0": [1] }),
    } })
}

/// An answer of the documented shape with `nested` in place of its values.
pub(super) fn nested(operation: &str, nested: &str) -> String {
    let page = r#""pageInfo":{"hasNextPage":false,"endCursor":null}"#;
    let data = match operation {
        "projects" => format!(r#""projects":{{"edges":{nested},{page}}}"#),
        "environment" => format!(r#""environment":{{"serviceInstances":{{"edges":{nested},{page}}}}}"#),
        "metrics" => format!(r#""metrics":{nested}"#),
        _ => format!(r#""r0":{nested},"d0":{nested}"#),
    };
    format!(r#"{{"data":{{{data}}}}}"#)
}
