//! Alauda's v1 API.

use std::time::Duration;

use url::Url;

/// Where and as whom an Alauda account is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The API's base address, ending in a slash, such as `https://caas.example.com/v1/`.
    pub endpoint: Url,
    /// User or organization whose services are listed.
    pub namespace: String,
    /// How far back from `now - metrics_lag` to ask for points.
    pub metrics_window: Duration,
    /// How far behind now the newest point is looked for.
    pub metrics_lag: Duration,
}
