//! `spec.provider`: which cloud, and where.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Duration;
use super::cel;

/// The providers' keys under `spec.provider`.
pub const NAMES: [&str; 1] = ["alauda"];

/// The cloud that runs the containers: exactly one of the fields below.
// Tagged from outside, so that the schema says "exactly one" and each provider has fields of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [cel::one_provider()]))]
pub enum Provider {
    /// Alauda's API, version 1, in the public cloud or in a private installation.
    Alauda(Alauda),
}

/// Alauda's API, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [cel::endpoint_or_cloud()]))]
pub struct Alauda {
    /// Base URL of the API, such as `https://caas.example.com/v1/`. Set this or cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    #[schemars(extend("x-kubernetes-validations" = [cel::endpoint()]))]
    pub endpoint: Option<String>,

    /// Shorthand for the API of one of Alauda's own clouds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<AlaudaCloud>,

    /// User or organization whose services are collected. Default: the username in the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[schemars(extend("x-kubernetes-validations" = [cel::segment()]))]
    pub namespace: Option<String>,

    /// How far back to ask for an instance's metrics, ending metricsLag before now, from 1s to 1h.
    /// Default: 100s.
    #[serde(default = "default_metrics_window")]
    #[schemars(extend("default" = "100s", "x-kubernetes-validations" = cel::between("1s", "1h")))]
    pub metrics_window: Duration,

    /// How far behind now the newest metrics are looked for, since the cloud has them late, from 0s to 1h.
    /// Default: 30s.
    #[serde(default = "default_metrics_lag")]
    #[schemars(extend("x-kubernetes-validations" = cel::between("0s", "1h")))]
    pub metrics_lag: Duration,
}

/// Shorthand for the API of one of Alauda's own clouds: cn is `https://api.alauda.cn/v1/`, io is
/// `https://api.alauda.io/v1/`. Set this or endpoint.
// The schema shows this text, not that of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AlaudaCloud {
    /// The cloud in China.
    Cn,
    /// The cloud outside of China.
    Io,
}

impl AlaudaCloud {
    /// The API's base URL, from the platform's Python client.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::Cn => "https://api.alauda.cn/v1/",
            Self::Io => "https://api.alauda.io/v1/",
        }
    }
}

/// A window of the last 60 s often held no point; 100 s ending 30 s ago did (observed on the cloud).
fn default_metrics_window() -> Duration {
    Duration::from_secs(100)
}

fn default_metrics_lag() -> Duration {
    Duration::from_secs(30)
}

impl Provider {
    /// The provider's key, as status and columns show it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Alauda(_) => "alauda",
        }
    }
}
