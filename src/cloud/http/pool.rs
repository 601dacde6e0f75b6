//! Places of one kind that all accounts share. Who needs one while none is left takes that of a request that brings nothing,
//! of the account that holds the most: accounts at clouds that hang or drip do not keep them from all the others.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout};

/// For how long a request may bring nothing before others may have its places, where its account holds much more than they.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// The same among accounts that hold about as much, where taking from each other gains little: a cloud that is slow for all
/// of them would never come to answer anybody.
const LONG_PATIENCE: Duration = Duration::from_secs(8);
/// How soon one who waits looks again whether there is a place to take.
const LOOKS_AGAIN: Duration = Duration::from_secs(1);
/// While it is not the cloud's turn, nothing is expected of it.
const NEVER: u64 = u64::MAX;

/// A request that holds places, as those see it who need them.
pub(super) struct Pulse {
    account: u64,
    since: Instant,
    /// When it brought something last, in milliseconds of its life.
    brought: AtomicU64,
    lost: Notify,
}

impl Pulse {
    /// Of a request of this account that was not sent yet.
    pub(super) fn of(account: u64) -> Arc<Self> {
        let (since, brought) = (Instant::now(), AtomicU64::new(NEVER));
        Arc::new(Self { account, since, brought, lost: Notify::new() })
    }

    /// The request was sent, or brought something.
    pub(super) fn beat(&self) {
        let age = self.since.elapsed().as_millis();
        self.brought.store(u64::try_from(age).unwrap_or(NEVER), Ordering::Relaxed);
    }

    /// The request waits for us and not for its cloud.
    pub(super) fn rest(&self) {
        self.brought.store(NEVER, Ordering::Relaxed);
    }

    /// Waits until somebody took a place of the request, which has to end then.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }

    /// Since when it has brought nothing, if anything is expected of it.
    fn silent_since(&self) -> Option<Instant> {
        #[cfg(test)]
        tests::LOOKS.with(|looks| looks.set(looks.get() + 1));
        let age = Some(self.brought.load(Ordering::Relaxed)).filter(|age| *age < NEVER)?;
        self.since.checked_add(Duration::from_millis(age))
    }
}

/// Places of one kind.
pub(super) struct Pool {
    free: Semaphore,
    seats: Mutex<Seats>,
}

/// The places that are taken, oldest first.
struct Seats {
    next: u64,
    taken: BTreeMap<u64, Arc<Pulse>>,
    of_accounts: HashMap<u64, usize>,
    /// Until when who holds so many places, or more, looks in vain: the many who wait need not all look. An account that is
    /// given more meanwhile is found with the next look.
    in_vain: (usize, Instant),
}

/// A place; free again when dropped, unless somebody else has taken it.
pub(super) struct Ticket<'a> {
    pool: &'a Pool,
    seat: u64,
}

impl Pool {
    pub(super) fn new(places: usize) -> Self {
        let seats = Seats {
            next: 0,
            taken: BTreeMap::new(),
            of_accounts: HashMap::new(),
            in_vain: (0, Instant::now()),
        };
        Self { free: Semaphore::new(places.min(Semaphore::MAX_PERMITS)), seats: Mutex::new(seats) }
    }

    /// Waits for a place.
    pub(super) async fn take(&self, request: &Arc<Pulse>) -> Ticket<'_> {
        // Fails only when closed, which nobody does.
        let acquiring = async {
            if let Ok(permit) = self.free.acquire().await {
                permit.forget();
            }
            self.ticket(self.seats().add(request))
        };
        tokio::pin!(acquiring);
        let mut wait = Duration::ZERO;
        loop {
            if let Ok(ticket) = timeout(wait, &mut acquiring).await {
                return ticket;
            }
            if let Some(seat) = self.seats().take_over(request, Instant::now()) {
                return self.ticket(seat);
            }
            wait = LOOKS_AGAIN;
        }
    }

    fn ticket(&self, seat: u64) -> Ticket<'_> {
        Ticket { pool: self, seat }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    fn held_by(&self, account: u64) -> usize {
        self.of_accounts.get(&account).copied().unwrap_or(0)
    }

    fn add(&mut self, request: &Arc<Pulse>) -> u64 {
        let seat = self.next;
        self.next += 1;
        self.taken.insert(seat, Arc::clone(request));
        *self.of_accounts.entry(request.account).or_default() += 1;
        seat
    }

    fn remove(&mut self, seat: u64) -> Option<Arc<Pulse>> {
        let request = self.taken.remove(&seat)?;
        let left = self.held_by(request.account).saturating_sub(1);
        if left > 0 {
            self.of_accounts.insert(request.account, left);
        } else {
            self.of_accounts.remove(&request.account);
        }
        Some(request)
    }

    /// The place of a request that brings nothing for one who waits: the oldest of the account that holds the most.
    fn take_over(&mut self, waiting: &Arc<Pulse>, now: Instant) -> Option<u64> {
        let own = self.held_by(waiting.account);
        if own >= self.in_vain.0 && now < self.in_vain.1 {
            return None;
        }
        let (mut found, mut most, mut soonest) = (None, 0, now + PATIENCE);
        for (seat, request) in &self.taken {
            let held = self.held_by(request.account);
            let Some((since, patience)) = request.silent_since().zip(patience(own, held)) else { continue };
            if since + patience > now {
                soonest = soonest.min(since + patience);
            } else if held > most {
                (found, most) = (Some(*seat), held);
            }
        }
        let Some(seat) = found else {
            self.in_vain = (own, soonest);
            return None;
        };
        self.remove(seat)?.lost.notify_one();
        Some(self.add(waiting))
    }
}

/// For how long a request may bring nothing before one whose account holds `own` places may have one of its account's
/// `held`: never where that does not make it more equal, but one who holds none need not wait for ever. Who holds more
/// has no better chance.
fn patience(own: usize, held: usize) -> Option<Duration> {
    if held >= 2 * (own + 1) {
        Some(PATIENCE)
    } else if own == 0 || held > own + 1 {
        Some(LONG_PATIENCE)
    } else {
        None
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.pool.seats().remove(self.seat).is_some() {
            self.pool.free.add_permits(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::FutureExt;
    use futures::future::join_all;
    use tokio::time::{advance, sleep};

    use super::*;

    thread_local! {
        /// How often it was asked whether a request is idle: what those who wait cost.
        pub(super) static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    fn sent(account: u64) -> Arc<Pulse> {
        let request = Pulse::of(account);
        request.beat();
        request
    }

    fn is_lost(request: &Pulse) -> bool {
        request.lost().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_taken_from_the_oldest_idle_request_of_the_account_that_holds_the_most() {
        let pool = Pool::new(3);
        let few = sent(1);
        let _few = pool.take(&few).await;
        let many = [sent(2), sent(2)];
        let held = join_all(many.iter().map(|request| pool.take(request))).await;

        let other = sent(3);
        let start = Instant::now();
        let _other = timeout(PATIENCE * 5, pool.take(&other)).await.expect("a place of an idle one");
        assert!(start.elapsed() >= PATIENCE, "until then all of them may bring something");
        assert_eq!([&few, &many[0], &many[1]].map(|request| is_lost(request)), [false, true, false]);

        drop(held);
        let two = [sent(4), sent(4)];
        let taken = timeout(LOOKS_AGAIN / 2, join_all(two.iter().map(|request| pool.take(request)))).await;
        assert!(taken.is_err(), "the place that was taken is not free a second time");
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_that_hold_as_much_as_others_take_nothing_from_them() {
        let pool = Pool::new(4);
        let held: Vec<_> = [1, 1, 2, 2].map(sent).into();
        let _tickets = join_all(held.iter().map(|request| pool.take(request))).await;
        advance(PATIENCE).await;
        assert!(timeout(PATIENCE * 5, pool.take(&sent(1))).await.is_err());
        assert!(!held.iter().any(|request| is_lost(request)));
        timeout(PATIENCE, pool.take(&sent(3))).await.expect("one that holds none");
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_at_a_slow_cloud_do_not_take_from_each_other_before_it_answers() {
        let pool = Pool::new(4);
        let asking = (0..16).map(async |account| {
            let request = Pulse::of(account);
            let _ticket = pool.take(&request).await;
            request.beat();
            timeout(PATIENCE * 2, request.lost()).await.is_ok()
        });
        assert!(!join_all(asking).await.contains(&true), "all were answered");

        let silent = [1, 2, 3, 4].map(sent);
        let _tickets = join_all(silent.iter().map(|request| pool.take(request))).await;
        timeout(LONG_PATIENCE * 2, pool.take(&sent(5))).await.expect("one of those that are silent for long");
        assert!(is_lost(&silent[0]));
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_wait_in_vain_do_not_all_look_at_all_who_hold_places() {
        let pool = Pool::new(64);
        let held: Vec<_> = (0..64).map(|number| sent(number % 8)).collect();
        let _tickets = join_all(held.iter().map(|request| pool.take(request))).await;
        advance(PATIENCE).await;
        let waiting: Vec<_> = (0..1_000).map(|number| sent(number % 8)).collect();
        LOOKS.set(0);
        assert!(
            timeout(PATIENCE * 2, join_all(waiting.iter().map(|request| pool.take(request)))).await.is_err()
        );
        assert!(LOOKS.get() <= 3 * 64, "{} looks", LOOKS.get());
        timeout(Duration::ZERO, pool.take(&sent(8))).await.expect("one that holds none need not wait");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_brings_something_or_waits_for_us_keeps_its_place() {
        let pool = Pool::new(2);
        let (brings, rests) = (sent(1), sent(1));
        let _tickets = (pool.take(&brings).await, pool.take(&rests).await);
        rests.rest();
        let beating = async {
            for _ in 0..20 {
                sleep(PATIENCE / 2).await;
                brings.beat();
            }
        };
        let other = sent(2);
        let (taken, ()) = tokio::join!(timeout(PATIENCE * 10, pool.take(&other)), beating);
        assert!(taken.is_err() && !is_lost(&brings) && !is_lost(&rests));

        rests.beat();
        timeout(PATIENCE * 3, pool.take(&other)).await.expect("both bring nothing any more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_dropped_leaves_nothing_taken() {
        let pool = Pool::new(1);
        let first = sent(1);
        let ticket = pool.take(&first).await;
        let waits = Pulse::of(2);
        assert!(timeout(Duration::from_millis(10), pool.take(&waits)).await.is_err());
        drop(ticket);
        assert!(timeout(Duration::ZERO, pool.take(&waits)).await.is_ok());
        assert!(pool.seats().taken.is_empty() && pool.seats().of_accounts.is_empty());
    }
}
