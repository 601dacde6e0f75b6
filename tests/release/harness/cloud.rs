//! Simulated clouds that speak HTTPS at addresses and names of their own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use caas_operator::simulator::{AccountSettings, Running, Settings, Simulator};

use super::hosts::Hosts;
use super::network;
use crate::authority::Authority;

/// The password of every user.
pub(crate) const PASSWORD: &str = "open sesame";

/// The network of all clouds' addresses, for the administrator to allow.
pub(crate) const NETWORK: &str = "203.0.113.0/24";

/// A simulated cloud.
pub(crate) struct Cloud {
    /// The endpoint for accounts.
    pub(crate) endpoint: String,
    /// The simulator, to compare with its state and to set faults.
    pub(crate) running: Running,
    address: Ipv4Addr,
    tls: Arc<rustls::ServerConfig>,
}

/// A user with this many services of two instances each.
pub(crate) fn user(name: &str, services: usize) -> AccountSettings {
    AccountSettings {
        password: Some(PASSWORD.to_owned()),
        services,
        instances: 2,
        ..AccountSettings::new(name)
    }
}

impl Cloud {
    /// Starts one at `203.0.113.<number>` with the name `<name>.example.com`.
    pub(crate) async fn start(
        hosts: &Hosts,
        name: &str,
        number: u8,
        users: Vec<AccountSettings>,
    ) -> anyhow::Result<Self> {
        Self::start_as(hosts, name, number, Settings { accounts: users, ..Settings::default() }).await
    }

    /// The same with further settings.
    pub(crate) async fn start_as(
        hosts: &Hosts,
        name: &str,
        number: u8,
        settings: Settings,
    ) -> anyhow::Result<Self> {
        let (name, address) = (format!("{name}.example.com"), Ipv4Addr::new(203, 0, 113, number));
        network::add_address(address).await?;
        hosts.add(address, std::slice::from_ref(&name))?;
        let tls = authority().server(&name)?;
        let running = begin(address, Arc::clone(&tls), settings).await?;
        Ok(Self { endpoint: format!("https://{name}/v1/"), running, address, tls })
    }

    /// The address that its name stands for.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Restarts it with other users' services. Tokens become invalid.
    pub(crate) async fn restart(self, users: Vec<AccountSettings>) -> anyhow::Result<Self> {
        self.restart_as(Settings { accounts: users, ..Settings::default() }).await
    }

    /// The same with further settings.
    pub(crate) async fn restart_as(self, settings: Settings) -> anyhow::Result<Self> {
        let Self { endpoint, running, address, tls } = self;
        running.stop().await;
        let running = begin(address, Arc::clone(&tls), settings).await?;
        Ok(Self { endpoint, running, address, tls })
    }
}

async fn begin(
    address: Ipv4Addr,
    tls: Arc<rustls::ServerConfig>,
    settings: Settings,
) -> anyhow::Result<Running> {
    let listen = SocketAddr::from((address, 443));
    let settings = Settings { listen, tls: Some(tls), ..settings };
    Simulator::start(settings).await.context("a simulated cloud")
}

/// Signs the certificates of all clouds. Accounts reference it in `spec.tls`.
pub(crate) fn authority() -> &'static Authority {
    static SHARED: OnceLock<Authority> = OnceLock::new();
    SHARED.get_or_init(|| Authority::new().expect("an authority"))
}
