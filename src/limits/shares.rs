//! Permits of one kind that all namespaces share: a semaphore for the process, and one for each namespace.
//!
//! A permit is taken from the namespace first and then from the process. So one namespace has no more than its share of
//! those that wait for the process, and a waiter of another namespace comes after these at most. Waiters are served in order.
//!
//! No deadlock within one kind: a task that waits for the process holds no permit of it. A caller of several kinds takes them in one
//! order. Dropping a future or a permit gives back what it held.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// With [`Shares::thirds`] one namespace may hold one part in so many.
const PARTS: usize = 3;

/// The permits of the process, and each namespace's share of them.
#[derive(Debug)]
pub struct Shares {
    share: usize,
    process: Arc<Semaphore>,
    namespaces: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// The permits as one namespace sees them. While a value of a namespace exists, all of that namespace use one share.
#[derive(Debug, Clone)]
pub struct Share {
    shares: Arc<Shares>,
    namespace: Arc<Semaphore>,
}

/// Permits that are held until this is dropped: of a namespace, and the same of the process.
#[derive(Debug)]
pub struct SharedPermit {
    // `None` only for a closed semaphore, and none is ever closed.
    _namespace: Option<OwnedSemaphorePermit>,
    _process: Option<OwnedSemaphorePermit>,
}

impl Shares {
    /// For what may be held long: a namespace has at most a third, even while the rest is free.
    pub fn thirds(total: usize) -> Arc<Self> {
        Self::new(total, total.div_ceil(PARTS))
    }

    /// For short work: a namespace may hold all while no other waits, and another waits for as many as there are in all.
    pub fn in_turn(total: usize) -> Arc<Self> {
        Self::new(total, total)
    }

    fn new(total: usize, share: usize) -> Arc<Self> {
        let process = Arc::new(semaphore(total));
        Arc::new(Self { share: share.min(Semaphore::MAX_PERMITS), process, namespaces: Mutex::default() })
    }

    /// How many permits one namespace may hold.
    pub fn share(&self) -> usize {
        self.share
    }

    /// How many permits nobody holds.
    pub fn available(&self) -> usize {
        self.process.available_permits()
    }

    /// The permits as this namespace sees them.
    pub fn of(self: &Arc<Self>, namespace: &str) -> Share {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        let semaphore = namespaces.get(namespace).and_then(Weak::upgrade).unwrap_or_else(|| {
            // Before the map would grow: namespaces that nobody uses go.
            if namespaces.len() == namespaces.capacity() {
                namespaces.retain(|_, semaphore| semaphore.strong_count() > 0);
            }
            let semaphore = Arc::new(semaphore(self.share));
            namespaces.insert(namespace.to_owned(), Arc::downgrade(&semaphore));
            semaphore
        });
        Share { shares: Arc::clone(self), namespace: semaphore }
    }
}

impl Share {
    /// Waits until this many permits can be held. More than the share is taken as all of the share, since it would wait
    /// for ever.
    pub async fn acquire(&self, permits: usize) -> SharedPermit {
        let permits = u32::try_from(permits.min(self.shares.share)).unwrap_or(u32::MAX);
        let namespace = Arc::clone(&self.namespace).acquire_many_owned(permits).await.ok();
        let process = Arc::clone(&self.shares.process).acquire_many_owned(permits).await.ok();
        SharedPermit { _namespace: namespace, _process: process }
    }

    /// This many permits, if they can be held at once.
    pub fn try_acquire(&self, permits: usize) -> Option<SharedPermit> {
        let permits = u32::try_from(permits).ok()?;
        let namespace = Arc::clone(&self.namespace).try_acquire_many_owned(permits).ok()?;
        let process = Arc::clone(&self.shares.process).try_acquire_many_owned(permits).ok()?;
        Some(SharedPermit { _namespace: Some(namespace), _process: Some(process) })
    }
}

fn semaphore(permits: usize) -> Semaphore {
    Semaphore::new(permits.min(Semaphore::MAX_PERMITS))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_namespace_holds_no_more_than_its_third_and_leaves_the_rest_to_others() {
        let shares = Shares::thirds(6);
        let (one, neighbour) = (shares.of("tenant"), shares.of("tenant"));
        let held = [one.acquire(1).await, neighbour.acquire(1).await];
        assert!(one.acquire(1).now_or_never().is_none(), "two of six are its namespace's share");

        let mut others = Vec::new();
        for namespace in ["team-a", "team-b"] {
            others.push(
                shares.of(namespace).acquire(2).now_or_never().expect("the share of another namespace"),
            );
        }
        let last = shares.of("team-c");
        assert!(last.acquire(1).now_or_never().is_none(), "all six are held");
        drop(held);
        assert!(last.acquire(1).now_or_never().is_some());
        assert_eq!(shares.available(), 2);
    }

    #[tokio::test]
    async fn those_that_wait_for_their_namespace_do_not_delay_others_in_the_queue() {
        let shares = Shares::thirds(3);
        let (tenant, other) = (shares.of("tenant"), shares.of("team-a"));
        let _held = tenant.acquire(1).await;
        let mut waiting: Vec<_> = (0..100).map(|_| tenant.acquire(1).boxed()).collect();
        assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()));
        assert!(other.acquire(1).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_alone_may_hold_all_in_turn_and_another_waits_for_one_round_of_it() {
        let shares = Shares::in_turn(2);
        let tenant = shares.of("tenant");
        let held = [tenant.acquire(1).await, tenant.acquire(1).await];
        let work = Duration::from_secs(1);
        for _ in 0..100 {
            let tenant = tenant.clone();
            tokio::spawn(async move {
                let _permit = tenant.acquire(1).await;
                tokio::time::sleep(work).await;
            });
        }
        tokio::task::yield_now().await;
        let other = shares.of("team-a");
        drop(held);
        let waited = timeout(2 * work, other.acquire(1)).await;
        assert!(waited.is_ok(), "a hundred of the tenant's wait, two of them for the process");
    }

    #[tokio::test]
    async fn more_than_the_share_takes_all_of_it() {
        let shares = Shares::thirds(9);
        let _all = shares.of("tenant").acquire(1_000).now_or_never().expect("all of the share");
        assert_eq!(shares.available(), 6);
    }

    #[test]
    fn namespaces_that_nobody_uses_are_forgotten() {
        let shares = Shares::thirds(9);
        for number in 0..1_000 {
            drop(shares.of(&format!("namespace-{number}")));
        }
        assert!(shares.namespaces.lock().unwrap().len() < 10);
    }
}
