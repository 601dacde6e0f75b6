//! What all accounts of the process share on the wire: places for requests, and memory for the bodies of answers. A cloud
//! that drips or never answers holds what it was given until its deadline, so all of it has an end.

use tokio::sync::{Semaphore, SemaphorePermit};

/// A body of no more bytes is small: nearly every answer is, and costs no look at what the others hold.
const SMALL: usize = 64 << 10;
/// A body of no more bytes is medium; beyond it is large.
const MEDIUM: usize = 1 << 20;

/// How much all accounts together may have under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Requests that were sent a moment ago or are being answered. More of them make a cycle no faster.
    pub busy: usize,
    /// Requests under way in all, those that only wait for a silent cloud included: each is a socket.
    pub open: usize,
    /// Bodies of more than 64 KiB that are held at once.
    pub medium_bodies: usize,
    /// Bodies of more than 1 MiB that are held at once.
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
pub(super) struct Places {
    busy: Semaphore,
    open: Semaphore,
    bodies: Bodies,
}

/// How many bodies of each size are held. A body that grows takes a place more and gives none back: who waits for one
/// has fewer than those who hold it, so that bodies never wait for each other in a circle.
pub(super) struct Bodies {
    medium: Semaphore,
    large: Semaphore,
}

/// A request's places, free again when dropped. `None` only where the semaphore is closed, which nobody does.
pub(super) struct Place<'a> {
    busy: Option<SemaphorePermit<'a>>,
    _open: Option<SemaphorePermit<'a>>,
}

/// What one body holds of its account's places and of those of all, free again when dropped.
pub(super) struct Held<'a> {
    of: [&'a Bodies; 2],
    medium: Vec<SemaphorePermit<'a>>,
    large: Vec<SemaphorePermit<'a>>,
}

impl Places {
    pub(super) fn new(bounds: Bounds) -> Self {
        let semaphore = |most: usize| Semaphore::new(most.min(Semaphore::MAX_PERMITS));
        Self {
            busy: semaphore(bounds.busy),
            open: semaphore(bounds.open),
            bodies: Bodies { medium: semaphore(bounds.medium_bodies), large: semaphore(bounds.large_bodies) },
        }
    }

    /// Waits for a place.
    pub(super) async fn enter(&self) -> Place<'_> {
        let open = self.open.acquire().await.ok();
        Place { busy: self.busy.acquire().await.ok(), _open: open }
    }

    /// What a body holds that has not begun, of an account that has these places of its own.
    pub(super) fn hold<'a>(&'a self, own: &'a Bodies) -> Held<'a> {
        Held { of: [own, &self.bodies], medium: Vec::new(), large: Vec::new() }
    }
}

impl Bodies {
    /// Places of one account: few enough that several accounts whose clouds drip leave some to the others.
    pub(super) fn of_account() -> Self {
        Self { medium: Semaphore::new(8), large: Semaphore::new(1) }
    }
}

impl Place<'_> {
    /// The request only waits from here on, which costs next to nothing but its socket.
    pub(super) fn only_waits(&mut self) {
        self.busy = None;
    }
}

impl Held<'_> {
    /// Waits until there is memory for a body of so many bytes in all.
    pub(super) async fn grow_to(&mut self, bytes: usize) {
        if bytes > SMALL && self.medium.is_empty() {
            for bodies in self.of {
                self.medium.extend(bodies.medium.acquire().await);
            }
        }
        if bytes > MEDIUM && self.large.is_empty() {
            for bodies in self.of {
                self.large.extend(bodies.large.acquire().await);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use tokio::time::timeout;

    use super::*;

    const SHORT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_request_that_only_waits_makes_room_for_one_more_until_all_sockets_are_taken() {
        let places = Places::new(Bounds { busy: 1, open: 2, ..Bounds::default() });
        let mut first = places.enter().await;
        assert!(timeout(SHORT, places.enter()).await.is_err(), "one is busy");

        first.only_waits();
        let mut second = timeout(SHORT, places.enter()).await.expect("the first only waits");
        second.only_waits();
        assert!(timeout(SHORT, places.enter()).await.is_err(), "both sockets are taken");

        drop(first);
        assert!(timeout(SHORT, places.enter()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_those_of_others_and_small_ones_do_not() {
        let places = Places::new(Bounds { medium_bodies: 2, large_bodies: 1, ..Bounds::default() });
        let own = [(); 3].map(|()| Bodies::of_account());
        let [mut one, mut two, mut three] = [0, 1, 2].map(|account| places.hold(&own[account]));
        one.grow_to(MEDIUM + 1).await;
        two.grow_to(MEDIUM).await;
        assert!(timeout(SHORT, two.grow_to(MEDIUM + 1)).await.is_err(), "one large body is held");
        assert!(timeout(SHORT, three.grow_to(SMALL + 1)).await.is_err(), "two medium bodies are held");
        assert!(three.grow_to(SMALL).now_or_never().is_some());

        drop(one);
        timeout(SHORT, two.grow_to(MEDIUM + 1)).await.expect("the only large one now");
        timeout(SHORT, three.grow_to(SMALL + 1)).await.expect("the second medium one now");
    }

    #[tokio::test(start_paused = true)]
    async fn one_account_cannot_hold_all_that_there_is() {
        let (places, own) = (Places::new(Bounds::default()), [Bodies::of_account(), Bodies::of_account()]);
        let (mut first, mut second) = (places.hold(&own[0]), places.hold(&own[0]));
        first.grow_to(MEDIUM + 1).await;
        assert!(timeout(SHORT, second.grow_to(MEDIUM + 1)).await.is_err());
        timeout(SHORT, places.hold(&own[1]).grow_to(MEDIUM + 1)).await.expect("another account");
    }
}
