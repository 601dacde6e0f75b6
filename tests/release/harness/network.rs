//! The machine's side of the network: addresses on loopback, and a network namespace for each Pod, tied to ours by a
//! pair of virtual interfaces. Knows nothing of Pods and Services.

use std::net::Ipv4Addr;
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;

/// The node's address, where the API server listens.
pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);

/// Brings loopback up and adds the node's address.
pub(crate) async fn begin() -> anyhow::Result<()> {
    ip("link set lo up").await?;
    add_address(NODE).await
}

/// Adds an address to this machine.
pub(crate) async fn add_address(address: Ipv4Addr) -> anyhow::Result<()> {
    ip(&format!("address replace {address}/32 dev lo")).await
}

/// Removes it.
pub(crate) async fn remove_address(address: Ipv4Addr) -> anyhow::Result<()> {
    ip(&format!("address delete {address}/32 dev lo")).await
}

/// A Pod's network: its own namespace with its address, gone with [`PodNetwork::remove`].
pub(crate) struct PodNetwork {
    /// The namespace's name, for `ip netns exec`.
    pub(crate) name: String,
    /// The Pod's address.
    pub(crate) address: Ipv4Addr,
}

impl PodNetwork {
    /// Makes the `number`th.
    pub(crate) async fn create(number: u8) -> anyhow::Result<Self> {
        let name = format!("pod-{number}");
        let address = Ipv4Addr::new(10, 244, 1, number);
        ip(&format!("netns add {name}")).await?;
        ip(&format!("link add {name} type veth peer name eth0 netns {name}")).await?;
        for inside in [
            "link set lo up".to_owned(),
            "link set eth0 up".to_owned(),
            format!("address add {address}/32 dev eth0"),
            format!("route add {NODE} dev eth0 scope link"),
            format!("route add default via {NODE}"),
        ] {
            ip(&format!("-netns {name} {inside}")).await?;
        }
        ip(&format!("link set {name} up")).await?;
        ip(&format!("route add {address}/32 dev {name}")).await?;
        Ok(Self { name, address })
    }

    /// Removes it. Its interfaces go with the namespace, that with its last process.
    pub(crate) async fn remove(&self) -> anyhow::Result<()> {
        ip(&format!("link delete {}", self.name)).await?;
        ip(&format!("netns delete {}", self.name)).await
    }
}

async fn ip(words: &str) -> anyhow::Result<()> {
    let output = Command::new("ip")
        .args(words.split(' '))
        .stdin(Stdio::null())
        .output()
        .await
        .context("starting ip (iproute2)")?;
    ensure!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
