//! The JSON of the Alauda v1 API, as documented and as it drifted over the years. Pure.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::simulator::faults::NameFormat;
use crate::simulator::numbers::{floor, hash_text};
use crate::simulator::world::{Instance, Point, Service, Status};

/// The periods that `point_per_period` takes, in seconds.
const PERIODS: [(&str, i64); 11] = [
    ("1s", 1),
    ("1m", 60),
    ("5m", 300),
    ("15m", 900),
    ("30m", 1800),
    ("1h", 3600),
    ("4h", 14_400),
    ("12h", 43_200),
    ("1d", 86_400),
    ("7d", 604_800),
    ("30d", 2_592_000),
];

/// The seconds of a documented period.
pub(super) fn period(text: &str) -> Option<i64> {
    PERIODS.iter().find(|(name, _)| *name == text).map(|(_, seconds)| *seconds)
}

/// Which year's format an object has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Year {
    Y2015,
    Y2017,
    Y2018,
}

/// What an object's format depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    /// The year differs from one service to the next.
    pub(super) drift: bool,
    /// A service contains its instances.
    pub(super) inline_instances: bool,
    /// How names are written, but for the bytes more.
    pub(super) names: NameFormat,
    /// How many bytes longer the names of this service, its image and its first instance are.
    pub(super) huge: usize,
}

impl Format {
    fn year(self, uuid: &str) -> Year {
        match hash_text(uuid) % 3 {
            _ if !self.drift => Year::Y2015,
            0 => Year::Y2015,
            1 => Year::Y2017,
            _ => Year::Y2018,
        }
    }

    fn name(self, name: &str, huge: usize) -> String {
        self.names.with_bytes(huge).name(name)
    }
}

/// The fields of a service; those whose type changed over the years are loose values.
#[derive(Serialize)]
struct ServiceFields {
    service_name: String,
    namespace: String,
    uuid: String,
    unique_name: String,
    image_name: String,
    image_tag: String,
    instance_size: String,
    current_status: &'static str,
    target_state: &'static str,
    is_deploying: bool,
    target_num_instances: Value,
    current_num_instances: Value,
    started_num_instances: Value,
    staged_num_instances: Value,
    scaling_mode: &'static str,
    autoscaling_config: &'static str,
    instance_envvars: Value,
    instance_ports: Value,
    linked_to_apps: &'static str,
    run_command: &'static str,
    application: Option<String>,
    region: Value,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy_num_instances: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_instance_size: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instances: Option<Vec<Value>>,
}

/// One service as an object.
pub(super) fn service(service: &Service, now: f64, format: Format) -> impl Serialize + use<> {
    let year = format.year(&service.uuid);
    let is_later = year != Year::Y2015;
    let count = |count: usize| if year == Year::Y2018 { json!(count.to_string()) } else { json!(count) };
    let starting = year == Year::Y2018 && service.status == Status::Deploying;
    let domain = format!("{}-{}.caas.example", service.name, service.namespace);
    let envvars = match service.port {
        Some(_) => json!({ "__DEFAULT_DOMAIN_NAME__": domain }),
        None => json!({}),
    };
    let ports = match service.port {
        Some(port) => json!([{
            "container_port": port,
            "service_port": if port == 80 { 80 } else { 10_000 + u32::from(port) },
            "protocol": "tcp",
            "endpoint_type": if port == 80 { "http-endpoint" } else { "tcp-endpoint" },
            "default_domain": domain,
            // A documentation address (RFC 5737).
            "ipaddress": "203.0.113.10",
        }]),
        None if year == Year::Y2017 => json!({}),
        None => json!([]),
    };
    let listed = || {
        let mut listed: Vec<Value> = Vec::new();
        if !starting {
            listed.extend(service.instances().map(|one| instance(&one, now, format)));
        }
        listed
    };
    let size = service.size;
    ServiceFields {
        service_name: format.name(&service.name, format.huge),
        namespace: service.namespace.clone(),
        unique_name: service.uuid.clone(),
        uuid: service.uuid.clone(),
        image_name: format!(
            "index.caas.example/{}/{}{}",
            service.namespace,
            service.name,
            "a".repeat(format.huge)
        ),
        image_tag: service.image_tag.clone(),
        instance_size: match year {
            Year::Y2017 => format!("{}-{}", service.infrastructure, size.name),
            _ => size.name.to_owned(),
        },
        current_status: match service.status {
            Status::Deploying if starting => "Starting",
            Status::Running => "Running",
            Status::Deploying => "Deploying",
            Status::Stopped => "Stopped",
        },
        target_state: if service.status == Status::Stopped { "STOPPED" } else { "STARTED" },
        is_deploying: service.status == Status::Deploying,
        target_num_instances: count(service.target),
        current_num_instances: count(service.started),
        started_num_instances: count(service.started),
        staged_num_instances: count(0),
        scaling_mode: if service.scales { "AUTO" } else { "MANUAL" },
        autoscaling_config: "{}",
        instance_envvars: if is_later { envvars } else { Value::String(envvars.to_string()) },
        instance_ports: ports,
        linked_to_apps: "{}",
        run_command: "",
        application: service.application.clone(),
        region: json!({ "IaaS": service.infrastructure, "name": service.region }),
        created_at: time(service.created_at),
        healthy_num_instances: is_later.then_some(service.started),
        custom_instance_size: is_later.then(|| json!({ "mem": size.mebibytes, "cpu": size.cores })),
        instances: format.inline_instances.then(listed),
    }
}

/// One instance as an object.
pub(super) fn instance(instance: &Instance, now: f64, format: Format) -> Value {
    let huge = if instance.name.ends_with(".0") { format.huge } else { 0 };
    json!({
        "instance_name": format.name(&instance.name, huge),
        "uuid": instance.uuid,
        "started_at": time(instance.started_at(now)),
        "instance_ports": [],
    })
}

/// Columns in the documented order.
const COLUMNS: [&str; 10] = [
    "time",
    "sequence_number",
    "cpu_cumulative_usage",
    "cpu_utilization",
    "memory_usage",
    "memory_utilization",
    "rx_bytes",
    "rx_errors",
    "tx_bytes",
    "tx_errors",
];

/// Columns as another year might have them: in another order, and with two unknown ones.
const SHUFFLED: [&str; 12] = [
    "tx_errors",
    "blkio_read_bytes",
    "memory_utilization",
    "time",
    "cpu_utilization",
    "memory_usage",
    "rx_bytes",
    "host",
    "cpu_cumulative_usage",
    "tx_bytes",
    "rx_errors",
    "sequence_number",
];

/// The measurements of an instance; `None` where the response has no body.
pub(super) fn metrics(
    instance: &Instance,
    points: impl Iterator<Item = Point>,
    format: Format,
) -> Option<Value> {
    let variant = if format.drift { hash_text(&instance.uuid) % 5 } else { 0 };
    let (columns, texts): (&[&str], bool) = match variant {
        1 => (&[COLUMNS[0], COLUMNS[2], COLUMNS[3], COLUMNS[4], COLUMNS[5]], false),
        2 => (&SHUFFLED, false),
        3 => (&COLUMNS, true),
        _ => (&COLUMNS, false),
    };
    let row = |(number, point): (usize, Point)| -> Value {
        columns.iter().map(|column| cell(column, number, &point, texts)).collect()
    };
    let mut rows: Vec<Value> = points.enumerate().map(row).collect();
    match variant {
        0 | 1 if rows.is_empty() => return None,
        4 => rows.reverse(),
        _ => {}
    }
    let mut metrics = Map::new();
    metrics.insert("name".into(), format!("stats.{}.{}", instance.service_uuid, instance.uuid).into());
    metrics.insert("columns".into(), columns.into());
    metrics.insert("points".into(), rows.into());
    Some(metrics.into())
}

/// One value of a point.
fn cell(column: &str, number: usize, point: &Point, texts: bool) -> Value {
    let value = match column {
        "time" => return point.time.into(),
        "sequence_number" => number.into(),
        "cpu_cumulative_usage" => point.cpu_nanoseconds.into(),
        "cpu_utilization" => point.cpu_percent.into(),
        "memory_usage" => point.memory_bytes.into(),
        "memory_utilization" => point.memory_percent.into(),
        "rx_bytes" => point.rx_bytes.into(),
        "rx_errors" => point.rx_errors.into(),
        "tx_bytes" => point.tx_bytes.into(),
        "tx_errors" => point.tx_errors.into(),
        "host" => Value::from("10-0-0-7"),
        _ => Value::Null,
    };
    if texts { Value::String(value.to_string()) } else { value }
}

/// A time as the API writes it, with milliseconds; empty if it is out of the calendar's range.
fn time(seconds: f64) -> String {
    Timestamp::from_millisecond(floor((seconds * 1e3).round()))
        .map(|time| time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
        .unwrap_or_default()
}

/// A response of the documented shape whose values have other types.
pub(super) fn wrong(operation: &str) -> Value {
    match operation {
        "login" => json!({ "token": { "value": 17 } }),
        "services" => {
            json!({ "count": "many", "previous": [], "next": 7, "results": { "service_name": [1] } })
        }
        "instances" => json!({ "instance_name": 5, "uuid": [] }),
        _ => json!({ "name": 1, "columns": "time", "points": { "0": "now" } }),
    }
}

/// A response of the documented shape with `nested` in place of its values.
pub(super) fn nested(operation: &str, nested: &str) -> String {
    match operation {
        "login" => format!(r#"{{"token":{nested}}}"#),
        "services" => format!(r#"{{"count":1,"previous":null,"next":null,"results":{nested}}}"#),
        "instances" => nested.to_owned(),
        _ => format!(r#"{{"name":"stats","columns":["time"],"points":{nested}}}"#),
    }
}
