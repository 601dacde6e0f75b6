//! What a simulated cloud is started with. Plain values; passwords are among them, so nothing here has `Debug`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::account::AccountSettings;
use super::clock::Clock;
use super::faults::Fault;
use super::provider::SimulatedProvider;

/// How a simulated cloud behaves.
#[derive(Clone)]
pub struct Settings {
    /// Whose cloud it is, with the options of its API.
    pub provider: Arc<dyn SimulatedProvider>,
    /// Where it listens; port 0 means any free port.
    pub listen: SocketAddr,
    /// Who may log in.
    pub accounts: Vec<AccountSettings>,
    /// Clouds with the same seed contain the same services, instances and loads.
    pub seed: u64,
    /// The share of services that change, 0.0 to 1.0.
    pub churn: f64,
    /// How long each response takes.
    pub latency: Duration,
    /// What goes wrong from the start.
    pub faults: Vec<Fault>,
    /// The clock that it reads.
    pub clock: Clock,
    /// Serves HTTPS with this, else HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Settings {
    /// A cloud of this provider on a free port of this machine, with one user named `acme`.
    pub fn of(provider: Arc<dyn SimulatedProvider>) -> Self {
        Self {
            provider,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            accounts: vec![AccountSettings::new("acme")],
            seed: 1,
            churn: 0.0,
            latency: Duration::ZERO,
            faults: Vec::new(),
            clock: Clock::system(),
            tls: None,
        }
    }
}

impl<P: SimulatedProvider + 'static> From<P> for Settings {
    fn from(provider: P) -> Self {
        Self::of(Arc::new(provider))
    }
}
