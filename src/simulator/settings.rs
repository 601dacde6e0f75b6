//! What a simulated cloud is started with. Plain values; passwords stand in them, so nothing here has `Debug`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::clock::Clock;
use super::faults::Fault;
use super::numbers::{hash, hash_text, hex};

/// One user and what belongs to them.
#[derive(Clone)]
pub struct AccountSettings {
    /// The user's name.
    pub username: String,
    /// The password; `None` for one made of the seed and the name.
    pub password: Option<String>,
    /// The namespace in the paths, an organization's name, say; `None` for the user's name.
    pub namespace: Option<String>,
    /// How many services.
    pub services: usize,
    /// How many instances each of them has.
    pub instances: usize,
    /// How many of the services belong to an application.
    pub applications: usize,
}

impl AccountSettings {
    /// A user of this name with 20 services of 5 instances.
    pub fn new(username: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: None,
            namespace: None,
            services: 20,
            instances: 5,
            applications: 0,
        }
    }

    /// The given password, or the one made of the seed.
    pub(super) fn password(&self, seed: u64) -> String {
        let made = || hex(hash(&[seed, hash_text(&self.username), 1]), 16);
        self.password.clone().unwrap_or_else(made)
    }

    /// The given namespace, or the user's name.
    pub(super) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or(&self.username)
    }
}

/// How a simulated cloud behaves.
#[derive(Clone)]
pub struct Settings {
    /// Where it listens; port 0 for any that is free.
    pub listen: SocketAddr,
    /// Who may log in.
    pub accounts: Vec<AccountSettings>,
    /// Clouds of the same seed hold the same.
    pub seed: u64,
    /// The share of services that change, 0.0 to 1.0.
    pub churn: f64,
    /// How long each answer takes.
    pub latency: Duration,
    /// How many services a page lists.
    pub page_size: usize,
    /// Whether the format drifts over its years, from one service and instance to the next.
    pub drift: bool,
    /// Whether instances stand inside the services that list them.
    pub inline_instances: bool,
    /// Whether `next` and `previous` are paths instead of URLs.
    pub relative_next: bool,
    /// What goes wrong from the beginning.
    pub faults: Vec<Fault>,
    /// What time it is.
    pub clock: Clock,
    /// Speaks HTTPS with this, else HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            accounts: vec![AccountSettings::new("acme")],
            seed: 1,
            churn: 0.0,
            latency: Duration::ZERO,
            page_size: 20,
            drift: false,
            inline_instances: true,
            relative_next: false,
            faults: Vec::new(),
            clock: Clock::system(),
            tls: None,
        }
    }
}
