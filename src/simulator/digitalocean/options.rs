//! The options of a simulated DigitalOcean. What the specification leaves open has one for each reading of it.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::simulator::duration;

/// How the API behaves.
#[derive(Debug, Clone, Args)]
pub struct DigitalOcean {
    /// Scopes of the token; a request that needs another scope is denied with 403
    #[arg(
        long,
        env = "CAAS_OPERATOR_SCOPES",
        value_name = "SCOPE",
        value_delimiter = ',',
        default_value = "app:read,monitoring:read,project:read"
    )]
    pub scopes: Vec<String>,
    /// Requests allowed per token and hour; 0 for no limit
    #[arg(long, env = "CAAS_OPERATOR_HOURLY_LIMIT", default_value_t = 5000)]
    pub hourly_limit: usize,
    /// Requests allowed per token and minute; 0 for no limit
    #[arg(long, env = "CAAS_OPERATOR_BURST_LIMIT", default_value_t = 250)]
    pub burst_limit: usize,
    /// Delay until a measured point is available (not documented)
    #[arg(long, env = "CAAS_OPERATOR_METRICS_DELAY", default_value = "60s", value_parser = duration::parse)]
    pub metrics_delay: Duration,
    /// What the restart count covers: the restarts of an instance, or of its whole component (not documented)
    #[arg(long, env = "CAAS_OPERATOR_RESTART_COUNT", value_enum, default_value = "instance")]
    pub restart_count: RestartCount,
    /// Format of a window without data (not documented)
    #[arg(long, env = "CAAS_OPERATOR_NO_DATA", value_enum, default_value = "empty")]
    pub no_data: NoData,
    /// Let instances of shared sizes use more than 100 percent of their CPU (not documented)
    #[arg(long, env = "CAAS_OPERATOR_CPU_BURSTS")]
    pub cpu_bursts: bool,
}

/// What `restart_count` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RestartCount {
    /// The restarts of an instance since it was created.
    Instance,
    /// The restarts of all instances that the component has.
    Component,
}

/// How a window without data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NoData {
    /// `"result": []`, as Prometheus does.
    Empty,
    /// `"result": null`
    Null,
}

/// The account.
#[derive(Debug, Args)]
pub(super) struct AccountOptions {
    /// Number of services that share an app with others; each of the rest is an app of its own
    #[arg(long, env = "CAAS_OPERATOR_APPLICATIONS", default_value_t = 8)]
    pub(super) applications: usize,
    /// The token. Default: derived from the seed
    #[arg(long, env = "CAAS_OPERATOR_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
}

impl Default for DigitalOcean {
    /// The API as documented.
    fn default() -> Self {
        Self {
            scopes: ["app:read", "monitoring:read", "project:read"].map(str::to_owned).to_vec(),
            hourly_limit: 5000,
            burst_limit: 250,
            metrics_delay: Duration::from_secs(60),
            restart_count: RestartCount::Instance,
            no_data: NoData::Empty,
            cpu_bursts: false,
        }
    }
}
