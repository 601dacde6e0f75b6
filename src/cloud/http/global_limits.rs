//! What the process may hold for requests to clouds, and who holds it: sockets, and memory for answers.
//!
//! A cloud that hangs or drips keeps what its requests hold until their deadline. A namespace can hold only a third, so one
//! namespace can delay its own accounts and not those of others. Three together can delay all, until their deadlines.
//! Knows no cloud and sends nothing.
//!
//! No deadlock: a request takes permits in one order (request, medium body, large body; each first of its namespace, then of
//! the process), and one that holds the last waits for nothing here. Waiters are served in order. Dropping a future or a
//! permit gives back what it held.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Semaphore, SemaphorePermit};

/// A body of at most this size needs no permit. Nearly every answer is this small.
const SMALL: usize = 64 << 10;
/// A larger body is medium up to this size, and large beyond it.
const MEDIUM: usize = 1 << 20;
/// One namespace may hold one part in so many of everything.
const SHARES: usize = 3;

/// How much there is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Requests in flight, each of which is a socket.
    pub requests: usize,
    /// Bodies of more than 64 KiB; each may hold 1 MiB.
    pub medium_bodies: usize,
    /// Memory for what bodies hold beyond 1 MiB, in KiB.
    pub large_bodies_kib: usize,
}

impl Default for Capacity {
    /// Requests: fewer than the 1,024 files that a process may usually open, and a share is the 256 that one account may
    /// have in flight. Bodies: some 180 MiB in all, where the chart gives 1.5 GiB, and a share holds the largest answer.
    fn default() -> Self {
        Self { requests: 768, medium_bodies: 64, large_bodies_kib: 64 << 10 }
    }
}

impl Capacity {
    /// What one namespace may hold of it.
    fn share(self) -> Self {
        Self {
            requests: self.requests.div_ceil(SHARES),
            medium_bodies: self.medium_bodies.div_ceil(SHARES),
            large_bodies_kib: self.large_bodies_kib.div_ceil(SHARES),
        }
    }
}

/// What the process may hold, and each namespace's share of it.
pub(super) struct GlobalLimits {
    share: Capacity,
    process: Permits,
    namespaces: Mutex<HashMap<String, Weak<Permits>>>,
}

/// The permits that are left, of the process or of one namespace.
struct Permits {
    requests: Semaphore,
    medium_bodies: Semaphore,
    large_bodies_kib: Semaphore,
}

/// The limits as one account sees them: its namespace's share, and what the process has.
pub(super) struct AccountQuota {
    limits: Arc<GlobalLimits>,
    namespace: Arc<Permits>,
}

/// A permit of a namespace and the same of the process. `None` only for a closed semaphore, and none is ever closed.
type Permit<'a> = (Option<SemaphorePermit<'a>>, Option<SemaphorePermit<'a>>);

/// Allows one request in flight.
pub(super) struct RequestPermit<'a> {
    _permit: Permit<'a>,
}

/// Allows the body of one answer to be held in memory, up to the size it was last grown to.
pub(super) struct BodyPermit<'a> {
    quota: &'a AccountQuota,
    medium: Option<Permit<'a>>,
    large: Option<Permit<'a>>,
}

impl Permits {
    fn new(capacity: Capacity) -> Self {
        let semaphore = |permits: usize| Semaphore::new(permits.min(Semaphore::MAX_PERMITS));
        Self {
            requests: semaphore(capacity.requests),
            medium_bodies: semaphore(capacity.medium_bodies),
            large_bodies_kib: semaphore(capacity.large_bodies_kib),
        }
    }
}

impl GlobalLimits {
    pub(super) fn new(capacity: Capacity) -> Self {
        Self { share: capacity.share(), process: Permits::new(capacity), namespaces: Mutex::default() }
    }

    /// The quota of one more account in this namespace.
    pub(super) fn account(self: &Arc<Self>, namespace: &str) -> AccountQuota {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        let permits = namespaces.get(namespace).and_then(Weak::upgrade).unwrap_or_else(|| {
            // Before the map would grow: namespaces without accounts go.
            if namespaces.len() == namespaces.capacity() {
                namespaces.retain(|_, permits| permits.strong_count() > 0);
            }
            let permits = Arc::new(Permits::new(self.share));
            namespaces.insert(namespace.to_owned(), Arc::downgrade(&permits));
            permits
        });
        AccountQuota { limits: Arc::clone(self), namespace: permits }
    }
}

impl AccountQuota {
    /// Waits until one more request may be in flight.
    pub(super) async fn request(&self) -> RequestPermit<'_> {
        RequestPermit { _permit: self.acquire(|permits| &permits.requests, 1).await }
    }

    /// The permit of a body that has not begun. It holds nothing yet.
    pub(super) fn body(&self) -> BodyPermit<'_> {
        BodyPermit { quota: self, medium: None, large: None }
    }

    /// The namespace's permits come first: the queue for those of the process then holds no more of a namespace's requests
    /// than its share.
    async fn acquire<'a>(&'a self, kind: impl Fn(&'a Permits) -> &'a Semaphore, permits: u32) -> Permit<'a> {
        let namespace = kind(&self.namespace).acquire_many(permits).await.ok();
        (namespace, kind(&self.limits.process).acquire_many(permits).await.ok())
    }
}

impl BodyPermit<'_> {
    /// Waits until `bytes` of a body that ends with `at_most` bytes may be held.
    ///
    /// A body that becomes large reserves all that it may still become, so that it never waits half read for another one
    /// that waits for it.
    pub(super) async fn grow_to(&mut self, bytes: usize, at_most: usize) {
        let quota = self.quota;
        if bytes > SMALL && self.medium.is_none() {
            self.medium = Some(quota.acquire(|permits| &permits.medium_bodies, 1).await);
        }
        if bytes > MEDIUM && self.large.is_none() {
            // A body that may be larger than the share takes all of it, or it would wait for ever.
            let kib = at_most.max(bytes).div_ceil(1 << 10) - (MEDIUM >> 10);
            let kib = u32::try_from(kib.min(quota.limits.share.large_bodies_kib)).unwrap_or(u32::MAX);
            self.large = Some(quota.acquire(|permits| &permits.large_bodies_kib, kib).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use futures::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::*;

    const MIB: usize = 1 << 20;

    fn limits(capacity: Capacity) -> Arc<GlobalLimits> {
        Arc::new(GlobalLimits::new(capacity))
    }

    /// Room for as many requests and bodies as a test has, so that only what it names is scarce.
    fn plenty() -> Capacity {
        Capacity { requests: 1_000, medium_bodies: 1_000, large_bodies_kib: 1 << 20 }
    }

    #[test]
    fn a_share_holds_the_largest_account_and_the_largest_answer() {
        let share = Capacity::default().share();
        assert!(share.requests >= 256, "spec.collection.maxConcurrentRequests may be 256");
        assert!(share.large_bodies_kib >= 16 << 10, "a page of services may have 16 MiB");
    }

    #[tokio::test]
    async fn a_namespace_holds_no_more_than_its_share_and_leaves_the_rest_to_others() {
        let limits = limits(Capacity { requests: 6, ..plenty() });
        let (one, neighbour) = (limits.account("tenant"), limits.account("tenant"));
        let held = [one.request().await, neighbour.request().await];
        assert!(one.request().now_or_never().is_none(), "two of six are its namespace's share");

        let others = [limits.account("team-a"), limits.account("team-b")];
        let mut all = Vec::new();
        for other in &others {
            for _ in 0..2 {
                all.push(other.request().now_or_never().expect("the share of another namespace"));
            }
        }
        let last = limits.account("team-c");
        assert!(last.request().now_or_never().is_none(), "all six are held");
        drop(held);
        assert!(last.request().now_or_never().is_some());
    }

    #[tokio::test]
    async fn requests_that_wait_for_their_namespace_do_not_delay_others_in_the_queue() {
        let limits = limits(Capacity { requests: 3, ..plenty() });
        let (tenant, other) = (limits.account("tenant"), limits.account("team-a"));
        let _held = tenant.request().await;
        let mut waiting: Vec<_> = (0..100).map(|_| tenant.request().boxed()).collect();
        assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()));
        assert!(other.request().now_or_never().is_some());
    }

    #[tokio::test]
    async fn small_bodies_wait_for_nothing_and_larger_ones_for_memory() {
        let limits = limits(Capacity { medium_bodies: 2, large_bodies_kib: 3 << 10, ..plenty() });
        let namespaces = ["a", "b", "c"].map(|name| limits.account(name));
        let [mut one, mut two, mut three] = [0, 1, 2].map(|at| namespaces[at].body());
        one.grow_to(2 * MIB, 2 * MIB).await;
        two.grow_to(MIB, 2 * MIB).await;
        assert!(three.grow_to(SMALL + 1, MIB).now_or_never().is_none(), "two medium bodies are held");
        assert!(three.grow_to(SMALL, MIB).now_or_never().is_some());

        drop(one);
        three.grow_to(2 * MIB, 2 * MIB).now_or_never().expect("the memory of the first");
    }

    #[tokio::test]
    async fn a_large_body_reserves_what_it_may_become_up_to_the_share() {
        let limits = limits(Capacity { large_bodies_kib: 9 << 10, ..plenty() });
        let (one, two) = (limits.account("tenant"), limits.account("tenant"));
        let (mut first, mut second, mut third) = (one.body(), two.body(), two.body());
        first.grow_to(MIB + 1, 2 * MIB).await;
        second.grow_to(MIB + 1, 3 * MIB).await;
        assert!(third.grow_to(MIB + 1, 2 * MIB).now_or_never().is_none(), "1 + 2 of 3 MiB are reserved");
        drop((first, second));
        third.grow_to(MIB + 1, 64 * MIB).now_or_never().expect("all of the share, and no more");
    }

    #[tokio::test(start_paused = true)]
    async fn however_requests_and_bodies_mix_all_of_them_come_to_an_end() {
        let capacity = Capacity { requests: 6, medium_bodies: 4, large_bodies_kib: 6 << 10 };
        let limits = limits(capacity);
        let mut dice = fastrand::Rng::with_seed(7);
        let requests = (0..400).map(|number| {
            let quota = limits.account(&format!("namespace-{}", number % 5));
            let (bytes, step) = (dice.usize(0..4 * MIB), dice.usize(1..MIB));
            let gives_up = dice.u64(0..4) == 0;
            async move {
                let request = async {
                    let _request = quota.request().await;
                    let mut body = quota.body();
                    for held in (0..bytes).step_by(step) {
                        body.grow_to(held, 4 * MIB).await;
                        sleep(Duration::from_millis(1)).await;
                    }
                };
                let patience = Duration::from_millis(if gives_up { 20 } else { 3_600_000 });
                timeout(patience, request).await.is_ok() || gives_up
            }
        });
        let ended = timeout(Duration::from_secs(3_600), join_all(requests)).await.expect("no deadlock");
        assert!(!ended.contains(&false));
        assert_eq!(limits.process.requests.available_permits(), capacity.requests);
        assert_eq!(limits.process.medium_bodies.available_permits(), capacity.medium_bodies);
        assert_eq!(limits.process.large_bodies_kib.available_permits(), capacity.large_bodies_kib);
    }

    #[test]
    fn namespaces_without_accounts_are_forgotten() {
        let limits = limits(Capacity::default());
        for number in 0..1_000 {
            drop(limits.account(&format!("namespace-{number}")));
        }
        assert!(limits.namespaces.lock().unwrap().len() < 10);
    }
}
