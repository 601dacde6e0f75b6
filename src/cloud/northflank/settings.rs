//! `spec.provider.northflank`: the settings that people write. The doc lines are the texts of `kubectl explain`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::address::endpoint;
use crate::schema::duration::between;
use crate::schema::rule::matches;
use crate::schema::{Duration, Rule};

/// What an id is made of: a name in lower case with hyphens.
const SLUG: &str = "^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$";

/// Northflank: the combined and deployment services of projects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NorthflankSpec {
    /// Base URL of the API, without its version. Default: `https://api.northflank.com`.
    #[serde(default = "default_endpoint")]
    #[schemars(length(min = 1, max = 1024))]
    #[schemars(extend("x-kubernetes-validations" = [endpoint(), without_version()]))]
    pub(super) endpoint: String,

    /// Id of the team, required with an organization's token. Default: the team that the token belongs to.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100), extend("x-kubernetes-validations" = [slug()]))]
    pub(super) team: Option<String>,

    /// Ids or names of the projects whose services are collected; the others cost no requests. Default: all projects.
    #[serde(default)]
    #[schemars(length(max = 100), inner(length(min = 1, max = 253)))]
    pub(super) projects: Vec<String>,

    /// How often a service's plan, region, image and desired instances are queried, from 5m to 24h. They are also
    /// queried when a deployment of the service begins or ends. Default: 15m.
    #[serde(default = "default_inventory_interval")]
    #[schemars(extend("default" = "15m", "x-kubernetes-validations" = between("5m", "24h")))]
    pub(super) inventory_interval: Duration,

    /// Maximum age of a measurement, from 3m to 1h; older ones are not exposed. The cloud averages over 60s. Default: 10m.
    #[serde(default = "default_metrics_max_age")]
    #[schemars(extend("default" = "10m", "x-kubernetes-validations" = between("3m", "1h")))]
    pub(super) metrics_max_age: Duration,
}

/// The paths of requests begin with the version.
fn without_version() -> Rule {
    Rule::new(
        format!("!{}", matches("self", "/v1/?$")),
        "leave out the version: use https://api.northflank.com instead of https://api.northflank.com/v1",
    )
}

fn slug() -> Rule {
    Rule::new(
        matches("self", SLUG),
        "use the team's id as in its URL: letters, digits and hyphens, such as my-team",
    )
}

fn default_endpoint() -> String {
    "https://api.northflank.com".to_owned()
}

fn default_inventory_interval() -> Duration {
    Duration::from_secs(900)
}

fn default_metrics_max_age() -> Duration {
    Duration::from_secs(600)
}
