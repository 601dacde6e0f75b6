//! Options shared by several commands.

use clap::Args;
use ipnet::IpNet;

use crate::cloud::http::{Policy, Prefix};

/// The endpoints that the administrator allows accounts to use.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Allowed endpoints")]
pub(super) struct PolicyOptions {
    /// Allow only endpoints below this URL; can be repeated. Default: any public endpoint
    #[arg(
        long = "allow-endpoint",
        value_name = "URL",
        env = "CAAS_OPERATOR_ALLOW_ENDPOINT",
        value_delimiter = ','
    )]
    endpoints: Vec<Prefix>,
    /// Allow a network of private, local or reserved addresses, such as 10.20.0.0/16; can be repeated
    #[arg(long = "allow-cidr", value_name = "CIDR", env = "CAAS_OPERATOR_ALLOW_CIDR", value_delimiter = ',')]
    cidrs: Vec<IpNet>,
    /// Allow plain HTTP, which sends the credentials unencrypted
    #[arg(long = "allow-http", env = "CAAS_OPERATOR_ALLOW_HTTP")]
    http: bool,
}

impl PolicyOptions {
    /// The policy that the options describe.
    pub(super) fn policy(self) -> Policy {
        Policy { allow_endpoints: self.endpoints, allow_cidrs: self.cidrs, allow_http: self.http }
    }
}
