//! Options that several commands share.

use clap::Args;
use ipnet::IpNet;

use crate::cloud::http::{Policy, Prefix};

/// What the administrator allows accounts to ask.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which endpoints accounts may name")]
pub(super) struct PolicyOptions {
    /// Allow only endpoints below this URL; may be given more than once. Without it: any public one
    #[arg(long, value_name = "URL", env = "CAAS_OPERATOR_ALLOW_ENDPOINT", value_delimiter = ',')]
    pub(super) allow_endpoint: Vec<Prefix>,
    /// Allow a network of private, local or reserved addresses, such as 10.20.0.0/16; may be given more than once
    #[arg(long, value_name = "CIDR", env = "CAAS_OPERATOR_ALLOW_CIDR", value_delimiter = ',')]
    pub(super) allow_cidr: Vec<IpNet>,
    /// Allow plain http, which shows the credentials to everyone on the way
    #[arg(long, env = "CAAS_OPERATOR_ALLOW_HTTP")]
    pub(super) allow_http: bool,
}

impl PolicyOptions {
    /// The policy that the options ask for.
    pub(super) fn policy(self) -> Policy {
        Policy {
            allow_endpoints: self.allow_endpoint,
            allow_cidrs: self.allow_cidr,
            allow_http: self.allow_http,
        }
    }
}
