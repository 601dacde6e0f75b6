//! How many Secrets are read at once, and how often. Knows no Secret and no account beyond its name.
//!
//! First readings are bounded by [`ReadConcurrency`] alone, so that a start is short. Later ones share one rate, namespace by
//! namespace, and within one in the order in which accounts ask for it ([`LaterReads`]). So one namespace cannot delay the
//! readings of another, however many accounts it has.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, mpsc};
use tokio::time::Instant;

use super::api_call::ApiError;
use crate::account::AccountId;
use crate::limits::Shares;

/// The most reads of Secrets under way.
const AT_ONCE: usize = 32;

/// The most later reads a second, over all accounts.
const PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// How many of these the periods of healthy accounts may use. The rest is for reads that nobody can foresee.
const PLANNED_PER_SECOND: u32 = 8;

/// The time between two readings of a healthy account at best.
const HEALTHY_PERIOD: Duration = Duration::from_secs(60);

/// The same for an account that fails for its credentials.
const FAILING_PERIOD: Duration = Duration::from_secs(15);

/// How many accounts share a rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Population {
    /// All of them.
    pub(super) accounts: usize,
    /// How many namespaces they are in.
    pub(super) namespaces: usize,
    /// How many are in the namespace of the account in question.
    pub(super) neighbors: usize,
}

impl Population {
    /// The time between two reads for an account at this rate: as long as for any other account, but no longer than its
    /// namespace's share of the rate needs.
    pub(super) fn period(self, a_second: u32) -> Duration {
        let namespace = self.neighbors.saturating_mul(self.namespaces);
        let accounts = u32::try_from(self.accounts.min(namespace)).unwrap_or(u32::MAX);
        Duration::from_secs(1) * accounts / a_second
    }
}

/// The time between two readings of an account's Secrets where so many accounts are read.
pub(super) fn period(failing: bool, population: Population) -> Duration {
    if failing { FAILING_PERIOD } else { HEALTHY_PERIOD.max(population.period(PLANNED_PER_SECOND)) }
}

/// The longest that the API server's `Retry-After` delays reads.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Bounds the reads under way: [`AT_ONCE`], halved by each 429, one more after each answer, and a third of them for one
/// namespace. None begins before the time that a 429 asks to wait has passed.
pub(super) struct ReadConcurrency {
    shares: Arc<Shares>,
    permits: Semaphore,
    limit: Mutex<Limit>,
}

struct Limit {
    allowed: usize,
    /// Permits in use that go when they are returned.
    excess: usize,
    /// When the next read may begin, where a 429 said so.
    not_before: Option<Instant>,
}

impl Default for ReadConcurrency {
    fn default() -> Self {
        let limit = Limit { allowed: AT_ONCE, excess: 0, not_before: None };
        Self { shares: Shares::thirds(AT_ONCE), permits: Semaphore::new(AT_ONCE), limit: Mutex::new(limit) }
    }
}

impl ReadConcurrency {
    /// Waits for a permit and reads something in this namespace. Cancelling it returns the permit.
    pub(super) async fn run<T, F>(&self, namespace: &str, read: impl FnOnce() -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        let share = self.shares.of(namespace);
        let _of_namespace = Box::pin(share.acquire(1)).await;
        // The semaphore is never closed.
        let permit = self.permits.acquire().await.ok();
        self.pause().await;
        let result = Box::pin(read()).await;
        match &result {
            Err(error) if error.code() == Some(429) => self.halve(error.retry_after()),
            Err(error) if error.code().is_none() => {}
            _ => self.grow(),
        }
        self.put_back(permit);
        result
    }

    /// Waits for as long as the API server has asked to.
    async fn pause(&self) {
        // Another 429 may extend it meanwhile.
        while let Some(until) = self.not_before() {
            tokio::time::sleep_until(until).await;
        }
    }

    fn not_before(&self) -> Option<Instant> {
        self.limit().not_before.filter(|until| *until > Instant::now())
    }

    fn halve(&self, retry_after: Option<Duration>) {
        let mut limit = self.limit();
        let until = retry_after.map(|wait| Instant::now() + wait.min(LONGEST_PAUSE));
        limit.not_before = limit.not_before.max(until);
        let removed = limit.allowed / 2;
        limit.allowed -= removed;
        limit.excess += removed - self.permits.forget_permits(removed);
    }

    fn grow(&self) {
        let mut limit = self.limit();
        if limit.allowed == AT_ONCE {
            return;
        }
        limit.allowed += 1;
        if limit.excess > 0 {
            limit.excess -= 1;
        } else {
            self.permits.add_permits(1);
        }
    }

    fn put_back(&self, permit: Option<SemaphorePermit<'_>>) {
        let mut limit = self.limit();
        if let Some(permit) = permit
            && limit.excess > 0
        {
            limit.excess -= 1;
            permit.forget();
        }
    }

    fn limit(&self) -> MutexGuard<'_, Limit> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rate of later reads, and the queue of accounts that wait for it.
pub(super) struct LaterReads {
    limiter: RateLimiter<NotKeyed, InMemoryState, SinceStart, NoOpMiddleware<Nanos>>,
    queue: Mutex<Queue>,
    added: Notify,
}

#[derive(Default)]
struct Queue {
    /// The accounts that wait, by namespace, in the order of asking; each with the number of its Secrets. No list is empty.
    waiting: HashMap<Arc<str>, VecDeque<(AccountId, NonZeroU32)>>,
    /// These namespaces, the next one first.
    namespaces: VecDeque<Arc<str>>,
    states: HashMap<AccountId, ReadState>,
}

#[derive(Clone, Copy, PartialEq)]
enum ReadState {
    Queued,
    Granted,
}

impl Queue {
    fn push(&mut self, id: &AccountId, secrets: NonZeroU32) {
        self.states.insert(id.clone(), ReadState::Queued);
        let waiting = self.waiting.entry(Arc::clone(&id.namespace)).or_default();
        if waiting.is_empty() {
            self.namespaces.push_back(Arc::clone(&id.namespace));
        }
        waiting.push_back((id.clone(), secrets));
    }

    /// How many Secrets the next account reads.
    fn next(&self) -> Option<NonZeroU32> {
        Some(self.waiting.get(self.namespaces.front()?)?.front()?.1)
    }

    /// Takes out the next account. Its namespace is the last one then.
    fn pop(&mut self) -> Option<AccountId> {
        let namespace = self.namespaces.pop_front()?;
        let waiting = self.waiting.get_mut(&namespace)?;
        let (id, _) = waiting.pop_front()?;
        if waiting.is_empty() {
            self.waiting.remove(&namespace);
        } else {
            self.namespaces.push_back(namespace);
        }
        Some(id)
    }

    fn remove(&mut self, id: &AccountId) {
        if self.states.remove(id) != Some(ReadState::Queued) {
            return;
        }
        if let Some(waiting) = self.waiting.get_mut(&id.namespace) {
            waiting.retain(|(waiting, _)| waiting != id);
            if waiting.is_empty() {
                self.waiting.remove(&id.namespace);
                self.namespaces.retain(|namespace| *namespace != id.namespace);
            }
        }
    }
}

impl Default for LaterReads {
    fn default() -> Self {
        let limiter =
            RateLimiter::direct_with_clock(Quota::per_second(PER_SECOND), SinceStart(Instant::now()));
        Self { limiter, queue: Mutex::default(), added: Notify::new() }
    }
}

impl LaterReads {
    /// Whether the account may read so many Secrets now. Otherwise it joins the queue, and [`Self::grant`] names it when
    /// it may.
    pub(super) fn may_read(&self, id: &AccountId, secrets: NonZeroU32) -> bool {
        let mut queue = self.queue();
        match queue.states.get(id) {
            Some(ReadState::Granted) => return queue.states.remove(id).is_some(),
            Some(ReadState::Queued) => return false,
            None => {}
        }
        if queue.waiting.is_empty() && self.take(secrets).is_none() {
            return true;
        }
        queue.push(id, secrets);
        self.added.notify_one();
        false
    }

    /// Takes an account out of the queue.
    pub(super) fn remove(&self, id: &AccountId) {
        self.queue().remove(id);
    }

    /// Grants the queue's accounts their reads, at the rate, and sends each to be reconciled. Never ends.
    pub(super) async fn grant(&self, reconcile: mpsc::Sender<AccountId>) {
        loop {
            match self.next() {
                Next::Granted(id) => {
                    // Where nobody reconciles any more, nobody waits for it.
                    let _ = reconcile.send(id).await;
                }
                Next::After(wait) => tokio::time::sleep(wait).await,
                Next::Empty => self.added.notified().await,
            }
        }
    }

    fn next(&self) -> Next {
        let mut queue = self.queue();
        let Some(secrets) = queue.next() else { return Next::Empty };
        if let Some(wait) = self.take(secrets) {
            return Next::After(wait);
        }
        let Some(id) = queue.pop() else { return Next::Empty };
        queue.states.insert(id.clone(), ReadState::Granted);
        Next::Granted(id)
    }

    /// Takes so many reads from the rate, or says when they are free.
    fn take(&self, reads: NonZeroU32) -> Option<Duration> {
        match self.limiter.check_n(reads) {
            Ok(Ok(())) => None,
            Ok(Err(not_until)) => Some(not_until.wait_time_from(self.limiter.clock().now())),
            // More than a second's reads: an account has two Secrets at most.
            Err(_) => Some(Duration::from_secs(1)),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Next {
    Granted(AccountId),
    After(Duration),
    Empty,
}

/// Tokio's clock for the rate limiter.
#[derive(Clone)]
struct SinceStart(Instant);

impl Clock for SinceStart {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

#[cfg(test)]
mod tests;
