//! The options of a simulated Alauda cloud.

use clap::Args;

/// How the API behaves.
#[derive(Debug, Clone, Copy, Args)]
pub struct Alauda {
    /// How many services a page lists
    #[arg(long, env = "CAAS_OPERATOR_PAGE_SIZE", default_value = "20", value_parser = at_least_one)]
    pub page_size: usize,
    /// Lets the format drift from one service and instance to the next, as it did over the years: strings for numbers
    /// and maps, fields more and fewer, columns more, fewer and in another order, the later form of errors
    #[arg(long, env = "CAAS_OPERATOR_DRIFT")]
    pub drift: bool,
    /// Leaves `instances` out of services, so that clients have to request them
    #[arg(long, env = "CAAS_OPERATOR_NO_INLINE_INSTANCES")]
    pub no_inline_instances: bool,
    /// Writes `next` and `previous` as paths instead of URLs
    #[arg(long, env = "CAAS_OPERATOR_RELATIVE_NEXT")]
    pub relative_next: bool,
}

/// The account.
#[derive(Debug, Args)]
pub(super) struct AccountOptions {
    /// How many of the services belong to an application (and are found only with `?application=NAME`)
    #[arg(long, env = "CAAS_OPERATOR_APPLICATIONS", default_value_t = 0)]
    pub(super) applications: usize,
    /// Who may log in; also the namespace
    #[arg(long, env = "CAAS_OPERATOR_USERNAME", default_value = "acme")]
    pub(super) username: String,
    /// The password; without it one is made of the seed
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
