//! Which account at which Alauda cloud is collected.

use std::time::Duration;

use url::Url;

/// Settings of an account, checked and complete.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct Settings {
    /// The API's base URL, ending in a slash, such as `https://caas.example.com/v1/`.
    pub endpoint: Url,
    /// User or organization whose services are listed.
    pub namespace: String,
    /// How far back from `now - metrics_lag` to request points.
    pub metrics_window: Duration,
    /// How far behind now the newest point is expected.
    pub metrics_lag: Duration,
}
