//! `caas-operator standalone`: collects without a cluster, from a folder of manifests or for a single account.

use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args as ClapArgs;
use secrecy::SecretString;
use thiserror::Error;
use tokio::sync::watch::channel as watch_channel;
use tokio_util::sync::CancellationToken;

use super::memory::MemoryOptions;
use super::options::{HostOptions, LinkOptions, PolicyOptions};
use super::otlp::{OtlpError, OtlpOptions};
use super::runtime::{Listeners, Runtime, alongside};
use super::signals::stop_token;
use super::single_account::{self, SingleAccount};
use crate::account::Account;
use crate::account::admission::Admission;
use crate::cloud::Providers;
use crate::cloud::http::Policy;
use crate::server::ListenError;
use crate::standalone::environment::{self, Environment, EnvironmentError};
use crate::standalone::variables::VariablesError;
use crate::standalone::{Desired, watch};

/// Arguments of `standalone`.
#[derive(ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Folder with CaasAccount and Secret manifests; changes are picked up at runtime
    #[arg(long, value_name = "DIR", env = "CAAS_OPERATOR_MANIFESTS")]
    manifests: Option<PathBuf>,
    /// Base URL of the Alauda API, to collect a single account; its user and password are read from the environment
    #[arg(long, value_name = "URL", env = "CAAS_OPERATOR_ALAUDA_ENDPOINT", conflicts_with = "manifests")]
    alauda_endpoint: Option<String>,
    /// User or organization whose services are collected. Default: the username
    #[arg(long, value_name = "NAME", env = "CAAS_OPERATOR_ALAUDA_NAMESPACE", requires = "alauda_endpoint")]
    alauda_namespace: Option<String>,
    /// User of the Alauda account
    #[arg(long, value_name = "NAME", env = "ALAUDA_USERNAME")]
    alauda_username: Option<String>,
    /// Password of the Alauda account. Prefer the variable: other users of the machine can see command lines
    #[arg(long, value_name = "PASSWORD", env = "ALAUDA_PASSWORD", hide_env_values = true)]
    alauda_password: Option<SecretString>,
    #[command(flatten)]
    single: SingleAccount,
    /// Address to serve metrics, accounts and /sd on
    #[arg(long, value_name = "ADDRESS", env = "CAAS_OPERATOR_LISTEN", default_value = "0.0.0.0:9104")]
    listen: SocketAddr,
    /// Address to serve /livez and /readyz on. Default: not served
    #[arg(long, value_name = "ADDRESS", env = "CAAS_OPERATOR_LISTEN_HEALTH")]
    listen_health: Option<SocketAddr>,
    #[command(flatten)]
    hosts: HostOptions,
    #[command(flatten)]
    links: LinkOptions,
    #[command(flatten)]
    policy: PolicyOptions,
    #[command(flatten)]
    memory: MemoryOptions,
    #[command(flatten)]
    otlp: OtlpOptions,
}

const EXAMPLES: &str = "Examples:
  ALAUDA_USERNAME=acme ALAUDA_PASSWORD=... caas-operator standalone --alauda-endpoint https://caas.example.com/v1/
  DIGITALOCEAN_TOKEN=... caas-operator standalone --digitalocean
  caas-operator standalone --manifests ./accounts --allow-cidr 10.20.0.0/16
  caas-operator standalone --manifests ./accounts --otlp-endpoint http://localhost:4318

With a single account, /metrics serves the program's own metrics and the account's metrics;
with --alauda-endpoint, these have modern and legacy names. The endpoint of a single account
is always allowed, even with a private address or plain HTTP.";

/// Why the program does not run.
#[derive(Debug, Error)]
pub(super) enum StandaloneError {
    /// Neither a folder nor an endpoint.
    #[error(
        "nothing to collect: set --manifests DIR, or --alauda-endpoint URL with the variables ALAUDA_USERNAME and ALAUDA_PASSWORD, or one of {}",
        single_account::switches()
    )]
    Nothing,
    /// The variables do not describe an account.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The variables do not describe an account of the provider.
    #[error(transparent)]
    Variables(#[from] VariablesError),
    /// An address cannot be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Nothing can be pushed.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    /// The folder cannot be read.
    #[error("cannot read the folder of manifests {}: {error}; check --manifests", folder.display())]
    Folder {
        /// Its path.
        folder: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(io::Error),
}

/// Runs until SIGINT or SIGTERM.
pub(super) async fn run(args: Args) -> Result<(), StandaloneError> {
    let stop = stop_token().map_err(StandaloneError::Signals)?;
    let policy = args.policy.clone().policy();
    let pusher = args.otlp.pusher()?;
    let allowed_hosts = args.hosts.clone().allowed(None);
    let alauda = args.environment().map(|environment| single_account(&environment, &policy));
    let other = || Some(args.single.account(&policy)?.map_err(StandaloneError::from));
    if let Some(single) = alauda.or_else(other) {
        let (account, policy) = single?;
        let listeners = Listeners::bind(args.listen, args.listen_health, allowed_hosts).await?;
        let (mut runtime, _) = Runtime::new(policy, args.memory.limits());
        runtime.page = args.links.page();
        let _pushing = runtime.push(pusher, &stop);
        run_single_account(&runtime, account, listeners, stop).await;
        return Ok(());
    }
    let folder = args.manifests.ok_or(StandaloneError::Nothing)?;
    let listeners = Listeners::bind(args.listen, args.listen_health, allowed_hosts).await?;
    let (mut runtime, _) = Runtime::new(policy, args.memory.limits());
    runtime.page = args.links.page();
    let _pushing = runtime.push(pusher, &stop);
    from_folder(&runtime, folder, listeners, stop).await
}

impl Args {
    /// The single account that the arguments describe. A missing user or password counts as an empty one.
    fn environment(&self) -> Option<Environment> {
        Some(Environment {
            endpoint: self.alauda_endpoint.clone()?,
            username: self.alauda_username.clone().unwrap_or_default(),
            password: self.alauda_password.clone().unwrap_or_default(),
            namespace: self.alauda_namespace.clone(),
        })
    }
}

/// The account, and a policy that allows its endpoint and no other: the person who starts the program chose it.
fn single_account(environment: &Environment, policy: &Policy) -> Result<(Account, Policy), StandaloneError> {
    let account = environment::account(environment, |_| Ok(()))?;
    let endpoint = account.connection.provider.endpoint();
    let allow_endpoints = endpoint.as_str().parse().into_iter().collect();
    let policy = Policy { allow_endpoints, ..single_account::chosen(policy, endpoint) };
    Ok((account, policy))
}

async fn run_single_account(
    runtime: &Runtime,
    account: Account,
    listeners: Listeners,
    stop: CancellationToken,
) {
    let id = account.id.clone();
    tracing::info!(address = %listeners.address(), endpoint = %account.connection.provider.endpoint(), "serving /metrics");
    runtime.supervisor.put(account);
    let collected =
        runtime.readiness.expect_first_collections(Arc::clone(&runtime.registry), std::future::ready(()));
    runtime.run(listeners, Some(id), stop.clone(), alongside(stop.cancelled(), collected), ready(())).await;
}

/// Collects the accounts of the folder's manifests until `stop`.
pub(super) async fn from_folder(
    runtime: &Runtime,
    folder: PathBuf,
    listeners: Listeners,
    stop: CancellationToken,
) -> Result<(), StandaloneError> {
    tracing::info!(address = %listeners.address(), folder = %folder.display(), "serving the folder's accounts");
    let manifests_read = runtime.readiness.expect("waiting for the manifests to be read");
    let (handed_over, mut is_handed_over) = watch_channel(false);
    let registry = Arc::clone(&runtime.registry);
    let collected = runtime.readiness.expect_first_collections(registry, async move {
        // Without a sender there is nothing more to wait for.
        let _ = is_handed_over.wait_for(|handed_over| *handed_over).await;
    });
    let apply = |desired: Desired| {
        tracing::info!(
            accounts = desired.accounts.len(),
            problems = desired.problems.len(),
            faults = desired.faults.len(),
            "manifests read"
        );
        runtime.supervisor.put_all(desired.accounts, desired.problems);
        manifests_read.set(true);
        handed_over.send_replace(true);
    };
    let admission = Admission::new(Providers::ALL);
    let watching = watch::watch(
        folder.clone(),
        watch::PERIOD,
        &admission,
        |url| runtime.policy.check_endpoint(url),
        apply,
        stop.clone(),
    );
    let done = runtime.run(listeners, None, stop.clone(), alongside(watching, collected), ready(())).await;
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
    fn only_the_endpoint_of_the_command_line_is_allowed() {
        let (_, policy) =
            single_account(&environment("http://127.0.0.1:8500/v1/"), &Policy::default()).unwrap();
        assert_eq!(policy.check_endpoint(&"http://127.0.0.1:8500/v1/".parse().unwrap()), Ok(()));
        assert!(policy.check_endpoint(&"http://127.0.0.1:9999/v1/".parse().unwrap()).is_err());

        let (_, policy) =
            single_account(&environment("https://caas.example.com/v1/"), &Policy::default()).unwrap();
        assert!(policy.check_endpoint(&"http://caas.example.com/v1/".parse().unwrap()).is_err());
    }
}
