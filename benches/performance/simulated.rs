//! The simulated cloud, in a process of its own, and accounts of it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use caas_operator::account::{self, Account, AccountId, Exposition, Names, Schedule};
use caas_operator::cloud::alauda::{self, AlaudaAccount};
use caas_operator::cloud::http::{AccountLimits, Http, Policy};
use caas_operator::cloud::{Credentials, ServiceFilter};
use caas_operator::collector::{Connect, HttpClouds, Registry, Supervisor};
use caas_operator::telemetry;
use serde_json::Value;
use tokio::sync::mpsc;

use super::http::Connection;

/// The credentials of the cloud's user.
pub(crate) const USER: &str = "acme";
pub(crate) const PASSWORD: &str = "bench";

/// A running cloud; it stops when dropped.
pub(crate) struct Cloud {
    child: Child,
    /// The base URL of its API.
    pub(crate) endpoint: String,
}

impl Cloud {
    /// Starts `caas-operator simulate alauda`.
    pub(crate) fn start(services: usize, instances: usize, latency: Duration) -> Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_caas-operator"))
            .args(["simulate", "alauda", "--listen", "127.0.0.1:0", "--password", PASSWORD])
            .args(["--services", &services.to_string(), "--instances", &instances.to_string()])
            .args(["--latency-ms", &latency.as_millis().to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("the simulated cloud")?;
        let mut greeting = String::new();
        let output = child.stdout.as_mut().context("its output")?;
        BufReader::new(output).read_line(&mut greeting).context("its greeting")?;
        let endpoint = greeting.split_whitespace().last().context("its address")?.to_owned();
        Ok(Self { child, endpoint })
    }

    /// Its address.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        let host = self.endpoint.trim_start_matches("http://").split('/').next().unwrap_or_default();
        host.parse().with_context(|| self.endpoint.clone())
    }

    /// All requests except logins since the start.
    pub(crate) fn requests(&self) -> Result<f64> {
        let body = Connection::to(self.address()?)?.get("/_sim/counts", "")?;
        let counts: Value = serde_json::from_slice(&body).context("its counts")?;
        let count = |kind: &str| counts[kind].as_f64().with_context(|| kind.to_owned());
        Ok(count("total")? - count("login")?)
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How an account is collected in a measurement.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) in_flight: usize,
    pub(crate) per_second: u32,
    pub(crate) interval: Duration,
}

/// The account of this number at this endpoint.
pub(crate) fn account(endpoint: &str, number: usize, pace: Pace) -> Result<Account> {
    let provider = AlaudaAccount {
        settings: alauda::Settings {
            endpoint: endpoint.parse().context("the endpoint")?,
            namespace: USER.to_owned(),
            metrics_window: Duration::from_secs(100),
            metrics_lag: Duration::from_secs(30),
        },
        credentials: Credentials::Password {
            username: USER.to_owned(),
            password: PASSWORD.to_owned().into(),
        },
    };
    Ok(Account {
        id: AccountId::new("bench", &format!("account-{number}")),
        uid: format!("00000000-0000-4000-8000-{number:012}"),
        connection: account::Connection {
            provider: Arc::new(provider),
            ca_bundle: None,
            limits: AccountLimits {
                request_timeout: Duration::from_secs(60),
                max_concurrent: pace.in_flight,
                requests_per_second: pace.per_second,
            },
        },
        schedule: Schedule { interval: pace.interval, stale_after: Duration::from_secs(300) },
        selection: ServiceFilter::default(),
        exposition: Exposition { names: Names::Modern, source_timestamps: false, max_series: 10_000_000 },
        targets: Vec::new(),
        origin: account::Origin::default(),
    })
}

/// So many accounts at this endpoint, once each of them has been collected and is idle for an hour.
pub(crate) async fn idle_accounts(
    clouds: Arc<dyn Connect>,
    metrics: &Arc<telemetry::Metrics>,
    endpoint: &str,
    count: usize,
) -> Result<(Supervisor, Arc<Registry>)> {
    let pace = Pace { in_flight: 32, per_second: 50, interval: Duration::from_secs(3600) };
    let registry = Arc::new(Registry::default());
    let (transitions, _) = mpsc::channel(1);
    let supervisor = Supervisor::new(clouds, Arc::clone(&registry), Arc::clone(metrics), transitions);
    for number in 0..count {
        supervisor.put(account(endpoint, number, pace)?);
    }
    while registry.states().get("Collected") != Some(&i64::try_from(count)?) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok((supervisor, registry))
}

/// An HTTP client that may connect to this machine.
pub(crate) fn wire() -> Result<Http> {
    let here = "127.0.0.0/8".parse().context("a network")?;
    Ok(Http::new(Policy { allow_http: true, allow_cidrs: vec![here], ..Policy::default() }))
}

/// Clouds with an HTTP client of their own.
pub(crate) fn clouds(metrics: &Arc<telemetry::Metrics>) -> Result<HttpClouds> {
    Ok(HttpClouds::new(wire()?, Arc::clone(metrics)))
}
