//! `caas-operator standalone`: no cluster; a folder of manifests, or one Alauda account as the article ran it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args as ClapArgs;
use secrecy::SecretString;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use super::house::{House, Listeners};
use super::options::PolicyOptions;
use super::signals::stop_token;
use crate::account::Account;
use crate::cloud::http::Policy;
use crate::server::ListenError;
use crate::standalone::environment::{self, Environment, EnvironmentError};
use crate::standalone::{Desired, watch};

/// Arguments of `standalone`.
#[derive(ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Folder with CaasAccount and Secret manifests; changes are picked up while running
    #[arg(long, value_name = "DIR", env = "CAAS_OPERATOR_MANIFESTS")]
    manifests: Option<PathBuf>,
    /// Base URL of the API of one Alauda account, whose user and password are in the environment
    #[arg(long, value_name = "URL", env = "CAAS_OPERATOR_ALAUDA_ENDPOINT", conflicts_with = "manifests")]
    alauda_endpoint: Option<String>,
    /// User or organization whose services are collected. Default: the user
    #[arg(long, value_name = "NAME", env = "CAAS_OPERATOR_ALAUDA_NAMESPACE", requires = "alauda_endpoint")]
    alauda_namespace: Option<String>,
    /// The account's user
    #[arg(long, value_name = "NAME", env = "ALAUDA_USERNAME")]
    alauda_username: Option<String>,
    /// The account's password; better in the environment than on the command line, where others see it
    #[arg(long, value_name = "PASSWORD", env = "ALAUDA_PASSWORD", hide_env_values = true)]
    alauda_password: Option<SecretString>,
    /// Where metrics, accounts and /sd are served
    #[arg(long, value_name = "ADDRESS", env = "CAAS_OPERATOR_LISTEN", default_value = "0.0.0.0:9104")]
    listen: SocketAddr,
    /// Where /livez and /readyz are served. Default: nowhere
    #[arg(long, value_name = "ADDRESS", env = "CAAS_OPERATOR_LISTEN_HEALTH")]
    listen_health: Option<SocketAddr>,
    #[command(flatten)]
    policy: PolicyOptions,
}

const EXAMPLES: &str = "Examples:
  ALAUDA_USERNAME=acme ALAUDA_PASSWORD=... caas-operator standalone --alauda-endpoint https://caas.example.com/v1/
  caas-operator standalone --manifests ./accounts --allow-cidr 10.20.0.0/16

With --alauda-endpoint, /metrics has the program's own metrics and the account's, with modern and legacy names.
The endpoint is then allowed, whatever its address, since who starts the program chose it.";

/// Why the program does not run.
#[derive(Debug, Error)]
pub(super) enum StandaloneError {
    /// Neither a folder nor an endpoint.
    #[error(
        "there is nothing to collect: give --manifests DIR, or --alauda-endpoint URL with ALAUDA_USERNAME and ALAUDA_PASSWORD in the environment"
    )]
    Nothing,
    /// The variables give no account.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// An address is taken.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The folder cannot be read.
    #[error("the folder of manifests {} cannot be read: {error}; check --manifests", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Signals cannot be had.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
}

/// Runs until SIGINT or SIGTERM.
pub(super) async fn run(args: Args) -> Result<(), StandaloneError> {
    let stop = stop_token().map_err(StandaloneError::Signals)?;
    let policy = args.policy.clone().policy();
    if let Some(environment) = args.environment() {
        let (account, policy) = chosen(&environment, policy)?;
        let listeners = Listeners::bind(args.listen, args.listen_health).await?;
        one_account(account, policy, listeners, stop).await;
        return Ok(());
    }
    let folder = args.manifests.ok_or(StandaloneError::Nothing)?;
    let listeners = Listeners::bind(args.listen, args.listen_health).await?;
    let (house, _) = House::new(policy);
    from_folder(&house, folder, listeners, stop).await
}

impl Args {
    /// The one account that the arguments name; a user or password that is not there is as good as an empty one.
    fn environment(&self) -> Option<Environment> {
        Some(Environment {
            endpoint: self.alauda_endpoint.clone()?,
            username: self.alauda_username.clone().unwrap_or_default(),
            password: self.alauda_password.clone().unwrap_or_default(),
            namespace: self.alauda_namespace.clone(),
        })
    }
}

/// The account, and the policy with its endpoint allowed: who starts the program chose it.
fn chosen(environment: &Environment, mut policy: Policy) -> Result<(Account, Policy), StandaloneError> {
    let account = environment::account(environment, |_| Ok(()))?;
    let endpoint = account.connection.provider.endpoint();
    if endpoint.scheme() == "http" {
        if !is_here(endpoint) {
            tracing::warn!(%endpoint, "the password goes over plain http and can be read on the way; use https");
        }
        policy.allow_http = true;
    }
    // Any address, but of this one endpoint only.
    policy.allow_cidrs = ["0.0.0.0/0", "::/0"].iter().filter_map(|all| all.parse().ok()).collect();
    policy.allow_endpoints = endpoint.as_str().parse().into_iter().collect();
    Ok((account, policy))
}

/// Whether the URL's host is this machine.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

async fn one_account(account: Account, policy: Policy, listeners: Listeners, stop: CancellationToken) {
    let (house, _) = House::new(policy);
    let id = account.id.clone();
    tracing::info!(address = %listeners.address(), endpoint = %account.connection.provider.endpoint(), "serving /metrics");
    house.supervisor.put(account);
    house.run(listeners, Some(id), stop.clone(), stop.cancelled()).await;
}

/// Collects what the folder's manifests ask for until `stop`.
pub(super) async fn from_folder(
    house: &House,
    folder: PathBuf,
    listeners: Listeners,
    stop: CancellationToken,
) -> Result<(), StandaloneError> {
    tracing::info!(address = %listeners.address(), folder = %folder.display(), "serving the folder's accounts");
    let read = house.readiness.expect("the manifests are read");
    let apply = |desired: Desired| {
        tracing::info!(
            accounts = desired.accounts.len(),
            problems = desired.problems.len(),
            faults = desired.faults.len(),
            "manifests read"
        );
        house.supervisor.put_all(desired.accounts, desired.problems);
        read.set(true);
    };
    let watching = watch::watch(
        folder.clone(),
        watch::PERIOD,
        |url| house.policy.check_endpoint(url),
        apply,
        stop.clone(),
    );
    let done = house.run(listeners, None, stop.clone(), watching).await;
    done.map_err(|error| StandaloneError::Folder { folder, error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(endpoint: &str) -> Environment {
        Environment {
            username: "acme".into(),
            password: "secret".to_owned().into(),
            endpoint: endpoint.into(),
            namespace: None,
        }
    }

    #[test]
    fn the_endpoint_of_the_command_line_is_allowed_and_no_other() {
        let (_, policy) = chosen(&environment("http://127.0.0.1:8500/v1/"), Policy::default()).unwrap();
        assert_eq!(policy.check_endpoint(&"http://127.0.0.1:8500/v1/".parse().unwrap()), Ok(()));
        assert!(policy.check_endpoint(&"http://127.0.0.1:9999/v1/".parse().unwrap()).is_err());

        let (_, policy) = chosen(&environment("https://caas.example.com/v1/"), Policy::default()).unwrap();
        assert!(policy.check_endpoint(&"http://caas.example.com/v1/".parse().unwrap()).is_err());
    }
}
