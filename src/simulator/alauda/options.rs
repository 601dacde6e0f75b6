//! The options of a simulated Alauda cloud.

use clap::Args;

/// How the API behaves.
#[derive(Debug, Clone, Copy, Args)]
pub struct Alauda {
    /// Number of services on a page
    #[arg(long, env = "CAAS_OPERATOR_PAGE_SIZE", default_value = "20", value_parser = at_least_one)]
    pub page_size: usize,
    /// Vary the format between services and instances, as it changed over the years: strings for numbers and maps,
    /// more or fewer fields and columns, columns in another order, the later form of errors
    #[arg(long, env = "CAAS_OPERATOR_DRIFT")]
    pub drift: bool,
    /// Omit `instances` from services, so that clients must request them
    #[arg(long, env = "CAAS_OPERATOR_NO_INLINE_INSTANCES")]
    pub no_inline_instances: bool,
    /// Write `next` and `previous` as paths instead of URLs
    #[arg(long, env = "CAAS_OPERATOR_RELATIVE_NEXT")]
    pub relative_next: bool,
}

/// The account.
#[derive(Debug, Args)]
pub(super) struct AccountOptions {
    /// Number of services that belong to an application (and are found only with `?application=NAME`)
    #[arg(long, env = "CAAS_OPERATOR_APPLICATIONS", default_value_t = 0)]
    pub(super) applications: usize,
    /// Name of the user and of the namespace
    #[arg(long, env = "CAAS_OPERATOR_USERNAME", default_value = "acme")]
    pub(super) username: String,
    /// The user's password. Default: derived from the seed
    #[arg(long, env = "CAAS_OPERATOR_PASSWORD", hide_env_values = true)]
    pub(super) password: Option<String>,
}

impl Default for Alauda {
    /// The API as documented.
    fn default() -> Self {
        Self { page_size: 20, drift: false, no_inline_instances: false, relative_next: false }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "write a whole number above 0".to_owned())
}
