//! Services, instances, projects, environments and workspaces as the API sends them. Pure.

use serde_json::{Map, Value, json};

use super::inventory::{self, Environment, Kind};
use super::plans;
use crate::simulator::faults::NameFormat;
use crate::simulator::numbers::{floor, hash_text, hex};
use crate::simulator::world::{Service, Status, World};

/// An entry of the list of services.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// A service of the world.
    Service(Service),
    /// The preview of a pull request for a service: without load, so without metrics.
    Preview(Service),
    /// A static site, which has no instances.
    StaticSite,
}

impl Entry {
    /// Its type.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Service(service) => inventory::kind(service),
            Self::Preview(_) => Kind::Web,
            Self::StaticSite => Kind::Static,
        }
    }

    /// Whether it is suspended.
    pub(super) fn is_suspended(&self) -> bool {
        matches!(self, Self::Service(service) if service.status == Status::Stopped)
    }

    /// The id of its workspace.
    pub(super) fn workspace(&self, world: &World) -> String {
        match self {
            Self::Service(service) | Self::Preview(service) => {
                inventory::workspace(world, service.application.is_some())
            }
            Self::StaticSite => inventory::workspace(world, false),
        }
    }

    /// Its id.
    pub(super) fn id(&self, world: &World) -> String {
        match self {
            Self::Service(service) => inventory::service_id(service),
            Self::Preview(service) => {
                format!("srv-{}", hex(hash_text(&format!("preview of {}", service.uuid)), 20))
            }
            Self::StaticSite => inventory::id(world, "srv", "docs"),
        }
    }

    /// It as an object.
    pub(super) fn object(&self, world: &World, now: f64, format: NameFormat) -> Value {
        let id = self.id(world);
        match self {
            Self::Service(service) => {
                object(world, self, &id, &format.name(&service.name), Some(service), now)
            }
            Self::Preview(service) => {
                let name = format.name(&format!("{} PR #12", service.name));
                let mut preview = object(world, self, &id, &name, Some(service), now);
                let parent = json!({ "id": inventory::service_id(service), "name": service.name });
                preview["serviceDetails"]["parentServer"] = parent;
                preview
            }
            Self::StaticSite => object(world, self, &id, &format.name("docs"), None, now),
        }
    }
}

fn object(world: &World, entry: &Entry, id: &str, name: &str, service: Option<&Service>, now: f64) -> Value {
    let created_at = service.map_or(now, |service| service.created_at);
    let slug = id.trim_start_matches("srv-");
    let suspended = entry.is_suspended();
    let mut object = json!({
        "id": id,
        "name": name,
        "type": entry.kind().word(),
        "ownerId": entry.workspace(world),
        "autoDeploy": "yes",
        "autoDeployTrigger": "commit",
        "createdAt": time(created_at),
        "updatedAt": time(created_at),
        "dashboardUrl": format!("https://dashboard.example/{id}"),
        "notifyOnFail": "default",
        "rootDir": "",
        "slug": slug,
        "suspended": if suspended { "suspended" } else { "not_suspended" },
        "suspenders": if suspended { json!(["user"]) } else { json!([]) },
        "serviceDetails": details(entry.kind(), slug, service),
    });
    if let Some(application) = service.and_then(|service| service.application.as_deref()) {
        let environment = inventory::environment(application);
        object["environmentId"] = inventory::environment_id(world, &environment).into();
    }
    let repository = |service: &Service| format!("{}/{}", service.namespace, service.name);
    match service {
        Some(service) if is_image(service) => {
            object["imagePath"] = format!("docker.io/{}:{}", repository(service), service.image_tag).into();
        }
        Some(service) => {
            object["repo"] = format!("https://git.example/{}", repository(service)).into();
            object["branch"] = "main".into();
        }
        None => object["repo"] = "https://git.example/docs".into(),
    }
    object
}

/// Whether it is made from an image; it is built from a repository else.
fn is_image(service: &Service) -> bool {
    !hash_text(&service.uuid).is_multiple_of(5)
}

fn region(service: &Service) -> &'static str {
    match service.region {
        "BEIJING1" => "singapore",
        "SHANGHAI1" => "frankfurt",
        _ => "oregon",
    }
}

fn details(kind: Kind, slug: &str, service: Option<&Service>) -> Value {
    let Some(service) = service else {
        return json!({
            "buildCommand": "make", "publishPath": "public", "url": format!("https://{slug}.sites.example"),
            "buildPlan": "starter",
        });
    };
    let runtime = if is_image(service) { "image" } else { "docker" };
    let mut details = Map::new();
    let mut add = |name: &str, value: Value| {
        details.insert(name.to_owned(), value);
    };
    add("plan", plans::of(service).into());
    add("region", region(service).into());
    add("runtime", runtime.into());
    add("env", runtime.into());
    add("buildPlan", "starter".into());
    add(
        "envSpecificDetails",
        json!({ "dockerCommand": "", "dockerContext": ".", "dockerfilePath": "./Dockerfile" }),
    );
    if kind == Kind::Cron {
        add("schedule", "0 * * * *".into());
        return details.into();
    }
    // Under autoscaling the number is the one from before, which means nothing.
    add("numInstances", if service.scales { 1.into() } else { service.target.into() });
    let criteria = json!({ "enabled": true, "percentage": 80 });
    add(
        "autoscaling",
        json!({
            "enabled": service.scales, "min": 1, "max": service.target * 2,
            "criteria": { "cpu": criteria, "memory": criteria },
        }),
    );
    if matches!(kind, Kind::Web | Kind::Private) {
        let port = service.port.unwrap_or(80);
        add("openPorts", json!([{ "port": port, "protocol": "TCP" }]));
        add("healthCheckPath", "/".into());
        add("url", format!("https://{slug}.services.example").into());
    }
    details.into()
}

/// The instances of an entry; only a service that runs has any.
pub(super) fn instances(entry: &Entry, now: f64) -> Value {
    let Entry::Service(service) = entry else { return json!([]) };
    let id = inventory::service_id(service);
    let instances = service.instances().filter(|_| inventory::runs(service, now));
    instances
        .map(|instance| {
            json!({ "id": inventory::instance_id(&id, &instance), "createdAt": time(instance.created_at) })
        })
        .collect()
}

/// A workspace, whose id this is.
pub(super) fn owner(world: &World, id: &str) -> Value {
    let name = &world.settings().namespace;
    json!({ "id": id, "name": name, "email": format!("{name}@mail.example"), "type": "team" })
}

/// A project with these environments.
pub(super) fn project(world: &World, name: &str, environments: &[Environment]) -> Value {
    let ids: Vec<String> = environments
        .iter()
        .filter(|environment| environment.project == name)
        .map(|environment| inventory::environment_id(world, environment))
        .collect();
    let at = time(1.4e9);
    json!({
        "id": inventory::id(world, "prj", name), "name": name, "createdAt": at, "updatedAt": at,
        "owner": owner(world, &inventory::workspace(world, true)), "environmentIds": ids,
    })
}

/// An environment with these services.
pub(super) fn environment(world: &World, environment: &Environment, services: &[Service]) -> Value {
    let is_in = |service: &&Service| {
        service.application.as_deref().is_some_and(|one| inventory::environment(one) == *environment)
    };
    let ids: Vec<String> = services.iter().filter(is_in).map(inventory::service_id).collect();
    json!({
        "id": inventory::environment_id(world, environment), "name": environment.name,
        "projectId": inventory::id(world, "prj", environment.project), "serviceIds": ids,
        "databasesIds": [], "redisIds": [], "envGroupIds": [], "protectedStatus": "unprotected",
        "networkIsolationEnabled": false,
    })
}

/// A time as the API writes it; empty if it is out of the calendar's range.
pub(super) fn time(seconds: f64) -> String {
    jiff::Timestamp::from_second(floor(seconds)).map(|time| time.to_string()).unwrap_or_default()
}

/// An answer of the documented shape whose values have other types.
pub(super) fn wrong(operation: &str) -> Value {
    match operation {
        "metrics" => json!([{ "labels": "none", "unit": 5, "values": { "0": "now" } }]),
        "instances" => json!([{ "id": [], "createdAt": 5 }]),
        _ => json!({ "services": 17, "projects": "none" }),
    }
}

/// An answer of the documented shape with `nested` in place of its values.
pub(super) fn nested(operation: &str, nested: &str) -> String {
    match operation {
        "metrics" => format!(r#"[{{"labels":[],"unit":"cpu","values":{nested}}}]"#),
        "instances" => format!(r#"[{{"id":"srv-a-b","createdAt":{nested}}}]"#),
        _ => format!(r#"[{{"cursor":"x","service":{nested}}}]"#),
    }
}
