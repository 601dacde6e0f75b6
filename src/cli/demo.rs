//! `caas-operator demo`: a simulated cloud and standalone on this machine, with manifests that are built in.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
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
use crate::cloud::http::Policy;
use crate::server::ListenError;
use crate::simulator::{AccountSettings, Running, Settings, Simulator, StartError};

/// The manifests of `examples/demo`, with the endpoint that stands in them.
const MANIFESTS: [(&str, &str); 2] = [
    ("acme.yaml", include_str!("../../examples/demo/acme.yaml")),
    ("globex.yaml", include_str!("../../examples/demo/globex.yaml")),
];
const ENDPOINT: &str = "http://127.0.0.1:8500/v1/";

/// The users of the simulated cloud: name, password, services, instances each.
const USERS: [(&str, &str, usize, usize); 2] =
    [("acme", "demo-password-of-acme", 20, 5), ("globex", "demo-password-of-globex", 8, 3)];

/// Arguments of `demo`.
#[derive(ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Where metrics, accounts and /sd are served; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS", env = "CAAS_OPERATOR_LISTEN", default_value = "127.0.0.1:9104")]
    listen: SocketAddr,
    /// Where the simulated cloud listens; port 0 takes any that is free
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "CAAS_OPERATOR_LISTEN_CLOUD",
        default_value = "127.0.0.1:8500"
    )]
    listen_cloud: SocketAddr,
    /// The share of services that stop, scale, restart, come and go: 0 (none) to 1
    #[arg(long, env = "CAAS_OPERATOR_CHURN", default_value_t = 0.1, value_parser = super::simulate::share)]
    churn: f64,
    /// Clouds of the same seed hold the same services, instances and loads
    #[arg(long, env = "CAAS_OPERATOR_SEED", default_value_t = 1)]
    seed: u64,
}

const EXAMPLES: &str = "Examples:
  caas-operator demo
  caas-operator demo --listen 127.0.0.1:0 --listen-cloud 127.0.0.1:0 --churn 0.5

It says where to look once there is something to see, and runs until Ctrl-C.";

/// Why there is no demo.
#[derive(Debug, Error)]
pub(super) enum DemoError {
    /// The simulated cloud has no address.
    #[error(
        "the simulated cloud cannot listen on {address}: {error}; choose another address with --listen-cloud"
    )]
    Cloud {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// The address for metrics is taken.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The folder of manifests cannot be written, or nothing printed.
    #[error("the demo cannot write to its temporary folder or standard output: {0}")]
    Write(#[from] io::Error),
    /// Collecting ended.
    #[error(transparent)]
    Standalone(#[from] StandaloneError),
}

/// Runs until SIGINT or SIGTERM.
pub(super) async fn run(args: Args) -> Result<(), DemoError> {
    let stop = stop_token()?;
    let listeners = Listeners::bind(args.listen, None).await?;
    let cloud = simulated_cloud(&args).await?;
    let address = reachable(cloud.addr);
    let endpoint = format!("http://{address}/v1/");
    let folder = manifests(&endpoint)?;
    let (runtime, _) = Runtime::new(policy(address.ip()));
    let greeting = greeting(&endpoint, folder.path(), listeners.address());
    let greeted = greet_when_collected(&runtime, greeting, &stop);
    let collecting = standalone::from_folder(&runtime, folder.path().to_owned(), listeners, stop.clone());
    let (collected, greeted) = tokio::join!(collecting, greeted);
    cloud.stop().await;
    collected?;
    Ok(greeted?)
}

async fn simulated_cloud(args: &Args) -> Result<Running, DemoError> {
    let account = |(user, password, services, instances): (&str, &str, usize, usize)| AccountSettings {
        password: Some(password.to_owned()),
        services,
        instances,
        ..AccountSettings::new(user)
    };
    let settings = Settings {
        listen: args.listen_cloud,
        accounts: USERS.into_iter().map(account).collect(),
        seed: args.seed,
        churn: args.churn,
        ..Settings::default()
    };
    Simulator::start(settings).await.map_err(|error| {
        let (address, error) = match error {
            StartError::InUse(address) => (address, io::Error::from(io::ErrorKind::AddrInUse)),
            StartError::Listen { address, error } => (address, error),
        };
        DemoError::Cloud { address, error }
    })
}

/// Where the cloud can be asked: one that listens everywhere listens on loopback too.
fn reachable(mut listens: SocketAddr) -> SocketAddr {
    match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listens.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listens.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listens
}

/// Allows loopback, for clouds that somebody adds, and the simulated cloud's address where it is another.
fn policy(cloud: IpAddr) -> Policy {
    let loopback = ["127.0.0.0/8", "::1/128"].iter().filter_map(|cidr| cidr.parse().ok());
    let allow_cidrs = loopback.chain([IpNet::from(cloud)]).collect();
    Policy { allow_http: true, allow_cidrs, ..Policy::default() }
}

/// Writes the manifests, with the cloud's real address, to a folder that goes when the demo ends.
fn manifests(endpoint: &str) -> io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("caas-operator-demo-").tempdir()?;
    for (name, text) in MANIFESTS {
        std::fs::write(folder.path().join(name), text.replace(ENDPOINT, endpoint))?;
    }
    Ok(folder)
}

/// Says where to look once there is something to see.
async fn greet_when_collected(
    runtime: &Runtime,
    greeting: String,
    stop: &CancellationToken,
) -> io::Result<()> {
    let wanted = [AccountId::new("team-a", "acme"), AccountId::new("team-b", "globex")];
    let collected =
        || wanted.iter().all(|id| runtime.registry.get(id).is_some_and(|entry| entry.snapshot.is_some()));
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

fn greeting(cloud: &str, folder: &Path, address: SocketAddr) -> String {
    format!(
        "
A simulated Alauda cloud listens on {cloud}; two of its accounts are collected every 5 s,
as the manifests in {folder} say. Edit them, and see the change picked up.

  an account's series     curl -s http://{address}/accounts/team-a/acme/metrics
  the article's gauges    curl -s http://{address}/accounts/team-a/acme/metrics/legacy
  accounts as JSON        curl -s http://{address}/accounts
  one account as JSON     curl -s http://{address}/accounts/team-a/acme
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
    use crate::standalone::manifests;

    #[test]
    fn a_cloud_may_listen_on_any_address_of_the_machine() {
        for (listens, asked) in [
            ("127.0.0.1:8500", "127.0.0.1:8500"),
            ("0.0.0.0:8500", "127.0.0.1:8500"),
            ("[::]:8500", "[::1]:8500"),
            ("192.168.1.7:8500", "192.168.1.7:8500"),
            ("[fd00::7]:8500", "[fd00::7]:8500"),
        ] {
            let address = reachable(listens.parse().unwrap());
            assert_eq!(address.to_string(), asked);
            let endpoint = format!("http://{address}/v1/").parse().unwrap();
            assert_eq!(policy(address.ip()).check_endpoint(&endpoint), Ok(()), "{listens}");
        }
    }

    #[test]
    fn the_built_in_manifests_log_in_as_the_simulated_users() {
        let files = MANIFESTS.map(|(name, text)| manifests::parse(name, text));
        let desired = manifests::desired(&files, |_| Ok(()));
        assert_eq!((desired.problems, desired.faults), (vec![], vec![]));
        let users: Vec<&str> =
            desired.accounts.iter().filter_map(|account| account.connection.credentials.username()).collect();
        assert_eq!(users, USERS.map(|(user, ..)| user));
        for (_, text) in MANIFESTS {
            assert!(text.contains(ENDPOINT));
            assert!(USERS.iter().any(|(_, password, ..)| text.contains(password)));
        }
    }
}
