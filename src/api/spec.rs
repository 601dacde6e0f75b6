//! `spec`: what people write. The doc lines are the texts of `kubectl explain`: each names unit and default.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CaasAccountStatus, ProviderSpec, cel};
use crate::schema::Duration;
use crate::schema::duration::between;

/// One account at a Container-as-a-Service cloud: where it is, how to log in, what to collect and expose.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "caas-operator.io",
    version = "v1alpha1",
    kind = "CaasAccount",
    plural = "caasaccounts",
    singular = "caasaccount",
    shortname = "caas",
    namespaced,
    status = "CaasAccountStatus",
    derive = "PartialEq",
    doc = "An account at a Container-as-a-Service cloud, whose services and instances become Prometheus metrics.",
    validation = cel::name(),
    printcolumn(name = "Provider", type_ = "string", json_path = ".status.provider", description = "Name of the provider"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the account is collected and its metrics are served"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Reason of the Ready condition"
    ),
    printcolumn(
        name = "Services",
        type_ = "integer",
        json_path = ".status.services",
        description = "Number of collected services"
    ),
    printcolumn(
        name = "Instances",
        type_ = "integer",
        json_path = ".status.instances",
        description = "Number of running instances of the collected services"
    ),
    printcolumn(
        name = "Last Success",
        type_ = "date",
        json_path = ".status.lastSuccessTime",
        description = "Time since the last successful collection, accurate to a few minutes"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Endpoint",
        type_ = "string",
        json_path = ".status.endpoint",
        description = "Base URL of the API in the spec",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        description = "Message of the Ready condition: what to do if the account is not ready",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct CaasAccountSpec {
    /// The cloud that runs the containers: exactly one of the fields below.
    pub provider: ProviderSpec,

    /// Where to find the username and password, or the token.
    pub credentials: Credentials,

    /// If true, the account is not collected and has no metrics. Default: false.
    #[serde(default)]
    pub suspend: bool,

    /// How the cloud's certificate is verified. Default: against the system's roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// How often the cloud is queried, and with how many requests.
    #[serde(default)]
    pub collection: Collection,

    /// Which of the account's services are collected. Default: all.
    #[serde(default)]
    pub services: Services,

    /// Which metrics are exposed, and how.
    #[serde(default)]
    pub metrics: Metrics,

    /// The ServiceMonitor `caas-<name>` that makes Prometheus Operator scrape the account's metrics.
    #[serde(default)]
    pub service_monitor: ServiceMonitor,
}

/// Where the credentials are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The Secret that holds the credentials, in the account's own namespace. With the key endpoint, the credentials are
    /// sent to that URL only.
    pub secret_ref: SecretRef,
}

/// A Secret of the account's own namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[schemars(extend("x-kubernetes-validations" = [cel::secret_name()]))]
    pub name: String,
}

/// How the cloud's certificate is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Certificates to trust instead of the system's roots, in PEM form, in a Secret of the account's own
    /// namespace.
    pub ca_bundle_secret_ref: SecretKeyRef,
}

/// A key of a Secret of the account's own namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[schemars(extend("x-kubernetes-validations" = [cel::secret_name()]))]
    pub name: String,

    /// Key in the Secret. Default: ca.crt.
    #[serde(default = "default_ca_key")]
    #[schemars(length(min = 1, max = 253))]
    #[schemars(extend("x-kubernetes-validations" = [cel::secret_key()]))]
    pub key: String,
}

/// How often the cloud is queried, and with how many requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Collection {
    /// Time from the start of one collection to the start of the next, from 5s to 1h. Prometheus scrapes at the
    /// same interval, and at least once a minute.
    // The CRD adds each provider's default here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = between("5s", "1h")))]
    pub interval: Option<Duration>,

    /// How long the last values stay exposed if they cannot be fetched again, from interval to 24h. Default:
    /// 3 intervals, but at most 5m, and never less than interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = between("5s", "24h")))]
    pub stale_after: Option<Duration>,

    /// Timeout of one request to the cloud, from 1s to 5m. It starts when the request is first sent and
    /// includes retries and the waits between them. Default: 10s.
    #[schemars(extend("x-kubernetes-validations" = between("1s", "5m")))]
    pub request_timeout: Duration,

    /// Maximum number of requests in flight to the cloud, from 1 to 256. All accounts of one namespace together
    /// have at most 256. Default: 32.
    #[schemars(range(min = 1, max = 256))]
    pub max_concurrent_requests: i32,

    /// Maximum number of requests sent to the cloud per second, from 1 to 1000. Default: 50.
    #[schemars(range(min = 1, max = 1000))]
    pub requests_per_second: i32,
}

/// Which services are collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Services {
    /// Globs on the service's name: * matches any text, ? one character. A service is collected if one
    /// of them matches, or if there are none. Default: all services.
    #[schemars(length(max = 100))]
    pub include: Vec<Glob>,

    /// Globs of services to exclude, even if include matches them. Default: none.
    #[schemars(length(max = 100))]
    pub exclude: Vec<Glob>,
}

/// Which metrics are exposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Metrics {
    /// Names of the metrics. Modern: names such as `caas_instance_cpu_usage_seconds_total`, in seconds and
    /// bytes. Legacy: `cpu_cumulative_usage`, `cpu_utilization`, `memory_usage` and `memory_utilization` as the
    /// cloud reports them, on the path .../metrics/legacy. Both: modern and legacy names, each on its own path. Default: Modern.
    pub names: MetricNames,

    /// Whether samples have timestamps. None: Prometheus uses the time of the scrape. Source: the cloud's
    /// timestamps, which lag behind. Prometheus does not mark series with timestamps as stale, so an ended series
    /// remains visible for 5 minutes, and with a collection.interval above about 4m series have gaps. Default: None.
    pub timestamps: Timestamps,

    /// Maximum number of series exposed for this account, from 1 to 10000000. Above it, only the oldest
    /// services and instances are exposed. Default: 100000.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_series: i32,

    /// Constant labels of the scrape target and all its series, such as team: checkout. Default: none.
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = {"type": "string", "maxLength": 256, "x-kubernetes-validations": [cel::one_line()]}
    ))]
    #[schemars(extend("x-kubernetes-validations" = [cel::label_names(), cel::free_label_names()]))]
    pub labels: BTreeMap<String, String>,
}

/// Which names the metrics have.
// The aliases read objects that were stored while these words were in lower case. No API server admits them anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MetricNames {
    /// `caas_…`, in seconds and bytes.
    #[serde(alias = "modern")]
    Modern,
    /// The four gauges of old dashboards.
    #[serde(alias = "legacy")]
    Legacy,
    /// Both, each on its own path.
    #[serde(alias = "both")]
    Both,
}

/// Whether samples carry timestamps.
// The aliases are for stored objects, as above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Timestamps {
    /// None: the time of the scrape counts.
    #[serde(alias = "none")]
    None,
    /// The cloud's own.
    #[serde(alias = "source")]
    Source,
}

/// The account's ServiceMonitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceMonitor {
    /// When the operator creates a ServiceMonitor for the account. Auto: if Prometheus Operator is installed and the
    /// operator runs without --no-service-monitors; the account is ready without one. Always: the account is not
    /// ready without Prometheus Operator. Never: no ServiceMonitor; the operator removes one that it created. Default: Auto.
    pub mode: MonitorMode,

    /// Labels of the ServiceMonitor, such as release: kube-prometheus-stack. Prometheus selects ServiceMonitors by their labels.
    /// Default: none.
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = {"type": "string", "maxLength": 63, "x-kubernetes-validations": [cel::label_value()]}
    ))]
    #[schemars(extend("x-kubernetes-validations" = [cel::qualified_names(), cel::managed_by()]))]
    pub labels: BTreeMap<String, String>,

    /// Annotations of the ServiceMonitor. Default: none.
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 4096}))]
    #[schemars(extend("x-kubernetes-validations" = [cel::qualified_names()]))]
    pub annotations: BTreeMap<String, String>,

    /// Scrape timeout, from 1s to 1m, and at most collection.interval. Default: 10s, or collection.interval if that
    /// is shorter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = between("1s", "1m")))]
    pub scrape_timeout: Option<Duration>,
}

/// When there is a ServiceMonitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MonitorMode {
    /// Where its CRD is installed, unless the operator is to make none.
    Auto,
    /// Everywhere; that its CRD is missing is a fault.
    Always,
    /// Nowhere.
    Never,
}

/// A glob on a service's name: `*` matches any text, `?` one character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Glob(pub String);

fn default_ca_key() -> String {
    "ca.crt".to_owned()
}

mod defaults;
