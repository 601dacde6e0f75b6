//! What the process may hold for requests to clouds, and who holds it: sockets, and memory for answers.
//!
//! A cloud that hangs or drips keeps what its requests hold until their deadline. A namespace can hold only a third, so one
//! namespace can delay its own accounts and not those of others. Where several together hold all, what is given back first
//! goes to a namespace that holds nothing.
//! Knows no cloud and sends nothing.
//!
//! No deadlock: a request takes permits in one order (request, medium body, large body), and one that holds the last waits
//! for nothing here.

use std::sync::Arc;

use crate::limits::{Share, SharedPermit, Shares};

/// The largest head of an answer, and the most that is read from a connection at once. Servers of the field send less than
/// 16 KiB.
pub(super) const MAX_HEAD: usize = 64 << 10;
/// A body of at most this size needs no permit. Nearly every answer is this small.
const SMALL: usize = 64 << 10;
/// A larger body is medium up to this size, and large beyond it.
const MEDIUM: usize = 1 << 20;

/// The fewest requests at once, however few files may be open.
const LEAST_SOCKETS: usize = 12;

/// How much there is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Requests in flight, each of which is a socket.
    pub requests: usize,
    /// Connections that are kept open without a request, each of which is a socket as well.
    pub idle_connections: usize,
    /// Bodies of more than 64 KiB; each may hold 1 MiB.
    pub medium_bodies: usize,
    /// Memory for what bodies hold beyond 1 MiB, in KiB.
    pub large_bodies_kib: usize,
}

impl Default for Capacity {
    /// Requests: a share is the 256 that one account may have in flight. Idle connections: what an account of 256 leaves, for
    /// two of them. Bodies: 192 MiB in all, an eighth of what the chart gives, and a share holds the largest answer.
    fn default() -> Self {
        Self::of_answers(192 << 20)
    }
}

impl Capacity {
    /// Room for answers of so many bytes in all: a third for medium ones, the rest for large ones. Half as much again is for
    /// heads and small bodies, of which each request in flight may have one.
    pub(super) fn of_answers(bytes: usize) -> Self {
        let requests = (bytes / 2 / (MAX_HEAD + SMALL)).clamp(LEAST_SOCKETS, 768);
        let medium_bodies = (bytes / 3 / MEDIUM).max(1);
        let large_bodies_kib = (bytes / 3 * 2) >> 10;
        Self { requests, idle_connections: requests.min(512), medium_bodies, large_bodies_kib }
    }

    /// The same for a process that may open so many files: requests and idle connections take a quarter each. The rest is
    /// for scrapes, probes, the API server, DNS, and connections that are tried over IPv4 and IPv6 at once.
    #[must_use]
    pub fn within_files(self, files: u64) -> Self {
        let quarter = usize::try_from(files / 4).unwrap_or(usize::MAX).max(LEAST_SOCKETS);
        Self {
            requests: self.requests.min(quarter),
            idle_connections: self.idle_connections.min(quarter),
            ..self
        }
    }
}

/// What the process may hold. A namespace may hold a third of each.
pub(super) struct GlobalLimits {
    requests: Arc<Shares>,
    medium_bodies: Arc<Shares>,
    large_bodies_kib: Arc<Shares>,
}

/// The limits as one account sees them: its namespace's share of what the process has.
pub(super) struct AccountQuota {
    requests: Share,
    medium_bodies: Share,
    large_bodies_kib: Share,
}

/// Allows one request in flight.
pub(super) struct RequestPermit {
    _permit: SharedPermit,
}

/// Allows the body of one answer to be held in memory, up to the size it was last grown to.
pub(super) struct BodyPermit<'a> {
    quota: &'a AccountQuota,
    medium: Option<SharedPermit>,
    large: Option<SharedPermit>,
}

impl GlobalLimits {
    pub(super) fn new(capacity: Capacity) -> Self {
        Self {
            requests: Shares::thirds(capacity.requests),
            medium_bodies: Shares::thirds(capacity.medium_bodies),
            large_bodies_kib: Shares::thirds(capacity.large_bodies_kib),
        }
    }

    /// The quota of one more account in this namespace.
    pub(super) fn account(&self, namespace: &str) -> AccountQuota {
        AccountQuota {
            requests: self.requests.of(namespace),
            medium_bodies: self.medium_bodies.of(namespace),
            large_bodies_kib: self.large_bodies_kib.of(namespace),
        }
    }
}

impl AccountQuota {
    /// Waits until one more request may be in flight.
    pub(super) async fn request(&self) -> RequestPermit {
        RequestPermit { _permit: self.requests.acquire(1).await }
    }

    /// The permit of a body that has not begun. It holds nothing yet.
    pub(super) fn body(&self) -> BodyPermit<'_> {
        BodyPermit { quota: self, medium: None, large: None }
    }
}

impl BodyPermit<'_> {
    /// Waits until `bytes` of a body that ends with `at_most` bytes may be held.
    ///
    /// A body that becomes large reserves all that it may still become, or all of the share, so that it never waits half
    /// read for another one that waits for it.
    pub(super) async fn grow_to(&mut self, bytes: usize, at_most: usize) {
        if bytes > SMALL && self.medium.is_none() {
            self.medium = Some(self.quota.medium_bodies.acquire(1).await);
        }
        if bytes > MEDIUM && self.large.is_none() {
            // Twice: a buffer that grows copies what it has to one of twice the size.
            let kib = 2 * at_most.max(bytes).div_ceil(1 << 10) - (MEDIUM >> 10);
            self.large = Some(self.quota.large_bodies_kib.acquire(kib).await);
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

    fn limits(capacity: Capacity) -> GlobalLimits {
        GlobalLimits::new(capacity)
    }

    /// Room for as many requests and bodies as a test has, so that only what it names is scarce.
    fn plenty() -> Capacity {
        Capacity { requests: 1_000, idle_connections: 0, medium_bodies: 1_000, large_bodies_kib: 1 << 20 }
    }

    #[test]
    fn a_share_holds_the_largest_account_and_the_largest_answer() {
        let limits = GlobalLimits::new(Capacity::default());
        assert!(limits.requests.share() >= 256, "spec.collection.maxConcurrentRequests may be 256");
        assert!(limits.large_bodies_kib.share() >= 2 * (16 << 10), "a page of services may have 16 MiB");
    }

    #[test]
    fn with_little_memory_fewer_requests_are_in_flight() {
        let requests = |answers: usize| Capacity::of_answers(answers).requests;
        assert_eq!([requests(1 << 30), requests(192 * MIB), requests(64 * MIB)], [768, 768, 256]);
        assert_eq!(requests(0), 12);
    }

    #[test]
    fn requests_and_idle_connections_take_half_of_the_files_that_may_be_open() {
        let sockets = |files| {
            let capacity = Capacity::default().within_files(files);
            (capacity.requests, capacity.idle_connections)
        };
        assert_eq!(sockets(u64::MAX), (768, 512));
        assert_eq!(sockets(4_096), (768, 512));
        assert_eq!(sockets(1_024), (256, 256));
        assert_eq!(sockets(0), (12, 12), "a share of it is four requests");
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
        let limits = limits(Capacity { large_bodies_kib: 24 << 10, ..plenty() });
        let (one, two) = (limits.account("tenant"), limits.account("tenant"));
        let (mut first, mut second, mut third) = (one.body(), two.body(), two.body());
        first.grow_to(MIB + 1, 2 * MIB).await;
        second.grow_to(MIB + 1, 3 * MIB).await;
        assert!(third.grow_to(MIB + 1, 2 * MIB).now_or_never().is_none(), "3 + 5 of 8 MiB are reserved");
        drop((first, second));
        third.grow_to(MIB + 1, 64 * MIB).now_or_never().expect("all of the share, and no more");
    }

    #[tokio::test(start_paused = true)]
    async fn however_requests_and_bodies_mix_all_of_them_come_to_an_end() {
        let capacity =
            Capacity { requests: 6, idle_connections: 0, medium_bodies: 4, large_bodies_kib: 6 << 10 };
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
        assert_eq!(limits.requests.available(), capacity.requests);
        assert_eq!(limits.medium_bodies.available(), capacity.medium_bodies);
        assert_eq!(limits.large_bodies_kib.available(), capacity.large_bodies_kib);
    }
}
