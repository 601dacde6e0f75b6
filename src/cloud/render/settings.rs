//! `spec.provider.render`: the settings that people write. The doc lines are the texts of `kubectl explain`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::target::Kind;
use crate::schema::address::endpoint;
use crate::schema::duration::between;
use crate::schema::rule::matches;
use crate::schema::{Duration, Rule};

/// Render: web services, private services, background workers and cron jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RenderSpec {
    /// Base URL of the API with its version. Default: `https://api.render.com/v1`.
    #[serde(default = "default_endpoint")]
    #[schemars(length(min = 1, max = 1024))]
    #[schemars(extend("x-kubernetes-validations" = [endpoint(), with_version()]))]
    pub(super) endpoint: String,

    /// Ids of the workspaces whose services are collected, such as `tea-abc123`. Default: all workspaces that the API key can access.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 253)))]
    pub(super) workspaces: Vec<String>,

    /// Names or ids of the projects whose services are collected. Default: all services, including those without a project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 253)))]
    pub(super) projects: Vec<String>,

    /// Names or ids of the environments whose services are collected, in any of the projects. Default: all services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 253)))]
    pub(super) environments: Vec<String>,

    /// Kinds of services that are collected: `web_service`, `private_service`, `background_worker`, `cron_job`. Static sites
    /// have no instances. Default: all except cron jobs, which do not run continuously.
    #[serde(default = "default_kinds")]
    #[schemars(length(min = 1, max = 4))]
    pub(super) kinds: Vec<ServiceKind>,

    /// Whether previews of pull requests are collected. Default: false.
    #[serde(default)]
    pub(super) previews: bool,

    /// Whether to query requests and latency of web services. Costs two more requests per batch of web services. Default: true.
    #[serde(default = "default_http_metrics")]
    pub(super) http_metrics: bool,

    /// Number of services in one metrics request, from 1 to 100. The API's limit is not documented: lower this if the
    /// API rejects such requests. Default: 30.
    #[serde(default = "default_services_per_request")]
    #[schemars(range(min = 1, max = 100))]
    pub(super) services_per_request: i32,

    /// Maximum age of an instance's newest measurement, from 3m to 1h; older ones are not exposed. The cloud measures every minute.
    /// Default: 10m.
    #[serde(default = "default_metrics_max_age")]
    #[schemars(extend("default" = "10m", "x-kubernetes-validations" = between("3m", "1h")))]
    pub(super) metrics_max_age: Duration,
}

/// A kind of service: `web_service`, `private_service`, `background_worker` or `cron_job`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ServiceKind {
    /// Serves HTTP to everyone.
    WebService,
    /// Serves others in the private network.
    PrivateService,
    /// Receives no requests.
    BackgroundWorker,
    /// Runs on a schedule.
    CronJob,
}

impl From<ServiceKind> for Kind {
    fn from(kind: ServiceKind) -> Self {
        match kind {
            ServiceKind::WebService => Self::WebService,
            ServiceKind::PrivateService => Self::PrivateService,
            ServiceKind::BackgroundWorker => Self::BackgroundWorker,
            ServiceKind::CronJob => Self::CronJob,
        }
    }
}

/// The paths of requests do not begin with the version. A proxy may put the API where it likes.
fn with_version() -> Rule {
    Rule::new(
        format!("!{}", matches("self", r"^https?://api\.render\.com/?$")),
        "add the version: use https://api.render.com/v1 instead of https://api.render.com",
    )
}

fn default_endpoint() -> String {
    "https://api.render.com/v1".to_owned()
}

fn default_kinds() -> Vec<ServiceKind> {
    vec![ServiceKind::WebService, ServiceKind::PrivateService, ServiceKind::BackgroundWorker]
}

fn default_http_metrics() -> bool {
    true
}

fn default_services_per_request() -> i32 {
    30
}

/// Ten times the resolution: how late points are is not documented.
fn default_metrics_max_age() -> Duration {
    Duration::from_secs(600)
}
