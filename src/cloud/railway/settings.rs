//! `spec.provider.railway`: the settings that people write. The doc lines are the texts of `kubectl explain`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::address::endpoint;
use crate::schema::duration::between;
use crate::schema::rule::matches;
use crate::schema::{Duration, Rule};

/// Railway: the services of all environments of projects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RailwaySpec {
    /// Base URL of the API, without its path `/graphql/v2`. Default: `https://backboard.railway.com`.
    #[serde(default = "default_endpoint")]
    #[schemars(length(min = 1, max = 1024))]
    #[schemars(extend("x-kubernetes-validations" = [endpoint(), without_path()]))]
    pub(super) endpoint: String,

    /// Id of the workspace whose projects are collected. Required with the account token of a user with several workspaces.
    /// Default: the projects that the API lists for the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub(super) workspace: Option<String>,

    /// Names or ids of the projects that are collected; the others cost no requests. Default: all projects.
    #[serde(default)]
    #[schemars(length(max = 500), inner(length(min = 1, max = 253)))]
    pub(super) projects: Vec<String>,

    /// Names or ids of the environments that are collected, such as production; the others cost no
    /// requests. Default: all environments, except those of pull requests.
    #[serde(default)]
    #[schemars(length(max = 500), inner(length(min = 1, max = 253)))]
    pub(super) environments: Vec<String>,

    /// Whether the environments of pull requests are also collected. Each costs two more requests per collection.
    /// Default: false.
    #[serde(default)]
    pub(super) preview_environments: bool,

    /// Whether to query HTTP requests by status code, and their durations, for services with a domain. Costs one
    /// request per collection for every ten such services of an environment. Default: false.
    #[serde(default)]
    pub(super) http: bool,

    /// Maximum age of an instance's newest measurement, from 3m to 1h; older ones are not exposed. The operator
    /// requests one value per minute. Default: 10m.
    #[serde(default = "default_metrics_max_age")]
    #[schemars(extend("default" = "10m", "x-kubernetes-validations" = between("3m", "1h")))]
    pub(super) metrics_max_age: Duration,
}

/// The path is the same for all, and added to each request.
fn without_path() -> Rule {
    Rule::new(
        format!("!{}", matches("self", "/graphql(/v2)?/?$")),
        "leave out the path: use https://backboard.railway.com instead of https://backboard.railway.com/graphql/v2",
    )
}

fn default_endpoint() -> String {
    "https://backboard.railway.com".to_owned()
}

fn default_metrics_max_age() -> Duration {
    Duration::from_secs(600)
}
