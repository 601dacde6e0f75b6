//! Permits of one kind that all namespaces share. A permit that becomes free goes to the waiting namespace that holds the
//! fewest; those that hold as many are served in turn, and the waiters of one namespace in order. So a namespace that holds
//! nothing waits for one permit of each other at most, however many wait there.
//!
//! No deadlock within one kind: who waits holds no permit of it. A permit is granted to a future whether that is polled or not, so a
//! task that waits for one goes on polling its other futures that do. A caller of several kinds takes them in one order. Dropping a
//! future or a permit gives back what it held.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// With [`Shares::thirds`] one namespace may hold one part in so many.
const PARTS: usize = 3;

/// The permits of the process, and what each namespace holds of them.
#[derive(Debug)]
pub struct Shares {
    share: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    available: usize,
    /// Namespaces that hold permits or wait for some.
    namespaces: HashMap<Arc<str>, Entry>,
    /// The number that was given last, to a waiter or to a namespace that was served.
    last: u64,
}

#[derive(Debug, Default)]
struct Entry {
    held: usize,
    waiting: VecDeque<Waiter>,
    /// Grows with each time it is served. Of namespaces that hold as many, the least is next.
    last_served: u64,
}

#[derive(Debug)]
struct Waiter {
    permits: usize,
    number: u64,
    granted: oneshot::Sender<SharedPermit>,
}

/// The permits as one namespace sees them.
#[derive(Debug, Clone)]
pub struct Share {
    shares: Arc<Shares>,
    namespace: Arc<str>,
}

/// Permits that a namespace holds until this is dropped.
#[derive(Debug)]
pub struct SharedPermit {
    share: Share,
    permits: usize,
}

impl Shares {
    /// For what may be held long: a namespace has at most a third, even while the rest is free.
    pub fn thirds(total: usize) -> Arc<Self> {
        Self::new(total, total.div_ceil(PARTS))
    }

    /// For short work: a namespace may hold all while no other waits.
    pub fn in_turn(total: usize) -> Arc<Self> {
        Self::new(total, total)
    }

    fn new(total: usize, share: usize) -> Arc<Self> {
        Arc::new(Self { share, table: Mutex::new(Table { available: total, ..Table::default() }) })
    }

    /// How many permits one namespace may hold.
    pub fn share(&self) -> usize {
        self.share
    }

    /// How many permits nobody holds.
    pub fn available(&self) -> usize {
        self.table().available
    }

    /// The permits as this namespace sees them.
    pub fn of(self: &Arc<Self>, namespace: &str) -> Share {
        Share { shares: Arc::clone(self), namespace: namespace.into() }
    }

    /// Hands free permits to those that wait.
    fn serve(self: &Arc<Self>, mut table: MutexGuard<'_, Table>) {
        let mut unwanted = Vec::new();
        while let Some((namespace, waiter)) = table.next(self.share) {
            let share = Share { shares: Arc::clone(self), namespace };
            unwanted.extend(waiter.granted.send(SharedPermit { share, permits: waiter.permits }).err());
        }
        // Not under the lock: dropping them takes it.
        drop(table);
        drop(unwanted);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Takes permits for a namespace if it may hold them now and nobody waits for them.
    fn take(&mut self, namespace: &Arc<str>, permits: usize, share: usize) -> bool {
        let own = self.namespaces.get(namespace);
        let fits = own.is_none_or(|own| own.waiting.is_empty() && own.held + permits <= share);
        let is_awaited = || self.namespaces.values().any(|entry| entry.may_have_next(share));
        if permits > self.available.min(share) || !fits || is_awaited() {
            return false;
        }
        self.available -= permits;
        self.namespaces.entry(Arc::clone(namespace)).or_default().held += permits;
        true
    }

    /// Puts a waiter of a namespace into the queue, and returns its number.
    fn wait(&mut self, namespace: &Arc<str>, permits: usize, granted: oneshot::Sender<SharedPermit>) -> u64 {
        self.last += 1;
        let entry = self.namespaces.entry(Arc::clone(namespace)).or_default();
        if entry.waiting.is_empty() {
            entry.last_served = self.last;
        }
        entry.waiting.push_back(Waiter { permits, number: self.last, granted });
        self.last
    }

    /// Who is served next, with its permits taken: the namespace that holds the fewest of those that may hold more. `None`
    /// while fewer are free than it waits for, so that others which want less do not keep it waiting for ever.
    fn next(&mut self, share: usize) -> Option<(Arc<str>, Waiter)> {
        let waiting = self.namespaces.iter().filter(|(_, entry)| entry.may_have_next(share));
        let namespace = Arc::clone(waiting.min_by_key(|(_, entry)| (entry.held, entry.last_served))?.0);
        let entry = self.namespaces.get_mut(&namespace)?;
        if entry.waiting.front()?.permits > self.available {
            return None;
        }
        let waiter = entry.waiting.pop_front()?;
        self.last += 1;
        (entry.held, entry.last_served) = (entry.held + waiter.permits, self.last);
        self.available -= waiter.permits;
        Some((namespace, waiter))
    }

    /// Forgets a namespace that holds nothing and waits for nothing.
    fn forget(&mut self, namespace: &Arc<str>) {
        if self.namespaces.get(namespace).is_some_and(|entry| entry.held == 0 && entry.waiting.is_empty()) {
            self.namespaces.remove(namespace);
        }
    }
}

impl Entry {
    /// Whether its first waiter may hold what it waits for.
    fn may_have_next(&self, share: usize) -> bool {
        self.waiting.front().is_some_and(|waiter| self.held + waiter.permits <= share)
    }
}

impl Share {
    /// Waits until this many permits can be held. More than the share is taken as all of the share, since it would wait
    /// for ever.
    pub async fn acquire(&self, permits: usize) -> SharedPermit {
        let Self { shares, namespace } = self;
        let permits = permits.min(shares.share);
        let (granted, number) = {
            let mut table = shares.table();
            if table.take(namespace, permits, shares.share) {
                return self.permit(permits);
            }
            let (sender, granted) = oneshot::channel();
            (granted, table.wait(namespace, permits, sender))
        };
        // Dropped before the receiver: permits that are granted meanwhile come back with that.
        let _waiting = Waiting { share: self, number };
        // Nobody else drops the sender.
        granted.await.unwrap_or_else(|_| self.permit(0))
    }

    /// This many permits, if they can be held at once.
    pub fn try_acquire(&self, permits: usize) -> Option<SharedPermit> {
        let is_taken = self.shares.table().take(&self.namespace, permits, self.shares.share);
        is_taken.then(|| self.permit(permits))
    }

    /// Permits that are taken from the table.
    fn permit(&self, permits: usize) -> SharedPermit {
        SharedPermit { share: self.clone(), permits }
    }
}

impl Drop for SharedPermit {
    fn drop(&mut self) {
        let Share { shares, namespace } = &self.share;
        let mut table = shares.table();
        table.available += self.permits;
        if let Some(entry) = table.namespaces.get_mut(namespace) {
            entry.held -= self.permits;
        }
        table.forget(namespace);
        shares.serve(table);
    }
}

/// One that waits; dropping it takes it out of the queue.
struct Waiting<'a> {
    share: &'a Share,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Share { shares, namespace } = self.share;
        let mut table = shares.table();
        if let Some(entry) = table.namespaces.get_mut(namespace) {
            // As long as one namespace's queue, which the requests of its accounts bound.
            entry.waiting.retain(|waiter| waiter.number != self.number);
        }
        table.forget(namespace);
        // Others may have waited behind it.
        shares.serve(table);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use futures::future::BoxFuture;
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
    async fn a_namespace_alone_may_hold_all_in_turn_and_another_waits_for_the_next_permit() {
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
        // Permits that are handed over already are not taken back.
        let waited = timeout(work + Duration::from_millis(1), other.acquire(1)).await;
        assert!(waited.is_ok(), "a hundred of the tenant's wait");
    }

    /// As many permits as this namespace can hold at once, and the futures of 100 that wait for more.
    fn exhaust(share: &Share) -> (Vec<SharedPermit>, Vec<BoxFuture<'_, SharedPermit>>) {
        let held = std::iter::from_fn(|| share.try_acquire(1)).collect();
        let mut waiting: Vec<_> = (0..100).map(|_| share.acquire(1).boxed()).collect();
        assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()));
        (held, waiting)
    }

    #[tokio::test]
    async fn a_namespace_that_holds_nothing_comes_before_all_that_wait_in_others() {
        let shares = Shares::thirds(6);
        let tenants = ["tenant-0", "tenant-1", "tenant-2"].map(|name| shares.of(name));
        let [(mut first, _a), (_second, _b), (_third, _c)] =
            [exhaust(&tenants[0]), exhaust(&tenants[1]), exhaust(&tenants[2])];
        assert_eq!(shares.available(), 0);
        let other = shares.of("team-a");
        let mut permit = other.acquire(1).boxed();
        assert!((&mut permit).now_or_never().is_none());
        first.pop();
        assert!(permit.now_or_never().is_some(), "the next permit is its");
    }

    #[tokio::test]
    async fn namespaces_that_hold_as_many_are_served_in_turn() {
        let shares = Shares::in_turn(1);
        let (tenant, other) = (shares.of("tenant"), shares.of("team-a"));
        let (held, mut waiting) = exhaust(&tenant);
        let mut permit = other.acquire(1).boxed();
        assert!((&mut permit).now_or_never().is_none());
        drop(held);
        let one_more = (&mut waiting[0]).now_or_never();
        assert!(one_more.is_some() && (&mut permit).now_or_never().is_none());
        drop(one_more);
        assert!(permit.now_or_never().is_some(), "99 of the tenant's wait");
    }

    #[tokio::test]
    async fn one_that_stops_waiting_leaves_its_turn_and_what_it_was_granted() {
        let shares = Shares::thirds(9);
        let (tenant, other) = (shares.of("tenant"), shares.of("team-a"));
        let all = [tenant.acquire(3).await, other.acquire(3).await, shares.of("team-b").acquire(2).await];
        let (third, fourth) = (shares.of("team-c"), shares.of("team-d"));
        let (mut large, mut small) = (third.acquire(3).boxed(), fourth.acquire(1).boxed());
        assert!((&mut large).now_or_never().is_none() && (&mut small).now_or_never().is_none());
        drop(large);
        let small = small.now_or_never().expect("the one permit that is free");

        let mut granted = tenant.acquire(1).boxed();
        assert!((&mut granted).now_or_never().is_none());
        drop((all, small));
        drop(granted);
        assert_eq!((shares.available(), shares.table().namespaces.len()), (9, 0));
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
        let held = shares.of("held").try_acquire(9).is_none();
        for number in 0..1_000 {
            drop(shares.of(&format!("namespace-{number}")).try_acquire(3).expect("nobody holds any"));
        }
        assert!(held && shares.table().namespaces.is_empty());
    }
}
