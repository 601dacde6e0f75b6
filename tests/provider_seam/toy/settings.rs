//! `spec.provider.harbor`.

use caas_operator::schema::address::{endpoint, segment};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Harbor's API.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct HarborSpec {
    /// Base URL of the API.
    #[serde(default = "default_endpoint")]
    #[schemars(length(min = 1, max = 1024), extend("x-kubernetes-validations" = [endpoint()]))]
    pub(super) endpoint: String,

    /// The project whose services are collected.
    #[schemars(length(min = 1, max = 63), extend("x-kubernetes-validations" = [segment("a project")]))]
    pub(super) project: String,
}

fn default_endpoint() -> String {
    "https://api.harbor.example/".to_owned()
}
