//! From a host's name to the addresses that may be dialled. What passes here is what gets dialled, so a name that
//! leads elsewhere a moment later (DNS rebinding) is judged anew with the next connection.
//!
//! The system's resolver takes a thread for each lookup and keeps it until it has an answer, whether or not anybody still
//! waits. The same threads render what accounts expose, so a name server that does not answer must not get all of them.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use tokio::sync::Semaphore;

use super::guard::Policy;

/// The most lookups under way at once: half of the threads that the runtime has for what blocks.
const MOST_LOOKUPS: usize = 256;

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

/// Lookups under way: one a host, however many connections wait for it. Nothing is kept of one that has ended.
pub(super) struct Lookups {
    lookup: Arc<dyn Lookup>,
    turns: Semaphore,
    under_way: Mutex<HashMap<String, Found>>,
}

/// The addresses of a host, for all who wait for them.
type Found = Shared<BoxFuture<'static, Result<Arc<[IpAddr]>, io::ErrorKind>>>;

impl Lookups {
    pub(super) fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self { lookup, turns: Semaphore::new(MOST_LOOKUPS), under_way: Mutex::default() }
    }

    /// Joins the lookup of this host, or begins it. It goes on to its end when nobody waits any more, as its thread does.
    fn find(self: &Arc<Self>, host: &str) -> Found {
        let mut under_way = self.under_way();
        // One that has ended and still stands there did not end well.
        if let Some(found) = under_way.get(host).filter(|found| found.peek().is_none()) {
            return found.clone();
        }
        let (lookups, name) = (Arc::clone(self), host.to_owned());
        let looking = tokio::spawn(async move {
            // Fails only when closed, which nobody does.
            let _turn = lookups.turns.acquire().await.ok();
            let found = lookups.lookup.lookup(name.clone()).await;
            lookups.under_way().remove(&name);
            found.map(Arc::from).map_err(|error| error.kind())
        });
        let found = looking.map(|found| found.unwrap_or(Err(io::ErrorKind::Other))).boxed().shared();
        under_way.insert(host.to_owned(), found.clone());
        found
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, Found>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves names to allowed addresses only.
pub(super) struct GuardedResolver {
    pub(super) policy: Arc<Policy>,
    pub(super) lookups: Arc<Lookups>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.lookups.find(name.as_str());
        let policy = Arc::clone(&self.policy);
        Box::pin(async move {
            let found = found.await.map_err(io::Error::from)?;
            if found.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            let addresses: Vec<_> = found.iter().copied().filter(|address| policy.allows(*address)).collect();
            if addresses.is_empty() {
                return Err(AllRefused.into());
            }
            // Port 0 stands for the port of the URL.
            let dialled: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(dialled)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::future::join_all;
    use tokio::time::timeout;

    use super::*;

    /// Answers nothing before it is open.
    struct Gate {
        asked: AtomicUsize,
        open: Arc<Semaphore>,
    }

    impl Lookup for Gate {
        fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let open = Arc::clone(&self.open);
            Box::pin(async move {
                // What is closed is open to all.
                let _ = open.acquire().await;
                assert_ne!(host, "breaks");
                Ok(vec![IpAddr::from([8, 8, 8, 8])])
            })
        }
    }

    fn gated() -> (Arc<Gate>, Arc<Lookups>) {
        let gate = Arc::new(Gate { asked: AtomicUsize::new(0), open: Arc::new(Semaphore::new(0)) });
        (Arc::clone(&gate), Arc::new(Lookups::new(gate)))
    }

    #[tokio::test(start_paused = true)]
    async fn lookups_of_many_hosts_leave_threads_to_others() {
        let (gate, lookups) = gated();
        let found = || join_all((0..300).map(|number| lookups.find(&format!("{number}.example"))));
        assert!(timeout(Duration::from_secs(5), found()).await.is_err());
        assert!(timeout(Duration::from_secs(5), found()).await.is_err(), "asked for again in vain");
        assert_eq!(gate.asked.load(Ordering::Relaxed), MOST_LOOKUPS);

        gate.open.close();
        assert!(found().await.iter().all(Result::is_ok));
        assert_eq!(gate.asked.load(Ordering::Relaxed), 300);
        assert!(lookups.under_way().is_empty(), "nothing is kept");
    }

    #[tokio::test]
    async fn a_lookup_that_breaks_is_begun_anew() {
        let (gate, lookups) = gated();
        gate.open.close();
        for asked in 1..=2 {
            assert!(lookups.find("breaks").await.is_err());
            assert_eq!(gate.asked.load(Ordering::Relaxed), asked);
        }
    }
}
