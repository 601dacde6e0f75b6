//! The options of a simulated Railway. What no page documents has one for each reading of it.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::simulator::duration;

/// How the API behaves.
#[derive(Debug, Clone, Args)]
pub struct Railway {
    /// Requests allowed per token and hour; 0 for no limit. The plans have 100, 1000 and 10000
    #[arg(long, env = "CAAS_OPERATOR_HOURLY_LIMIT", default_value_t = 1000)]
    pub hourly_limit: usize,
    /// Requests allowed per token and second; 0 for no limit
    #[arg(long, env = "CAAS_OPERATOR_SECOND_LIMIT", default_value_t = 10)]
    pub second_limit: usize,
    /// Format of X-RateLimit-Reset (not documented)
    #[arg(long, env = "CAAS_OPERATOR_RESET", value_enum, default_value = "epoch")]
    pub reset: ResetFormat,
    /// How an invalid token is rejected (both occur)
    #[arg(long, env = "CAAS_OPERATOR_REFUSAL", value_enum, default_value = "reported")]
    pub refusal: TokenRefusal,
    /// Delay until a measured value is available (not documented)
    #[arg(long, env = "CAAS_OPERATOR_METRICS_DELAY", default_value = "30s", value_parser = duration::parse)]
    pub metrics_delay: Duration,
    /// Number of bytes of a GB (not documented)
    #[arg(long, env = "CAAS_OPERATOR_GIGABYTE", value_enum, default_value = "decimal")]
    pub gigabyte: Gigabyte,
    /// What a value of network traffic is (not documented)
    #[arg(long, env = "CAAS_OPERATOR_NETWORK", value_enum, default_value = "sample")]
    pub network: TrafficValue,
    /// What numReplicas counts for a service in two regions (not documented)
    #[arg(long, env = "CAAS_OPERATOR_REPLICAS", value_enum, default_value = "all-regions")]
    pub replicas: ReplicaCount,
    /// Maximum number of top-level fields of a query, above which it is rejected; 0 for no limit (not documented)
    #[arg(long, env = "CAAS_OPERATOR_MAX_FIELDS", default_value_t = 20)]
    pub max_fields: usize,
    /// Maximum number of entries on a page, whatever the query requests (not documented)
    #[arg(long, env = "CAAS_OPERATOR_PAGE_SIZE", default_value_t = 500)]
    pub page_size: usize,
    /// Fail to read the newest deployment of every service: responses contain everything else, and an error
    #[arg(long, env = "CAAS_OPERATOR_PARTIAL")]
    pub partial: bool,
    /// Require two-factor authentication of the token's user, which is missing
    #[arg(long, env = "CAAS_OPERATOR_TWO_FACTOR")]
    pub two_factor: bool,
}

/// How `X-RateLimit-Reset` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResetFormat {
    /// Seconds since the epoch.
    Epoch,
    /// Seconds from now.
    Seconds,
}

/// How a bad token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TokenRefusal {
    /// Status 200 with an error inside.
    Reported,
    /// Status 401.
    Status,
}

/// The bytes of a GB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Gigabyte {
    /// 10^9
    Decimal,
    /// 2^30
    Binary,
}

/// What a value of network traffic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TrafficValue {
    /// Traffic since the previous value.
    Sample,
    /// Traffic since the start.
    Total,
}

/// What `numReplicas` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReplicaCount {
    /// Instances in all regions.
    AllRegions,
    /// Instances per region.
    EachRegion,
}

/// The account.
#[derive(Debug, Args)]
pub(super) struct AccountOptions {
    /// Number of services in projects with two services each; all others are in one project
    #[arg(long, env = "CAAS_OPERATOR_APPLICATIONS", default_value_t = 8)]
    pub(super) applications: usize,
    /// The account token. Default: derived from the seed
    #[arg(long, env = "CAAS_OPERATOR_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
}

impl Default for Railway {
    /// The API as documented, with the limits of the plan Hobby.
    fn default() -> Self {
        Self {
            hourly_limit: 1000,
            second_limit: 10,
            reset: ResetFormat::Epoch,
            refusal: TokenRefusal::Reported,
            metrics_delay: Duration::from_secs(30),
            gigabyte: Gigabyte::Decimal,
            network: TrafficValue::Sample,
            replicas: ReplicaCount::AllRegions,
            max_fields: 20,
            page_size: 500,
            partial: false,
            two_factor: false,
        }
    }
}
