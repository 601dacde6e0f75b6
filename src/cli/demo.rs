//! `caas-operator demo`: simulated clouds and standalone on this machine, with manifests that are built in.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;
use ipnet::IpNet;
use tempfile::TempDir;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::runtime::{Listeners, Runtime};
use super::signals::stop_token;
use super::standalone::{self, StandaloneError};
use crate::account::AccountId;
use crate::account::admission::Admission;
use crate::cloud::Providers;
use crate::cloud::http::Policy;
use crate::limits::ProcessLimits;
use crate::server::{AllowedHosts, ListenError};
use crate::simulator::{
    Demo, Running, Settings, SimulatedProvider, Simulator, StartError, command_line, providers,
};
use crate::standalone::manifests;

/// Arguments of `demo`.
#[derive(ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Address to serve metrics, accounts and /sd on; port 0 selects any free port
    #[arg(long, value_name = "ADDRESS", env = "CAAS_OPERATOR_LISTEN", default_value = "127.0.0.1:9104")]
    listen: SocketAddr,
    /// Address of the first simulated cloud. Each further cloud listens on the next port, or on any free port if that
    /// is in use. Port 0 selects any free port
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "CAAS_OPERATOR_LISTEN_CLOUD",
        default_value = "127.0.0.1:8500"
    )]
    listen_cloud: SocketAddr,
    /// Fraction of services that stop, scale, restart, appear or disappear: 0 (none) to 1
    #[arg(long, env = "CAAS_OPERATOR_CHURN", default_value_t = 0.1, value_parser = command_line::share)]
    churn: f64,
    /// Seed for services, instances and load; the same seed gives the same cloud
    #[arg(long, env = "CAAS_OPERATOR_SEED", default_value_t = 1)]
    seed: u64,
}

const EXAMPLES: &str = "Examples:
  caas-operator demo
  caas-operator demo --listen 127.0.0.1:0 --listen-cloud 127.0.0.1:0 --churn 0.5

It prints URLs to try once the accounts are collected, and runs until Ctrl-C.";

/// A demo that does not run.
#[derive(Debug, Error)]
pub(super) enum DemoError {
    /// A simulated cloud does not start.
    #[error(
        "the simulated cloud cannot listen on {address}: {error}; choose another address with --listen-cloud"
    )]
    Cloud {
        /// The address that was given.
        address: SocketAddr,
        /// The system's error.
        error: io::Error,
    },
    /// The address for metrics is in use.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The folder of manifests or standard output cannot be written.
    #[error("the demo cannot write to its temporary folder or standard output: {0}")]
    Write(#[from] io::Error),
    /// Collecting ended.
    #[error(transparent)]
    Standalone(#[from] StandaloneError),
}

/// A simulated cloud of the demo.
struct Cloud {
    running: Running,
    demo: Demo,
}

/// Runs until SIGINT or SIGTERM.
pub(super) async fn run(args: Args) -> Result<(), DemoError> {
    let stop = stop_token()?;
    let listeners = Listeners::bind(args.listen, None, AllowedHosts::default()).await?;
    let clouds = start_clouds(&args).await?;
    let manifests = manifests_of(&clouds);
    let folder = write(&manifests)?;
    let addresses = clouds.iter().map(|cloud| reachable(cloud.running.addr).ip());
    let (runtime, _) = Runtime::new(policy(addresses), ProcessLimits::default());
    let accounts = accounts(&manifests);
    let greeting = greeting(&clouds, folder.path(), listeners.address(), accounts.first());
    let greeted = greet_when_collected(&runtime, &accounts, greeting, &stop);
    let collecting = standalone::from_folder(&runtime, folder.path().to_owned(), listeners, stop.clone());
    let (collected, greeted) = tokio::join!(collecting, greeted);
    for cloud in clouds {
        cloud.running.stop().await;
    }
    collected?;
    Ok(greeted?)
}

/// Starts a cloud of each provider that has a demo: the first at the given address, the others at the ports after it, or at
/// any free port where one of those is taken.
async fn start_clouds(args: &Args) -> Result<Vec<Cloud>, DemoError> {
    let mut clouds = Vec::new();
    let mut address = args.listen_cloud;
    for provider in providers() {
        let Some(demo) = provider.demo() else { continue };
        let cloud = match start(&provider, &demo, address, args).await {
            Err(DemoError::Cloud { error, .. })
                if error.kind() == io::ErrorKind::AddrInUse && !clouds.is_empty() =>
            {
                let free = SocketAddr::new(address.ip(), 0);
                start(&provider, &demo, free, args).await?
            }
            started => started?,
        };
        clouds.push(Cloud { running: cloud, demo });
        address = next(address);
    }
    Ok(clouds)
}

/// The same address at the next port. Port 0 stays: it takes any free port.
fn next(mut address: SocketAddr) -> SocketAddr {
    if address.port() > 0 {
        address.set_port(address.port().checked_add(1).unwrap_or(0));
    }
    address
}

async fn start(
    provider: &Arc<dyn SimulatedProvider>,
    demo: &Demo,
    address: SocketAddr,
    args: &Args,
) -> Result<Running, DemoError> {
    let settings = Settings {
        listen: address,
        accounts: demo.accounts.clone(),
        seed: args.seed,
        churn: args.churn,
        ..Settings::of(Arc::clone(provider))
    };
    Simulator::start(settings).await.map_err(|error| {
        let error = match error {
            StartError::InUse(_) => io::Error::from(io::ErrorKind::AddrInUse),
            StartError::Listen { error, .. } => error,
            StartError::Fault(error) => io::Error::other(error),
        };
        DemoError::Cloud { address, error }
    })
}

impl Cloud {
    /// The endpoint at which this machine reaches it.
    fn endpoint(&self) -> String {
        let addr = self.running.addr;
        self.running.url().replace(&addr.to_string(), &reachable(addr).to_string())
    }
}

/// The address at which this machine reaches a cloud: one that listens everywhere listens on loopback too.
fn reachable(mut listens: SocketAddr) -> SocketAddr {
    match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listens.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listens.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listens
}

/// Allows loopback, for clouds that users add, and the addresses of the simulated clouds where they are others.
fn policy(clouds: impl Iterator<Item = IpAddr>) -> Policy {
    let loopback = ["127.0.0.0/8", "::1/128"].iter().filter_map(|cidr| cidr.parse().ok());
    let allow_cidrs = loopback.chain(clouds.map(IpNet::from)).collect();
    Policy { allow_http: true, allow_cidrs, ..Policy::default() }
}

/// Names and texts of the manifests of all clouds, with their real endpoints.
fn manifests_of(clouds: &[Cloud]) -> Vec<(&'static str, String)> {
    let of_cloud = |cloud: &Cloud| {
        let endpoint = cloud.endpoint();
        let real =
            |(name, text): &(&'static str, &str)| (*name, text.replace(cloud.demo.endpoint, &endpoint));
        cloud.demo.manifests.iter().map(real).collect::<Vec<_>>()
    };
    clouds.iter().flat_map(of_cloud).collect()
}

/// The accounts of these manifests.
fn accounts(manifests: &[(&str, String)]) -> Vec<AccountId> {
    let admission = Admission::new(Providers::ALL);
    let files: Vec<_> =
        manifests.iter().map(|(name, text)| manifests::parse(&admission, name, text)).collect();
    manifests::desired(Providers::ALL, &files, |_| Ok(()))
        .accounts
        .into_iter()
        .map(|account| account.id)
        .collect()
}

/// Writes the manifests to a folder that is removed when the demo ends.
fn write(manifests: &[(&str, String)]) -> io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("caas-operator-demo-").tempdir()?;
    for (name, text) in manifests {
        std::fs::write(folder.path().join(name), text)?;
    }
    Ok(folder)
}

/// Prints the greeting once all accounts are collected.
async fn greet_when_collected(
    runtime: &Runtime,
    accounts: &[AccountId],
    greeting: String,
    stop: &CancellationToken,
) -> io::Result<()> {
    let collected =
        || accounts.iter().all(|id| runtime.registry.get(id).is_some_and(|entry| entry.snapshot.is_some()));
    while !collected() {
        let tick = tokio::time::sleep(Duration::from_millis(50));
        if stop.run_until_cancelled(tick).await.is_none() {
            return Ok(());
        }
    }
    let mut out = io::stdout();
    out.write_all(greeting.as_bytes())?;
    out.flush()
}

fn greeting(clouds: &[Cloud], folder: &Path, address: SocketAddr, account: Option<&AccountId>) -> String {
    let listening = |cloud: &Cloud| {
        format!("A simulated {} cloud listens on {}", cloud.running.title(), cloud.endpoint())
    };
    let listening = clouds.iter().map(listening).collect::<Vec<_>>().join("\n");
    let account = account.map(|id| format!("{}/{}", id.namespace, id.name)).unwrap_or_default();
    format!(
        "
{listening}
Edit the manifests in {folder} to see changes picked up.

  an account's series     curl -s http://{address}/accounts/{account}/metrics
  the legacy gauges       curl -s http://{address}/accounts/{account}/metrics/legacy
  accounts as JSON        curl -s http://{address}/accounts
  one account as JSON     curl -s http://{address}/accounts/{account}
  the program's metrics   curl -s http://{address}/metrics
  targets for Prometheus  curl -s http://{address}/sd
  all of it in a browser  http://{address}/

Stop it with Ctrl-C.
",
        folder = folder.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_may_listen_on_any_address_of_the_machine() {
        for (listens, reached) in [
            ("127.0.0.1:8500", "127.0.0.1:8500"),
            ("0.0.0.0:8500", "127.0.0.1:8500"),
            ("[::]:8500", "[::1]:8500"),
            ("192.168.1.7:8500", "192.168.1.7:8500"),
            ("[fd00::7]:8500", "[fd00::7]:8500"),
        ] {
            let address = reachable(listens.parse().unwrap());
            assert_eq!(address.to_string(), reached);
            let endpoint = format!("http://{address}/v1/").parse().unwrap();
            assert_eq!(policy([address.ip()].into_iter()).check_endpoint(&endpoint), Ok(()), "{listens}");
        }
    }

    #[test]
    fn the_second_cloud_listens_at_the_next_port_or_any_free_one() {
        for (first, second) in
            [("[::1]:8500", "[::1]:8501"), ("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1:65535", "127.0.0.1:0")]
        {
            assert_eq!(next(first.parse().unwrap()).to_string(), second);
        }
    }

    #[test]
    fn the_manifests_of_each_cloud_log_in_as_its_users() {
        let demos: Vec<Demo> = providers().iter().filter_map(|provider| provider.demo()).collect();
        assert!(!demos.is_empty());
        let admission = Admission::new(Providers::ALL);
        for demo in demos {
            let manifests = demo.manifests.iter();
            let files: Vec<_> =
                manifests.map(|(name, text)| manifests::parse(&admission, name, text)).collect();
            let desired = manifests::desired(Providers::ALL, &files, |_| Ok(()));
            assert_eq!((desired.problems, desired.faults), (vec![], vec![]));
            assert_eq!(desired.accounts.len(), demo.accounts.len());
            for (user, (_, text)) in demo.accounts.iter().zip(demo.manifests) {
                assert!(text.contains(&user.username) && text.contains(demo.endpoint), "{text}");
                assert!(text.contains(user.password.as_deref().unwrap()), "{text}");
            }
        }
    }
}
