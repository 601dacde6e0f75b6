//! Idle connections to clouds, of all accounts: reused by requests to the same origin, bounded in number and in time.
//!
//! Each is a socket and some memory that nobody uses. With a full pool, the namespace with the most idle connections loses
//! its oldest one, so no namespace takes the connections of others.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Longer than the default interval of 30 s, so that a cycle finds the connections of the one before.
///
/// Nothing here bounds the age of a connection that each cycle uses. A cloud whose name moved is found at its new address
/// once the old one closes the connection or fails, as it does when it is taken out of service; servers and load
/// balancers also close connections after a number of requests or some minutes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// A connection that a pool can hold.
pub(super) trait Pooled: Send + 'static {
    /// Whether it can take a request now. It cannot once the server has closed it.
    fn is_ready(&self) -> bool;
}

/// What a connection may be reused for: the same client, which trusts the same certificates, and the same origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) client: u64,
    pub(super) origin: url::Origin,
}

/// The idle connections, the one that has been idle for longest first.
pub(super) struct Pool<C> {
    max: usize,
    state: Mutex<State<C>>,
}

struct State<C> {
    idle: VecDeque<Idle<C>>,
    /// Whether a task waits to close those that expire.
    expiring: bool,
}

struct Idle<C> {
    connection: C,
    destination: Destination,
    /// The namespace of the account that used it last.
    namespace: Arc<str>,
    since: Instant,
}

impl<C: Pooled> Pool<C> {
    /// A pool of at most `max` idle connections.
    pub(super) fn new(max: usize) -> Self {
        Self { max, state: Mutex::new(State { idle: VecDeque::new(), expiring: false }) }
    }

    /// The connection to this destination that was used last. Connections that their server has closed are dropped.
    pub(super) fn take(&self, destination: &Destination) -> Option<C> {
        let mut state = self.state();
        while let Some(at) = state.idle.iter().rposition(|idle| idle.destination == *destination) {
            let found = state.idle.remove(at).map(|idle| idle.connection);
            if let Some(connection) = found.filter(Pooled::is_ready) {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for later requests.
    pub(super) fn put(self: &Arc<Self>, destination: Destination, namespace: Arc<str>, connection: C) {
        let mut state = self.state();
        if state.idle.len() >= self.max {
            state.idle.retain(|idle| idle.connection.is_ready());
        }
        while state.idle.len() >= self.max {
            let Some(at) = state.largest_holders_oldest() else { return };
            state.idle.remove(at);
        }
        state.idle.push_back(Idle { connection, destination, namespace, since: Instant::now() });
        if !state.expiring {
            state.expiring = true;
            tokio::spawn(Arc::clone(self).expire());
        }
    }

    /// Closes all connections of this client.
    pub(super) fn remove(&self, client: u64) {
        self.state().idle.retain(|idle| idle.destination.client != client);
    }

    /// How many connections are idle.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.state().idle.len()
    }

    /// Closes connections as they expire, and ends when there is none.
    async fn expire(self: Arc<Self>) {
        loop {
            let next = {
                let mut state = self.state();
                let now = Instant::now();
                let end = |idle: &Idle<C>| idle.since + IDLE_TIMEOUT;
                let expired = state.idle.partition_point(|idle| end(idle) <= now);
                state.idle.drain(..expired);
                let Some(next) = state.idle.front().map(end) else {
                    state.expiring = false;
                    return;
                };
                next
            };
            sleep_until(next).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> State<C> {
    /// The place of the oldest connection of the namespace that has the most.
    fn largest_holders_oldest(&self) -> Option<usize> {
        let mut held: HashMap<&str, usize> = HashMap::new();
        for idle in &self.idle {
            *held.entry(&idle.namespace).or_default() += 1;
        }
        let most = held.values().copied().max()?;
        self.idle.iter().position(|idle| held.get(&*idle.namespace) == Some(&most))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::time::sleep;
    use url::Url;

    use super::*;

    struct Numbered(u32, Arc<AtomicBool>);

    impl Pooled for Numbered {
        fn is_ready(&self) -> bool {
            self.1.load(Ordering::Relaxed)
        }
    }

    fn to(client: u64, host: &str) -> Destination {
        let url: Url = format!("https://{host}/").parse().unwrap();
        Destination { client, origin: url.origin() }
    }

    fn put(
        pool: &Arc<Pool<Numbered>>,
        number: u32,
        namespace: &str,
        destination: Destination,
    ) -> Arc<AtomicBool> {
        let open = Arc::new(AtomicBool::new(true));
        pool.put(destination, namespace.into(), Numbered(number, Arc::clone(&open)));
        open
    }

    fn take(pool: &Pool<Numbered>, destination: &Destination) -> Option<u32> {
        pool.take(destination).map(|connection| connection.0)
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_used_last_is_taken_and_none_that_is_closed_or_of_another_client() {
        let pool = Arc::new(Pool::new(10));
        put(&pool, 1, "team-a", to(1, "a.example"));
        let closed = put(&pool, 2, "team-a", to(1, "a.example"));
        put(&pool, 3, "team-a", to(1, "a.example"));
        closed.store(false, Ordering::Relaxed);
        assert_eq!(take(&pool, &to(2, "a.example")), None, "another client trusts other certificates");
        assert_eq!(take(&pool, &to(1, "b.example")), None);
        let taken = [(); 3].map(|()| take(&pool, &to(1, "a.example")));
        assert_eq!(taken, [Some(3), Some(1), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_pool_takes_from_the_namespace_with_the_most() {
        let pool = Arc::new(Pool::new(4));
        put(&pool, 1, "team-a", to(1, "a.example"));
        for number in 2..100 {
            put(&pool, number, "tenant", to(1, &format!("{number}.example")));
        }
        assert_eq!(pool.len(), 4);
        assert_eq!(take(&pool, &to(1, "a.example")), Some(1), "the oldest of all, of a namespace with one");
        let left = (2..100).filter(|number| take(&pool, &to(1, &format!("{number}.example"))).is_some());
        assert_eq!(left.collect::<Vec<_>>(), [97, 98, 99]);
    }

    #[tokio::test(start_paused = true)]
    async fn connections_are_closed_after_45_seconds_without_use_and_with_their_client() {
        let pool = Arc::new(Pool::new(10));
        put(&pool, 1, "team-a", to(1, "a.example"));
        sleep(Duration::from_secs(30)).await;
        put(&pool, 2, "team-a", to(1, "a.example"));
        sleep(Duration::from_secs(16)).await;
        assert_eq!(pool.len(), 1);
        sleep(Duration::from_secs(30)).await;
        assert_eq!(pool.len(), 0);

        put(&pool, 3, "team-a", to(1, "a.example"));
        put(&pool, 4, "team-a", to(2, "a.example"));
        pool.remove(1);
        assert_eq!(pool.len(), 1);
        sleep(Duration::from_secs(46)).await;
        assert_eq!(pool.len(), 0, "they expire also after the pool was empty");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pool_of_none_keeps_none() {
        let pool = Arc::new(Pool::new(0));
        put(&pool, 1, "team-a", to(1, "a.example"));
        assert_eq!(pool.len(), 0);
    }
}
