//! The options of a simulated Northflank. What the API's pages leave open has one for each reading of it.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::simulator::duration;

/// How the API behaves.
#[derive(Debug, Clone, Args)]
// Each is a switch of the command line.
#[allow(clippy::struct_excessive_bools)]
pub struct Northflank {
    /// Permissions of the token's role; a request that needs another permission is denied with 403
    #[arg(
        long,
        env = "CAAS_OPERATOR_PERMISSIONS",
        value_enum,
        value_name = "PERMISSION",
        value_delimiter = ',',
        default_value = "projects-read,services-read,view-instances,view-observability"
    )]
    pub permissions: Vec<Permission>,
    /// Requests allowed per token and hour; 0 for no limit
    #[arg(long, env = "CAAS_OPERATOR_HOURLY_LIMIT", default_value_t = 1000)]
    pub hourly_limit: usize,
    /// What `x-ratelimit-reset` counts (not documented)
    #[arg(long, env = "CAAS_OPERATOR_RESET", value_enum, default_value = "delta")]
    pub reset: Reset,
    /// Send `Retry-After` with status 429 (not documented)
    #[arg(long, env = "CAAS_OPERATOR_RETRY_AFTER")]
    pub retry_after: bool,
    /// Unit of CPU (not documented)
    #[arg(long, env = "CAAS_OPERATOR_CPU_UNIT", value_enum, default_value = "vcpu")]
    pub cpu_unit: CpuUnit,
    /// What the CPU unit `pct` is relative to (not documented)
    #[arg(long, env = "CAAS_OPERATOR_CPU_PERCENT_OF", value_enum, default_value = "plan")]
    pub cpu_percent_of: CpuPercentOf,
    /// Unit of memory (not documented)
    #[arg(long, env = "CAAS_OPERATOR_MEMORY_UNIT", value_enum, default_value = "mb")]
    pub memory_unit: MemoryUnit,
    /// Bytes of the unit `mb` (not documented)
    #[arg(long, env = "CAAS_OPERATOR_MEGABYTE", value_enum, default_value = "binary")]
    pub megabyte: Megabyte,
    /// What the unit `kbps` counts (not documented)
    #[arg(long, env = "CAAS_OPERATOR_KBPS", value_enum, default_value = "bits")]
    pub kbps: Kilo,
    /// Omit `metricInfo`, as the schema allows
    #[arg(long, env = "CAAS_OPERATOR_NO_METRIC_INFO")]
    pub no_metric_info: bool,
    /// Format of a metric without data (not documented)
    #[arg(long = "no-data", env = "CAAS_OPERATOR_NO_DATA", value_enum, default_value = "empty")]
    pub no_values: NoValues,
    /// Whether HTTP requests and bandwidth are one series, or one per container (not documented)
    #[arg(long, env = "CAAS_OPERATOR_HTTP_SERIES", value_enum, default_value = "container")]
    pub http_series: HttpSeries,
    /// Seconds between two points; the documentation gives both 15 and 10
    #[arg(long, env = "CAAS_OPERATOR_RESOLUTION", default_value = "15", value_parser = clap::value_parser!(u32).range(1..=600))]
    pub resolution: u32,
    /// Delay until a measured point is available (not documented)
    #[arg(long, env = "CAAS_OPERATOR_METRICS_DELAY", default_value = "15s", value_parser = duration::parse)]
    pub metrics_delay: Duration,
    /// How long terminated containers are listed, at most 1h (not documented)
    #[arg(long, env = "CAAS_OPERATOR_ENDED_CONTAINERS", default_value = "0s", value_parser = duration::parse)]
    pub ended_containers: Duration,
    /// Omit `servicePaused`: a paused service then has 0 instances
    #[arg(long, env = "CAAS_OPERATOR_NO_PAUSE_FLAG")]
    pub no_pause_flag: bool,
}

/// A permission of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Permission {
    /// Projects > Manage > Read
    ProjectsRead,
    /// Services > General > Read
    ServicesRead,
    /// Services > Deployment > View Instances
    ViewInstances,
    /// Services > Deployment > View Observability
    ViewObservability,
}

/// What `x-ratelimit-reset` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reset {
    /// Seconds from now.
    Delta,
    /// Seconds since the epoch.
    Epoch,
}

/// The unit of CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CpuUnit {
    /// `vCPU`
    Vcpu,
    /// `pct`
    Pct,
}

/// What the percent of CPU is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CpuPercentOf {
    /// The plan's vCPUs.
    Plan,
    /// One vCPU.
    Core,
}

/// The unit of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MemoryUnit {
    /// `mb`
    Mb,
    /// `pct`
    Pct,
}

/// Bytes of a megabyte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Megabyte {
    /// 2^20
    Binary,
    /// 10^6
    Decimal,
}

/// What `kbps` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kilo {
    /// Kilobits per second.
    Bits,
    /// Kilobytes per second.
    Bytes,
}

/// How a metric without data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NoValues {
    /// `"values": []`
    Empty,
    /// Not at all.
    Absent,
}

/// How what is aggregated from all containers is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HttpSeries {
    /// One series for the service, with the service's id instead of a container.
    Service,
    /// One per container.
    Container,
}

/// The account.
#[derive(Debug, Args)]
pub(super) struct AccountOptions {
    /// Number of services in projects other than default-project
    #[arg(long, env = "CAAS_OPERATOR_APPLICATIONS", default_value_t = 8)]
    pub(super) applications: usize,
    /// Id of the team, which paths may contain
    #[arg(long, env = "CAAS_OPERATOR_TEAM", default_value = "acme")]
    pub(super) team: String,
    /// The token. Default: derived from the seed
    #[arg(long, env = "CAAS_OPERATOR_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
}

impl Default for Northflank {
    /// The API as documented, and where that leaves it open as assumed.
    fn default() -> Self {
        Self {
            permissions: vec![
                Permission::ProjectsRead,
                Permission::ServicesRead,
                Permission::ViewInstances,
                Permission::ViewObservability,
            ],
            hourly_limit: 1000,
            reset: Reset::Delta,
            retry_after: false,
            cpu_unit: CpuUnit::Vcpu,
            cpu_percent_of: CpuPercentOf::Plan,
            memory_unit: MemoryUnit::Mb,
            megabyte: Megabyte::Binary,
            kbps: Kilo::Bits,
            no_metric_info: false,
            no_values: NoValues::Empty,
            http_series: HttpSeries::Container,
            resolution: 15,
            metrics_delay: Duration::from_secs(15),
            ended_containers: Duration::ZERO,
            no_pause_flag: false,
        }
    }
}
