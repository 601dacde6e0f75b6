//! What all accounts of the process share on the wire: places for requests, and memory for the bodies of answers. A cloud
//! that drips or never answers holds what it was given until its deadline, or until others need it, so all of it has an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::pool::{Pool, Pulse, Ticket};

/// A body of no more bytes is small: nearly every answer is, and costs no look at what the others hold.
const SMALL: usize = 64 << 10;
/// A body of no more bytes is medium; beyond it is large. A body that grows by less than a small one for as long as a
/// request may bring nothing is no better than none.
const MEDIUM: usize = 1 << 20;

/// How much all accounts together may have under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Requests that were sent a moment ago or are being answered. More of them make a cycle no faster.
    pub busy: usize,
    /// Requests under way in all, those that only wait for a silent cloud included: each is a socket. Where none is left,
    /// an account that has fewer takes that of a request that has brought nothing for 2 s, or 8 s if it has not much fewer.
    pub open: usize,
    /// Bodies of more than 64 KiB that are held at once; taken from one that drips as sockets are.
    pub medium_bodies: usize,
    /// Bodies of more than 1 MiB that are held at once; likewise.
    pub large_bodies: usize,
}

impl Default for Bounds {
    /// Fewer sockets than the 1,024 files that a process may open where nobody allowed it more, and bodies of some
    /// 170 MiB in all, where the chart gives 512 MiB.
    fn default() -> Self {
        Self { busy: 256, open: 768, medium_bodies: 64, large_bodies: 4 }
    }
}

/// The places and the memory that are left.
///
/// A body that grows takes a place more and gives none back: who waits for one has fewer than those who hold it, so that
/// bodies never wait for each other in a circle.
pub(super) struct Places {
    busy: Semaphore,
    open: Pool,
    medium: Pool,
    large: Pool,
    accounts: AtomicU64,
}

/// Who one account is among all, and how many bodies of its own it may hold: few enough that several accounts whose clouds
/// drip leave some to the others.
pub(super) struct Own {
    account: u64,
    medium: Semaphore,
    large: Semaphore,
}

/// A request's places, free again when dropped. `busy` is `None` also where the semaphore is closed, which nobody does.
pub(super) struct Place<'a> {
    busy: Option<SemaphorePermit<'a>>,
    _open: Ticket<'a>,
    pulse: Arc<Pulse>,
}

/// What one body holds of its account's places and of those of all, free again when dropped.
pub(super) struct Held<'a> {
    places: &'a Places,
    own: &'a Own,
    pulse: Arc<Pulse>,
    /// The length at which the body has brought something more.
    beats_at: usize,
    medium: Option<HeldBody<'a>>,
    large: Option<HeldBody<'a>>,
}

type HeldBody<'a> = (Option<SemaphorePermit<'a>>, Ticket<'a>);

impl Places {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            busy: Semaphore::new(bounds.busy.min(Semaphore::MAX_PERMITS)),
            open: Pool::new(bounds.open),
            medium: Pool::new(bounds.medium_bodies),
            large: Pool::new(bounds.large_bodies),
            accounts: AtomicU64::new(0),
        }
    }

    /// One more account.
    pub(super) fn account(&self) -> Own {
        let account = self.accounts.fetch_add(1, Ordering::Relaxed);
        Own { account, medium: Semaphore::new(8), large: Semaphore::new(1) }
    }

    /// Waits for a place for a request of this account.
    pub(super) async fn enter(&self, own: &Own) -> Place<'_> {
        let pulse = Pulse::of(own.account);
        let open = self.open.take(&pulse).await;
        Place { busy: self.busy.acquire().await.ok(), _open: open, pulse }
    }

    /// What the body of a request's answer holds that has not begun.
    pub(super) fn hold<'a>(&'a self, own: &'a Own, place: &Place<'_>) -> Held<'a> {
        let pulse = Arc::clone(&place.pulse);
        Held { places: self, own, pulse, beats_at: SMALL, medium: None, large: None }
    }
}

impl Place<'_> {
    /// The request is sent: from now on it is the cloud's turn.
    pub(super) fn sent(&self) {
        self.pulse.beat();
    }

    /// The request only waits from here on, which costs next to nothing but its socket.
    pub(super) fn only_waits(&mut self) {
        self.busy = None;
    }

    /// Waits until somebody took what the request holds, because it brought nothing: then it has to end.
    pub(super) async fn lost(&self) {
        self.pulse.lost().await;
    }
}

impl<'a> Held<'a> {
    /// Waits until there is memory for a body of so many bytes in all.
    pub(super) async fn grow_to(&mut self, bytes: usize) {
        if bytes >= self.beats_at {
            self.beats_at = bytes + SMALL;
            self.pulse.beat();
        }
        if bytes > SMALL && self.medium.is_none() {
            self.medium = Some(self.take(&self.own.medium, &self.places.medium).await);
        }
        if bytes > MEDIUM && self.large.is_none() {
            self.large = Some(self.take(&self.own.large, &self.places.large).await);
        }
    }

    async fn take(&self, own: &'a Semaphore, of_all: &'a Pool) -> HeldBody<'a> {
        // What the account's other answers take is its own cloud's doing, and what those of others take is not.
        let own = own.acquire().await.ok();
        self.pulse.rest();
        let of_all = of_all.take(&self.pulse).await;
        self.pulse.beat();
        (own, of_all)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use tokio::time::timeout;

    use super::*;

    // Nothing is taken from anybody so soon.
    const SHORT: Duration = Duration::from_millis(200);

    #[tokio::test(start_paused = true)]
    async fn a_request_that_only_waits_makes_room_for_one_more_until_all_sockets_are_taken() {
        let places = Places::new(Bounds { busy: 1, open: 2, ..Bounds::default() });
        let own = places.account();
        let mut first = places.enter(&own).await;
        assert!(timeout(SHORT, places.enter(&own)).await.is_err(), "one is busy");

        first.only_waits();
        let mut second = timeout(SHORT, places.enter(&own)).await.expect("the first only waits");
        second.only_waits();
        assert!(timeout(SHORT, places.enter(&own)).await.is_err(), "both sockets are taken");

        drop(first);
        assert!(timeout(SHORT, places.enter(&own)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_those_of_others_and_small_ones_do_not() {
        let places = Places::new(Bounds { medium_bodies: 2, large_bodies: 1, ..Bounds::default() });
        let own = [(); 3].map(|()| places.account());
        let mut bodies = Vec::new();
        for own in &own {
            bodies.push(places.hold(own, &places.enter(own).await));
        }
        let [one, two, three] = &mut bodies[..] else { panic!("three bodies") };
        one.grow_to(MEDIUM + 1).await;
        two.grow_to(MEDIUM).await;
        assert!(timeout(SHORT, two.grow_to(MEDIUM + 1)).await.is_err(), "one large body is held");
        assert!(timeout(SHORT, three.grow_to(SMALL + 1)).await.is_err(), "two medium bodies are held");
        assert!(three.grow_to(SMALL).now_or_never().is_some());

        (one.medium, one.large) = (None, None);
        timeout(SHORT, two.grow_to(MEDIUM + 1)).await.expect("the only large one now");
        timeout(SHORT, three.grow_to(SMALL + 1)).await.expect("the second medium one now");
    }

    #[tokio::test(start_paused = true)]
    async fn one_account_cannot_hold_all_that_there_is() {
        let places = Places::new(Bounds::default());
        let own = [places.account(), places.account()];
        let (one, other) = (places.enter(&own[0]).await, places.enter(&own[1]).await);
        let (mut first, mut second) = (places.hold(&own[0], &one), places.hold(&own[0], &one));
        first.grow_to(MEDIUM + 1).await;
        assert!(timeout(SHORT, second.grow_to(MEDIUM + 1)).await.is_err());
        timeout(SHORT, places.hold(&own[1], &other).grow_to(MEDIUM + 1)).await.expect("another account");
    }
}
