//! The clouds that the pages name, simulated at their public names: HTTPS, certificates that this machine's programs trust,
//! addresses that are no private ones. So what a page says works without an option that it does not have.
//!
//! All of it is inside the namespaces of the test: nothing of it can be reached from elsewhere, and nothing leaves.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, bail};
use caas_operator::simulator::{AccountSettings, Running, Settings, Simulator, providers};

use super::cloud::authority;
use super::hosts::mount_over;
use super::network;
use super::world::World;

/// The password of every user, and every token.
pub(crate) const PASSWORD: &str = "open-sesame";

/// Provider, user and host of each cloud.
const CLOUDS: [(&str, &str, &str); 6] = [
    ("alauda", "acme", "caas.example.com"),
    ("cloudfoundry", "exporter@example.com", "api.sys.example.com"),
    ("digitalocean", "acme", "api.digitalocean.com"),
    ("northflank", "acme", "api.northflank.com"),
    ("railway", "acme", "backboard.railway.com"),
    ("render", "acme", "api.render.com"),
];

/// Where distributions keep the certificates of authorities.
const BUNDLES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// Starts all of them; they run for as long as they are held.
pub(crate) async fn start(world: &World) -> anyhow::Result<Vec<Running>> {
    trust(world.plane.scratch().path())?;
    // The world's own cloud of that name has an address for documentation, which accounts may not use by default.
    world.hosts.remove(world.cloud.address())?;
    let mut clouds = Vec::new();
    for (number, (provider, user, host)) in (1..).zip(CLOUDS) {
        // Of the network that example.com was in: public, and here nobody else's.
        let address = Ipv4Addr::new(93, 184, 216, number);
        network::add_address(address).await?;
        world.hosts.add(address, &[host.to_owned()])?;
        let simulated = providers().into_iter().find(|simulated| simulated.name() == provider);
        let account = AccountSettings {
            password: Some(PASSWORD.to_owned()),
            namespace: Some("acme".to_owned()),
            services: 4,
            instances: 2,
            ..AccountSettings::new(user)
        };
        let settings = Settings {
            listen: SocketAddr::from((address, 443)),
            tls: Some(authority().server(host)?),
            accounts: vec![account],
            ..Settings::of(simulated.with_context(|| format!("{provider} is not simulated"))?)
        };
        clouds.push(Simulator::start(settings).await.with_context(|| host.to_owned())?);
    }
    Ok(clouds)
}

/// Adds the authority that signs their certificates to those that all programs here trust.
fn trust(folder: &Path) -> anyhow::Result<()> {
    let (mut all, there) = (authority().pem.clone(), BUNDLES.map(Path::new));
    let there: Vec<_> = there.into_iter().filter(|bundle| bundle.exists()).collect();
    let Some(first) = there.first() else { bail!("there are no CA certificates at any of {BUNDLES:?}") };
    all.push_str(&fs::read_to_string(first)?);
    let file = folder.join("authorities.pem");
    fs::write(&file, all)?;
    there.into_iter().try_for_each(|bundle| mount_over(&file, bundle))
}
