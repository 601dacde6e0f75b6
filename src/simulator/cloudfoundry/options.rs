//! The options of a simulated Cloud Foundry.

use clap::Args;

/// How the API behaves.
#[derive(Debug, Clone, Args)]
// Each is a switch of the command line.
#[allow(clippy::struct_excessive_bools)]
pub struct CloudFoundry {
    /// Maximum number of entries on a page, whatever the client requests
    #[arg(long, env = "CAAS_OPERATOR_PAGE_SIZE", default_value = "5000", value_parser = at_least_one)]
    pub page_size: usize,
    /// Lifetime of an access token in seconds
    #[arg(long, env = "CAAS_OPERATOR_TOKEN_LIFE", default_value_t = 599)]
    pub token_life: u64,
    /// Issue no refresh tokens to users
    #[arg(long, env = "CAAS_OPERATOR_NO_REFRESH_TOKEN")]
    pub no_refresh_token: bool,
    /// Identity provider that users must name with `login_hint`
    #[arg(long, env = "CAAS_OPERATOR_ORIGIN")]
    pub origin: Option<String>,
    /// Login server that the API's root reports. Default: this address
    #[arg(long, env = "CAAS_OPERATOR_LOGIN_URL")]
    pub login_url: Option<String>,
    /// Requests allowed per user and hour. Default: no limit, which is also the default of installations
    #[arg(long, env = "CAAS_OPERATOR_RATE_LIMIT")]
    pub rate_limit: Option<u64>,
    /// Let the metrics store (Log Cache) fail: `usage` is empty, and `X-Cf-Warnings` reports it
    #[arg(long, env = "CAAS_OPERATOR_LOG_CACHE_DOWN")]
    pub log_cache_down: bool,
    /// Simulate cells too old to report `cpu_entitlement`, which is then null
    #[arg(long, env = "CAAS_OPERATOR_NO_CPU_ENTITLEMENT")]
    pub no_cpu_entitlement: bool,
    /// Hide the host of an instance, as from users without the developer role in the space
    #[arg(long, env = "CAAS_OPERATOR_REDACTED")]
    pub redacted: bool,
    /// Fraction of crashed instances, 0 to 1
    #[arg(long, env = "CAAS_OPERATOR_CRASHED", default_value_t = 0.0, value_parser = share)]
    pub crashed: f64,
}

/// The account.
#[derive(Debug, Args)]
pub(super) struct AccountOptions {
    /// Number of applications in a space for their own kind; all others are in the space `production`
    #[arg(long, env = "CAAS_OPERATOR_APPLICATIONS", default_value_t = 0)]
    pub(super) applications: usize,
    /// The organization. Default: the user's name
    #[arg(long, env = "CAAS_OPERATOR_ORGANIZATION")]
    pub(super) organization: Option<String>,
    /// The user, or the id of a client
    #[arg(long, env = "CAAS_OPERATOR_USERNAME", default_value = "acme")]
    pub(super) username: String,
    /// The user's password, or the client's secret. Default: derived from the seed
    #[arg(long, env = "CAAS_OPERATOR_PASSWORD", hide_env_values = true)]
    pub(super) password: Option<String>,
}

impl Default for CloudFoundry {
    /// The API as documented, with the defaults of its server.
    fn default() -> Self {
        Self {
            page_size: 5000,
            token_life: 599,
            no_refresh_token: false,
            origin: None,
            login_url: None,
            rate_limit: None,
            log_cache_down: false,
            no_cpu_entitlement: false,
            redacted: false,
            crashed: 0.0,
        }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "write a whole number above 0".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "use a number from 0 to 1".to_owned())
}
