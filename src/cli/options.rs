//! Options that several commands share.

use clap::Args;
use ipnet::IpNet;

use crate::cloud::http::{Policy, Prefix};

/// What the administrator allows accounts to ask.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which endpoints accounts may name")]
pub(super) struct PolicyOptions {
    /// Allow only endpoints below this URL; may be given more than once. Without it: any public one
    #[arg(
        long = "allow-endpoint",
        value_name = "URL",
        env = "CAAS_OPERATOR_ALLOW_ENDPOINT",
        value_delimiter = ','
    )]
    endpoints: Vec<Prefix>,
    /// Allow a network of private, local or reserved addresses, such as 10.20.0.0/16; may be given more than once
    #[arg(long = "allow-cidr", value_name = "CIDR", env = "CAAS_OPERATOR_ALLOW_CIDR", value_delimiter = ',')]
    cidrs: Vec<IpNet>,
    /// Allow plain http, which shows the credentials to everyone on the way
    #[arg(long = "allow-http", env = "CAAS_OPERATOR_ALLOW_HTTP")]
    http: bool,
}

impl PolicyOptions {
    /// The policy that the options ask for.
    pub(super) fn policy(self) -> Policy {
        Policy { allow_endpoints: self.endpoints, allow_cidrs: self.cidrs, allow_http: self.http }
    }
}
