//! Resolves a host's name to the addresses that may be dialled. The addresses that pass are the ones dialled, so a name
//! that changes a moment later (DNS rebinding) is checked again with the next connection.
//!
//! The system's resolver blocks one thread per lookup until it has an answer, even if nobody waits for it any more. The
//! same threads render metrics, so a name server that does not answer must not block all of them, and the hosts of one
//! namespace must not use up the lookups of the others.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use hyper_util::client::legacy::connect::dns::Name;
use thiserror::Error;
use tower::Service;

use super::guard::Policy;
use crate::limits::{SharedPermit, Shares};

/// The most lookups at once: half of the runtime's blocking threads. A namespace may have a third of them.
const MAX_LOOKUPS: usize = 256;

/// Looks up the addresses of a host.
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

/// Why there is no address to dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum NoAddress {
    /// The name has addresses, but none that may be dialled.
    #[error("none of the host's addresses is allowed")]
    AllRefused,
    /// The name has no address, or its name server does not say.
    #[error("the host has no address")]
    Unknown,
}

/// Lookups in progress: one per namespace and host, shared by all connections that wait for it. Results are not cached.
pub(super) struct Lookups {
    lookup: Arc<dyn Lookup>,
    shares: Arc<Shares>,
    in_progress: Mutex<HashMap<Key, Found>>,
}

/// Namespace and host.
type Key = (Arc<str>, String);

/// The addresses of a host, shared by all connections that wait for them.
type Found = Shared<BoxFuture<'static, Result<Arc<[IpAddr]>, io::ErrorKind>>>;

impl Lookups {
    pub(super) fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self { lookup, shares: Shares::thirds(MAX_LOOKUPS), in_progress: Mutex::default() }
    }

    /// Joins this namespace's lookup of the host, or waits until it may be started. Whoever stops waiting leaves nothing
    /// behind, but a lookup that was started runs to its end, as its thread does.
    async fn find(
        self: &Arc<Self>,
        namespace: &Arc<str>,
        host: &str,
    ) -> Result<Arc<[IpAddr]>, io::ErrorKind> {
        let key = (Arc::clone(namespace), host.to_owned());
        let running = running(&self.in_progress(), &key);
        if let Some(found) = running {
            return found.await;
        }
        let permit = self.shares.of(namespace).acquire(1).await;
        self.start(key, permit).await
    }

    /// Starts a lookup, unless another one has meanwhile.
    fn start(self: &Arc<Self>, key: Key, permit: SharedPermit) -> Found {
        let mut in_progress = self.in_progress();
        if let Some(found) = running(&in_progress, &key) {
            return found;
        }
        let (lookups, ended) = (Arc::clone(self), key.clone());
        let lookup = tokio::spawn(async move {
            let _permit = permit;
            let found = lookups.lookup.lookup(ended.1.clone()).await;
            lookups.in_progress().remove(&ended);
            found.map(Arc::from).map_err(|error| error.kind())
        });
        let found = lookup.map(|found| found.unwrap_or(Err(io::ErrorKind::Other))).boxed().shared();
        in_progress.insert(key, found.clone());
        found
    }

    fn in_progress(&self) -> MutexGuard<'_, HashMap<Key, Found>> {
        self.in_progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lookup of this host. One that ended and was not removed has panicked, and does not count.
fn running(in_progress: &HashMap<Key, Found>, key: &Key) -> Option<Found> {
    in_progress.get(key).filter(|found| found.peek().is_none()).cloned()
}

/// Resolves names to allowed addresses only.
#[derive(Clone)]
pub(super) struct GuardedResolver {
    pub(super) policy: Arc<Policy>,
    pub(super) lookups: Arc<Lookups>,
    /// Whose hosts these are; empty for the administrator's.
    pub(super) namespace: Arc<str>,
}

impl GuardedResolver {
    /// The same for the hosts of this namespace.
    pub(super) fn of(&self, namespace: &Arc<str>) -> Self {
        Self { namespace: Arc::clone(namespace), ..self.clone() }
    }
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = NoAddress;
    type Future = BoxFuture<'static, Result<Self::Response, NoAddress>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoAddress>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (lookups, namespace) = (Arc::clone(&self.lookups), Arc::clone(&self.namespace));
        let policy = Arc::clone(&self.policy);
        Box::pin(async move {
            let found = lookups.find(&namespace, name.as_str()).await.map_err(|_| NoAddress::Unknown)?;
            if found.is_empty() {
                return Err(NoAddress::Unknown);
            }
            let allowed = found.iter().copied().filter(|address| policy.allows(*address));
            // Port 0 means the port of the URL.
            let dialled: Vec<_> = allowed.map(|address| SocketAddr::new(address, 0)).collect();
            if dialled.is_empty() { Err(NoAddress::AllRefused) } else { Ok(dialled.into_iter()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::future::join_all;
    use tokio::sync::Semaphore;
    use tokio::time::timeout;

    use super::*;

    /// Answers nothing until it is open, but for hosts of `healthy.example`.
    struct Gate {
        lookups: AtomicUsize,
        open: Arc<Semaphore>,
    }

    impl Lookup for Gate {
        fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            self.lookups.fetch_add(1, Ordering::Relaxed);
            let open = Arc::clone(&self.open);
            Box::pin(async move {
                if !host.ends_with("healthy.example") {
                    // A closed semaphore lets all of them continue.
                    let _ = open.acquire().await;
                }
                assert_ne!(host, "panics");
                Ok(vec![IpAddr::from([8, 8, 8, 8])])
            })
        }
    }

    fn gated() -> (Arc<Gate>, Arc<Lookups>) {
        let gate = Arc::new(Gate { lookups: AtomicUsize::new(0), open: Arc::new(Semaphore::new(0)) });
        (Arc::clone(&gate), Arc::new(Lookups::new(gate)))
    }

    #[tokio::test(start_paused = true)]
    async fn lookups_of_many_hosts_leave_threads_to_others() {
        let (gate, lookups) = gated();
        let namespaces: Vec<Arc<str>> = (0..4).map(|number| format!("team-{number}").into()).collect();
        let host =
            async |number: usize| lookups.find(&namespaces[number % 4], &format!("{number}.example")).await;
        let found = || join_all((0..300).map(host));
        assert!(timeout(Duration::from_secs(5), found()).await.is_err());
        assert!(timeout(Duration::from_secs(5), found()).await.is_err(), "waiting again does not help");
        assert_eq!(gate.lookups.load(Ordering::Relaxed), MAX_LOOKUPS);
        assert_eq!(lookups.in_progress().len(), MAX_LOOKUPS, "nothing is left of those that waited");

        gate.open.close();
        assert!(found().await.iter().all(Result::is_ok));
        assert_eq!(gate.lookups.load(Ordering::Relaxed), 300);
        assert!(lookups.in_progress().is_empty(), "no result is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_of_one_namespace_that_get_no_answer_delay_no_lookup_of_another() {
        let (gate, lookups) = gated();
        let tenant: Arc<str> = "tenant".into();
        let silent = async |number: usize| lookups.find(&tenant, &format!("{number}.example")).await;
        let silent = join_all((0..1_000).map(silent));
        // The tenant waits for a host of its neighbor as well.
        let both = async { tokio::join!(silent, lookups.find(&tenant, "api.healthy.example")) };
        let mut both = Box::pin(both);
        assert!(timeout(Duration::from_secs(5), &mut both).await.is_err());
        assert_eq!(gate.lookups.load(Ordering::Relaxed), MAX_LOOKUPS.div_ceil(3));

        let neighbor = "team-a".into();
        let found = timeout(Duration::from_secs(5), lookups.find(&neighbor, "api.healthy.example")).await;
        assert!(found.expect("no lookup of the tenant's is waited for").is_ok());
        assert_eq!(gate.lookups.load(Ordering::Relaxed), MAX_LOOKUPS.div_ceil(3) + 1);
    }

    #[tokio::test]
    async fn a_lookup_that_panics_is_started_again() {
        let (gate, lookups) = gated();
        gate.open.close();
        for count in 1..=2 {
            assert!(lookups.find(&"team-a".into(), "panics").await.is_err());
            assert_eq!(gate.lookups.load(Ordering::Relaxed), count);
        }
    }
}
