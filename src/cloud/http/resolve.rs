//! From a host's name to the addresses that may be dialled. What passes here is what gets dialled, so a name that
//! leads elsewhere a moment later (DNS rebinding) is judged anew with the next connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

use super::guard::Policy;

/// Looks a host's name up.
pub trait Lookup: Send + Sync {
    /// All addresses of the host.
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's own resolver.
#[derive(Debug, Clone, Copy)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((host, 0)).await?;
            Ok(addresses.map(|address| address.ip()).collect())
        })
    }
}

/// The name leads to addresses, but to none that may be dialled.
#[derive(Debug, Clone, Copy, Error)]
#[error("no address of the name may be dialled")]
pub(super) struct AllRefused;

/// Resolves names to allowed addresses only.
pub(super) struct GuardedResolver {
    pub(super) policy: Arc<Policy>,
    pub(super) lookup: Arc<dyn Lookup>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.lookup.lookup(name.as_str().to_owned());
        let policy = Arc::clone(&self.policy);
        Box::pin(async move {
            let mut addresses = found.await?;
            if addresses.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            addresses.retain(|address| policy.allows(*address));
            if addresses.is_empty() {
                return Err(AllRefused.into());
            }
            // Port 0 stands for the port of the URL.
            let dialled: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(dialled)
        })
    }
}
