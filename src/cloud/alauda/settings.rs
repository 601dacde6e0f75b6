//! `spec.provider.alauda`: the settings that people write. The doc lines are the texts of `kubectl explain`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::address::{endpoint, segment};
use crate::schema::duration::between;
use crate::schema::{Duration, Rule};

/// Alauda API version 1, in the public cloud or a private installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [endpoint_or_cloud()]))]
pub(super) struct AlaudaSpec {
    /// Base URL of the API, such as `https://caas.example.com/v1/`. Set this or cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    #[schemars(extend("x-kubernetes-validations" = [endpoint()]))]
    pub(super) endpoint: Option<String>,

    /// Shorthand for the API of one of Alauda's own clouds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cloud: Option<AlaudaCloud>,

    /// User or organization whose services are collected. Default: the username in the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[schemars(extend("x-kubernetes-validations" = [segment("a user or organization")]))]
    pub(super) namespace: Option<String>,

    /// Length of the time window for an instance's metrics, from 1s to 1h. The window ends metricsLag before now.
    /// Default: 100s.
    #[serde(default = "default_metrics_window")]
    #[schemars(extend("default" = "100s", "x-kubernetes-validations" = between("1s", "1h")))]
    pub(super) metrics_window: Duration,

    /// How long before now the time window for metrics ends, from 0s to 1h. Alauda reports metrics with a delay.
    /// Default: 30s.
    #[serde(default = "default_metrics_lag")]
    #[schemars(extend("x-kubernetes-validations" = between("0s", "1h")))]
    pub(super) metrics_lag: Duration,
}

/// Shorthand for the API of one of Alauda's own clouds: cn is `https://api.alauda.cn/v1/`, io is
/// `https://api.alauda.io/v1/`. Set this or endpoint.
// The schema shows this text, not that of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum AlaudaCloud {
    /// The cloud in China.
    Cn,
    /// The cloud outside of China.
    Io,
}

impl AlaudaSpec {
    /// The API's base URL; that of Alauda's own clouds is the one in the platform's Python client.
    pub(super) fn address(&self) -> &str {
        match self.cloud {
            Some(AlaudaCloud::Cn) => "https://api.alauda.cn/v1/",
            Some(AlaudaCloud::Io) => "https://api.alauda.io/v1/",
            None => self.endpoint.as_deref().unwrap_or_default(),
        }
    }
}

fn endpoint_or_cloud() -> Rule {
    Rule::new(
        "has(self.endpoint) != has(self.cloud)",
        "set exactly one of endpoint (URL of the API) or cloud (cn or io, Alauda's own clouds)",
    )
}

/// A window of the last 60 s often held no point; 100 s ending 30 s ago did (observed on the cloud).
fn default_metrics_window() -> Duration {
    Duration::from_secs(100)
}

fn default_metrics_lag() -> Duration {
    Duration::from_secs(30)
}
