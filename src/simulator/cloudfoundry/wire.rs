//! The JSON of Cloud Foundry's API, as documented. Pure.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::inventory::{Place, Process, State, container, guid, labels};
use super::options::CloudFoundry;
use crate::simulator::numbers::{below, floor, hash, hash_text, whole};
use crate::simulator::world::{Instance, Service, Status};

/// What others than developers see in place of a value.
const HIDDEN: &str = "[PRIVATE DATA HIDDEN]";

/// A time as the API writes it: to the second.
pub(super) fn time(seconds: f64) -> String {
    let time = Timestamp::from_second(floor(seconds)).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The time of a measurement: to the millisecond.
fn precise(seconds: f64) -> String {
    let time = Timestamp::from_millisecond(floor(seconds * 1e3)).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

fn link(base: &str, path: &str) -> Value {
    json!({ "href": format!("{base}{path}") })
}

/// The root of the API.
pub(super) fn root(base: &str, login: &str) -> Value {
    let base = base.trim_end_matches('/');
    json!({ "links": {
        "self": { "href": base },
        "cloud_controller_v2": null,
        "cloud_controller_v3": { "href": format!("{base}/v3"), "meta": { "version": "3.195.0" } },
        "network_policy_v0": null,
        "login": { "href": login },
        "uaa": { "href": login },
        "credhub": null,
        "routing": null,
        "logging": null,
        "log_cache": null,
        "log_stream": null,
        "app_ssh": { "href": "ssh.sys.example.com:2222", "meta": { "host_key_fingerprint": "2c:0f", "oauth_client": "ssh-proxy" } },
    } })
}

/// One page of a list: `first` is the place of the first entry in a list of `total`.
pub(super) struct Page {
    pub(super) number: usize,
    pub(super) pages: usize,
    pub(super) total: usize,
    pub(super) next: Option<usize>,
}

impl Page {
    /// The JSON of the page; `url` has the query of the request without `page`.
    pub(super) fn json(
        &self,
        url: &impl Fn(usize) -> String,
        resources: &[Value],
        included: Option<Value>,
    ) -> Value {
        let href = |number: usize| json!({ "href": url(number) });
        let mut page = json!({
            "pagination": {
                "total_results": self.total,
                "total_pages": self.pages,
                "first": href(1),
                "last": href(self.pages),
                "next": self.next.map(href),
                "previous": (self.number > 1).then(|| href(self.number - 1)),
            },
            "resources": resources,
        });
        if let Some(included) = included {
            page["included"] = included;
        }
        page
    }
}

/// An organization.
pub(super) fn organization(place: &Place, base: &str) -> Value {
    json!({
        "guid": place.guid,
        "created_at": "2015-02-01T01:33:58Z",
        "updated_at": "2015-02-01T01:33:58Z",
        "name": place.name,
        "suspended": false,
        "relationships": { "quota": { "data": { "guid": guid(&[hash_text(&place.guid), 1]) } } },
        "metadata": { "labels": {}, "annotations": {} },
        "links": { "self": link(base, &format!("/v3/organizations/{}", place.guid)) },
    })
}

/// A space of an organization.
pub(super) fn space(place: &Place, organization: &Place, base: &str) -> Value {
    json!({
        "guid": place.guid,
        "created_at": "2015-02-01T01:33:58Z",
        "updated_at": "2015-02-01T01:33:58Z",
        "name": place.name,
        "relationships": {
            "organization": { "data": { "guid": organization.guid } },
            "quota": { "data": null },
        },
        "metadata": { "labels": {}, "annotations": {} },
        "links": {
            "self": link(base, &format!("/v3/spaces/{}", place.guid)),
            "organization": link(base, &format!("/v3/organizations/{}", organization.guid)),
        },
    })
}

/// An application.
pub(super) fn app(service: &Service, space: &Place, base: &str, suffix: &str) -> Value {
    let lifecycle = if hash_text(&service.uuid).is_multiple_of(4) {
        json!({ "type": "docker", "data": {} })
    } else {
        json!({ "type": "buildpack", "data": { "buildpacks": ["java_buildpack"], "stack": "cflinuxfs4" } })
    };
    let labels: Map<String, Value> =
        labels(service).into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect();
    let path = format!("/v3/apps/{}", service.uuid);
    json!({
        "guid": service.uuid,
        "created_at": time(service.created_at),
        "updated_at": time(service.created_at),
        "name": format!("{}{suffix}", service.name),
        "state": if service.status == Status::Stopped { "STOPPED" } else { "STARTED" },
        "lifecycle": lifecycle,
        "relationships": {
            "space": { "data": { "guid": space.guid } },
            "current_droplet": { "data": { "guid": guid(&[hash_text(&service.uuid), hash_text(&service.image_tag)]) } },
        },
        "metadata": { "labels": labels, "annotations": {} },
        "links": {
            "self": link(base, &path),
            "space": link(base, &format!("/v3/spaces/{}", space.guid)),
            "processes": link(base, &format!("{path}/processes")),
            "current_droplet": link(base, &format!("{path}/droplets/current")),
        },
    })
}

/// A process.
pub(super) fn process(process: &Process<'_>, base: &str) -> Value {
    let path = format!("/v3/processes/{}", process.guid);
    json!({
        "guid": process.guid,
        "created_at": time(process.app.created_at),
        "updated_at": time(process.app.created_at),
        "version": guid(&[hash_text(&process.guid), hash_text(&process.app.image_tag)]),
        "type": process.kind.as_str(),
        "command": "[PRIVATE DATA HIDDEN IN LISTS]",
        "user": "vcap",
        "instances": process.instances,
        "memory_in_mb": process.app.size.mebibytes,
        "disk_in_mb": 1024,
        "log_rate_limit_in_bytes_per_second": -1,
        "health_check": { "type": "port", "data": { "timeout": null, "invocation_timeout": null, "interval": null } },
        "readiness_health_check": { "type": "process", "data": { "invocation_timeout": null, "interval": null } },
        "relationships": {
            "app": { "data": { "guid": process.app.uuid } },
            "revision": { "data": { "guid": guid(&[hash_text(&process.app.uuid), 5]) } },
        },
        "metadata": { "labels": {}, "annotations": {} },
        "links": {
            "self": link(base, &path),
            "scale": { "href": format!("{base}{path}/actions/scale"), "method": "POST" },
            "app": link(base, &format!("/v3/apps/{}", process.app.uuid)),
            "stats": link(base, &format!("{path}/stats")),
        },
    })
}

/// The instances of a process.
pub(super) fn stats(process: &Process<'_>, states: &[State], options: &CloudFoundry, now: f64) -> Value {
    let instances: Vec<Value> = states
        .iter()
        .enumerate()
        .map(|(index, state)| instance(process, index, state, options, now))
        .collect();
    json!({ "resources": instances })
}

fn instance(process: &Process<'_>, index: usize, state: &State, options: &CloudFoundry, now: f64) -> Value {
    let (word, instance) = match state {
        State::Down => {
            return json!({
                "type": process.kind.as_str(),
                "index": index,
                "state": "DOWN",
                "routable": null,
                "uptime": 0,
                "isolation_segment": null,
                "details": "insufficient resources: memory",
            });
        }
        State::Crashed(instance) => ("CRASHED", instance),
        State::Starting(instance) => ("STARTING", instance),
        State::Running(instance, _) => ("RUNNING", instance),
    };
    let measured = match state {
        State::Running(_, measured) => *measured,
        _ => None,
    };
    let (mut usage, mut quotas) = usage(process, instance, measured, options, now);
    if options.log_cache_down {
        (usage, quotas) = (json!({}), [Value::Null, Value::Null, Value::Null]);
    }
    let [memory, disk, log_rate] = quotas;
    let hidden = |value: Value| if options.redacted { json!(HIDDEN) } else { value };
    let key = hash_text(&instance.uuid);
    json!({
        "type": process.kind.as_str(),
        "index": index,
        "instance_guid": container(instance, now),
        "state": word,
        "routable": word == "RUNNING",
        "usage": usage,
        "host": hidden(json!(format!("10.244.16.{}", below(hash(&[key, 60]), 250)))),
        "instance_internal_ip": hidden(json!(format!("10.255.0.{}", below(hash(&[key, 61]), 250)))),
        "instance_ports": if options.redacted { json!([]) } else {
            json!([{ "external": 64546, "internal": 8080, "external_tls_proxy_port": 61002, "internal_tls_proxy_port": 61003 }])
        },
        "uptime": whole((now - instance.started_at(now)).max(0.0)),
        "mem_quota": memory,
        "disk_quota": disk,
        "log_rate_limit": log_rate,
        "fds_quota": 16384,
        "isolation_segment": null,
        "details": null,
    })
}

/// What an instance uses, and its quotas. One that was not measured has zeros and no quotas.
fn usage(
    process: &Process<'_>,
    instance: &Instance,
    measured: Option<f64>,
    options: &CloudFoundry,
    now: f64,
) -> (Value, [Value; 3]) {
    // The time is that of the response, not that of the measurement.
    let time = precise(now);
    let point = measured.and_then(|at| Some((at, instance.point(floor(at))?)));
    let Some((at, point)) = point else {
        let zeros =
            json!({ "time": time, "cpu": 0, "cpu_entitlement": 0, "mem": 0, "disk": 0, "log_rate": 0 });
        return (zeros, [Value::Null, Value::Null, Value::Null]);
    };
    let cores = instance.cores_in_use(at);
    let entitlement = cores / process.app.size.cores;
    let usage = json!({
        "time": time,
        "cpu": cores,
        "cpu_entitlement": if options.no_cpu_entitlement { Value::Null } else { json!(entitlement) },
        "mem": point.memory_bytes,
        "disk": 69_705_728 + below(hash(&[hash_text(&instance.uuid), 62]), 400 << 20),
        "log_rate": below(hash(&[hash_text(&instance.uuid), at.to_bits()]), 20_000),
    });
    let memory = u64::from(process.app.size.mebibytes) << 20;
    (usage, [json!(memory), json!(1_u64 << 30), json!(-1)])
}

/// A response to an operation whose values have other types.
pub(super) fn wrong(operation: &str) -> Value {
    match operation {
        "root" => json!({ "links": [] }),
        "login" => json!({ "access_token": 7, "expires_in": [] }),
        "stats" => json!({ "resources": [{ "index": "first", "state": 7, "usage": [], "uptime": {} }] }),
        _ => json!({
            "pagination": { "total_results": "many", "next": null },
            "resources": [{ "guid": ["a"], "name": { "x": 1 }, "state": 7, "relationships": [] }],
        }),
    }
}

/// A response to an operation, with `nested` in place of its values.
pub(super) fn nested(operation: &str, nested: &str) -> String {
    match operation {
        "root" => format!(r#"{{"links":{nested}}}"#),
        "login" => format!(r#"{{"access_token":{nested}}}"#),
        "stats" => format!(r#"{{"resources":[{{"index":0,"usage":{nested}}}]}}"#),
        _ => format!(r#"{{"pagination":{{"next":null}},"resources":[{{"guid":{nested}}}]}}"#),
    }
}
