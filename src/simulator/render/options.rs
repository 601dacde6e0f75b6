//! The options of a simulated Render. What its descriptions leave open has one for each reading of it.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::simulator::duration;

/// How the API behaves.
#[derive(Debug, Clone, Args)]
pub struct Render {
    /// Requests allowed per user and minute; 0 for no limit
    #[arg(long, env = "CAAS_OPERATOR_RATE_LIMIT", default_value_t = 400)]
    pub rate_limit: usize,
    /// Format of Ratelimit-Reset: the documentation describes one and shows the other
    #[arg(long, env = "CAAS_OPERATOR_RESET", value_enum, default_value = "seconds")]
    pub reset: ResetTime,
    /// Send Retry-After with a 429 (not documented)
    #[arg(long, env = "CAAS_OPERATOR_RETRY_AFTER")]
    pub retry_after: bool,
    /// Delay until a measured point is available (not documented)
    #[arg(long, env = "CAAS_OPERATOR_METRICS_DELAY", default_value = "60s", value_parser = duration::parse)]
    pub metrics_delay: Duration,
    /// Label with the service of a series (not documented)
    #[arg(long, env = "CAAS_OPERATOR_RESOURCE_LABEL", value_enum, default_value = "resource")]
    pub resource_label: ResourceLabel,
    /// Label with the status code of a series (not documented)
    #[arg(long, env = "CAAS_OPERATOR_CODE_LABEL", value_name = "LABEL", default_value = "statusCode")]
    pub code_label: String,
    /// Unit of memory (in responses; not documented)
    #[arg(long, env = "CAAS_OPERATOR_MEMORY_UNIT", value_enum, default_value = "bytes")]
    pub memory_unit: ByteUnit,
    /// Unit of bandwidth (not documented)
    #[arg(long, env = "CAAS_OPERATOR_BANDWIDTH_UNIT", value_enum, default_value = "MB")]
    pub bandwidth_unit: ByteUnit,
    /// Unit of request counts (not documented)
    #[arg(long, env = "CAAS_OPERATOR_COUNT_UNIT", value_enum, default_value = "unitless")]
    pub count_unit: CountUnit,
    /// Timestamp of a sum: the beginning or the end of its period (not documented)
    #[arg(long, env = "CAAS_OPERATOR_SUM_TIME", value_enum, default_value = "start")]
    pub sum_time: SumTime,
    /// Response to a metrics request for a service that does not exist (not documented)
    #[arg(long, env = "CAAS_OPERATOR_UNKNOWN_RESOURCE", value_enum, default_value = "nothing")]
    pub unknown_resource: UnknownResource,
    /// Maximum number of services in one metrics request; 0 for no limit (not documented)
    #[arg(long, env = "CAAS_OPERATOR_MOST_RESOURCES", default_value_t = 0)]
    pub most_resources: usize,
    /// Maximum number of points in a response; a request for more gets 500 (the number is not documented)
    #[arg(long, env = "CAAS_OPERATOR_MOST_POINTS", default_value_t = 100_000)]
    pub most_points: usize,
    /// Deny access to the workspace's metrics with 403
    #[arg(long, env = "CAAS_OPERATOR_DENY_METRICS")]
    pub deny_metrics: bool,
}

/// How `Ratelimit-Reset` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResetTime {
    /// Seconds from now.
    Seconds,
    /// Seconds since the epoch.
    Epoch,
}

/// The label that names the service of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResourceLabel {
    /// `resource`
    Resource,
    /// `service`
    Service,
}

/// A unit of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ByteUnit {
    /// `bytes`
    #[value(name = "bytes")]
    Bytes,
    /// `MB`, of a million bytes.
    #[value(name = "MB")]
    Megabytes,
    /// `GB`, of a billion bytes.
    #[value(name = "GB")]
    Gigabytes,
    /// `MiB`, of 2^20 bytes.
    #[value(name = "MiB")]
    Mebibytes,
}

/// A unit of a number of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CountUnit {
    /// `unitless`
    Unitless,
    /// `requests`
    Requests,
}

/// Which time a sum has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SumTime {
    /// The beginning of the period.
    Start,
    /// The end of the period.
    End,
}

/// What a request for the metrics of a service that does not exist gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnknownResource {
    /// The series of the other services.
    Nothing,
    /// 404
    NotFound,
}

/// The account.
#[derive(Debug, Args)]
pub(super) struct AccountOptions {
    /// Number of services in a project; the others are in none
    #[arg(long, env = "CAAS_OPERATOR_APPLICATIONS", default_value_t = 8)]
    pub(super) applications: usize,
    /// The API key. Default: derived from the seed
    #[arg(long, env = "CAAS_OPERATOR_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
}

impl Default for Render {
    /// The API as documented.
    fn default() -> Self {
        Self {
            rate_limit: 400,
            reset: ResetTime::Seconds,
            retry_after: false,
            metrics_delay: Duration::from_secs(60),
            resource_label: ResourceLabel::Resource,
            code_label: "statusCode".to_owned(),
            memory_unit: ByteUnit::Bytes,
            bandwidth_unit: ByteUnit::Megabytes,
            count_unit: CountUnit::Unitless,
            sum_time: SumTime::Start,
            unknown_resource: UnknownResource::Nothing,
            most_resources: 0,
            most_points: 100_000,
            deny_metrics: false,
        }
    }
}

impl ByteUnit {
    /// The word in the answers, and how many bytes it stands for.
    pub(super) const fn word(self) -> (&'static str, f64) {
        match self {
            Self::Bytes => ("bytes", 1.0),
            Self::Megabytes => ("MB", 1e6),
            Self::Gigabytes => ("GB", 1e9),
            Self::Mebibytes => ("MiB", 1_048_576.0),
        }
    }
}

impl CountUnit {
    /// The word in the answers.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Unitless => "unitless",
            Self::Requests => "requests",
        }
    }
}
