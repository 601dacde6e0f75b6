//! `spec.provider.digitalocean`: the settings that people write. The doc lines are the texts of `kubectl explain`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::target::Kind;
use crate::schema::address::endpoint;
use crate::schema::duration::between;
use crate::schema::rule::matches;
use crate::schema::{Duration, Rule};

/// DigitalOcean App Platform: the services, workers and jobs of apps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DigitalOceanSpec {
    /// Base URL of the API, without its version. Default: `https://api.digitalocean.com`.
    #[serde(default = "default_endpoint")]
    #[schemars(length(min = 1, max = 1024))]
    #[schemars(extend("x-kubernetes-validations" = [endpoint(), without_version()]))]
    pub(super) endpoint: String,

    /// Ids of the projects whose apps are collected. The token then also needs the scope project:read.
    /// Default: the apps of all projects.
    #[serde(default)]
    #[schemars(length(max = 100), inner(length(min = 1, max = 253)))]
    pub(super) projects: Vec<String>,

    /// Names or ids of the apps that are collected; the others cost no requests. Default: all apps.
    #[serde(default)]
    #[schemars(length(max = 500), inner(length(min = 1, max = 253)))]
    pub(super) apps: Vec<String>,

    /// Kinds of components that are collected: service, worker, job. Static sites and functions have no instances.
    /// Default: service and worker, which run continuously.
    #[serde(default = "default_kinds")]
    #[schemars(length(min = 1, max = 3))]
    pub(super) kinds: Vec<ComponentKind>,

    /// Whether to query each app's health: the desired and ready instances of its components. Costs one request
    /// per app and collection. Default: true.
    #[serde(default = "default_health")]
    pub(super) health: bool,

    /// Maximum age of an instance's newest measurement, from 6m to 1h; older ones are not exposed. The cloud measures every 2m.
    /// Default: 10m.
    #[serde(default = "default_metrics_max_age")]
    #[schemars(extend("default" = "10m", "x-kubernetes-validations" = between("6m", "1h")))]
    pub(super) metrics_max_age: Duration,
}

/// A kind of component: service, worker or job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum ComponentKind {
    /// Serves HTTP.
    Service,
    /// Runs in the background.
    Worker,
    /// Runs around deployments or on a schedule.
    Job,
}

impl From<ComponentKind> for Kind {
    fn from(kind: ComponentKind) -> Self {
        match kind {
            ComponentKind::Service => Self::Service,
            ComponentKind::Worker => Self::Worker,
            ComponentKind::Job => Self::Job,
        }
    }
}

/// The paths of requests begin with the version.
fn without_version() -> Rule {
    Rule::new(
        format!("!{}", matches("self", "/v2/?$")),
        "leave out the version: use https://api.digitalocean.com instead of https://api.digitalocean.com/v2",
    )
}

fn default_endpoint() -> String {
    "https://api.digitalocean.com".to_owned()
}

fn default_kinds() -> Vec<ComponentKind> {
    vec![ComponentKind::Service, ComponentKind::Worker]
}

fn default_health() -> bool {
    true
}

/// Five times the resolution that the API's examples show.
fn default_metrics_max_age() -> Duration {
    Duration::from_secs(600)
}
