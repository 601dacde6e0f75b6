//! The open connections of a listener: bounded in number, and which one is closed when one more arrives.
//!
//! Knows clients, time, and what responses keep in memory, but neither sockets nor HTTP.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::kept_body::{KeptBody, replaced_bytes};

/// The open connections of one listener; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    table: Arc<Mutex<Table>>,
    /// Wakes tasks that wait until one closes.
    closed: Arc<Notify>,
    limit: usize,
    protected: Duration,
    /// See [`OpenConnection::keep`].
    replaced: usize,
}

#[derive(Debug, Default)]
struct Table {
    open: HashMap<u64, Entry>,
    /// How many of them each client has.
    by_client: HashMap<IpAddr, usize>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    client: IpAddr,
    state: State,
    /// When the state began.
    since: Instant,
    /// What its response keeps in memory.
    body: Option<KeptBody>,
    evicted: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No request has arrived.
    New,
    /// A response was handed over. Its end may still be on the way.
    Idle,
    /// A response is made or sent.
    Responding,
}

impl Connections {
    /// At most `limit` connections. One is not evicted for as long as `protected` after it was opened, and after its response
    /// began or ended. Responses keep at most `replaced` bytes of bodies that have been replaced.
    pub(super) fn new(limit: usize, protected: Duration, replaced: usize) -> Self {
        Self { table: Arc::default(), closed: Arc::default(), limit: limit.max(1), protected, replaced }
    }

    /// Adds a connection of this client. If there are too many, another one is evicted: one without a response under way,
    /// else one whose response takes longest; of the client that has most connections. If all are protected, waits until
    /// one is not. Cancelling adds and evicts nothing.
    pub(super) async fn open(&self, client: IpAddr) -> OpenConnection {
        loop {
            let closed = self.closed.notified();
            match self.try_open(client, Instant::now()) {
                Ok(connection) => return connection,
                // The next attempt shows whether one has closed or the time is over.
                Err(until) => drop(timeout_at(until, closed).await),
            }
        }
    }

    /// Adds a connection, or returns when one can be evicted for it.
    fn try_open(&self, client: IpAddr, now: Instant) -> Result<OpenConnection, Instant> {
        let mut table = self.table();
        if table.open.len() >= self.limit {
            table.evict(now, self.protected)?;
        }
        let (id, evicted) = (table.next, CancellationToken::new());
        table.next += 1;
        let entry = Entry { client, state: State::New, since: now, body: None, evicted: evicted.clone() };
        table.open.insert(id, entry);
        *table.by_client.entry(client).or_default() += 1;
        Ok(OpenConnection { connections: self.clone(), id, evicted })
    }

    /// Closes a connection, if there is one that is not protected. For when the process cannot open any more.
    pub(super) fn evict_one(&self) {
        // An error means that there is none.
        let _ = self.table().evict(Instant::now(), self.protected);
    }

    /// Whether more than half of the connections are taken.
    pub(super) fn are_scarce(&self) -> bool {
        self.table().open.len() * 2 > self.limit
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Takes a connection out, unless it has been evicted.
    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.open.remove(&id)?;
        if let Some(count) = self.by_client.get_mut(&entry.client) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&entry.client);
            }
        }
        Some(entry)
    }

    /// Evicts a connection, or returns when the first of the protected ones can be evicted.
    fn evict(&mut self, now: Instant, protected: Duration) -> Result<(), Instant> {
        let evictable = self.open.iter().filter(|(_, entry)| entry.evictable_at(protected) <= now);
        let most = self.by_client.values().max().copied().unwrap_or_default();
        let mut largest =
            self.by_client.iter().filter(|(_, count)| **count == most).map(|(client, _)| *client);
        // A flood comes from one client in most cases; then none of its hundreds of connections is looked up.
        let only = largest.next().filter(|_| largest.next().is_none());
        let is_of_largest = |client: IpAddr| match only {
            Some(only) => client == only,
            None => self.by_client.get(&client) == Some(&most),
        };
        let first = evictable.min_by_key(|(_, entry)| {
            (entry.state == State::Responding, !is_of_largest(entry.client), entry.since)
        });
        // A response is not cut off where one that has requested nothing can be evicted soon.
        let fresh = self.open.values().filter(|entry| entry.state == State::New);
        let soon = fresh.map(|entry| entry.evictable_at(protected)).min();
        match (first, soon) {
            (Some((_, entry)), Some(soon)) if entry.state == State::Responding => Err(soon),
            (Some((id, _)), _) => {
                let id = *id;
                if let Some(entry) = self.remove(id) {
                    entry.evicted.cancel();
                }
                Ok(())
            }
            (None, _) => {
                let soonest = self.open.values().map(|entry| entry.evictable_at(protected)).min();
                Err(soonest.unwrap_or(now))
            }
        }
    }

    /// Evicts those that have read replaced bodies for longest, until the rest keep at most so many bytes of such.
    fn evict_readers(&mut self, most: usize) {
        while replaced_bytes(self.open.values().filter_map(|entry| entry.body.as_ref())) > most {
            let is_replaced = |entry: &Entry| entry.body.as_ref().is_some_and(KeptBody::is_replaced);
            let readers = self.open.iter().filter(|(_, entry)| is_replaced(entry));
            let Some((&id, _)) = readers.min_by_key(|(_, entry)| entry.since) else { return };
            if let Some(entry) = self.remove(id) {
                entry.evicted.cancel();
            }
        }
    }
}

impl Entry {
    fn evictable_at(&self, protected: Duration) -> Instant {
        self.since + protected
    }
}

/// One connection in the table; dropping takes it out.
#[derive(Debug)]
pub(super) struct OpenConnection {
    connections: Connections,
    id: u64,
    evicted: CancellationToken,
}

impl OpenConnection {
    /// Ends when the connection has to be closed in favour of another one.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// When the response under way began.
    pub(super) fn responding_since(&self) -> Option<Instant> {
        let table = self.connections.table();
        table.open.get(&self.id).filter(|entry| entry.state == State::Responding).map(|entry| entry.since)
    }

    /// Its response under way keeps this body in memory. Where responses keep too much of what has been replaced, those
    /// that have read it for longest are closed.
    pub(super) fn keep(&self, body: KeptBody) {
        let mut table = self.connections.table();
        if let Some(entry) = table.open.get_mut(&self.id) {
            entry.body = Some(body);
        }
        table.evict_readers(self.connections.replaced);
    }

    /// A request has arrived; its response is under way until the value is dropped.
    pub(super) fn respond(&self) -> Responding {
        self.connections.change(self.id, State::Responding);
        Responding { connections: self.connections.clone(), id: self.id }
    }
}

impl Connections {
    fn change(&self, id: u64, state: State) {
        // One that was evicted is not there any more.
        if let Some(entry) = self.table().open.get_mut(&id) {
            (entry.state, entry.since, entry.body) = (state, Instant::now(), None);
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.table().remove(self.id);
        self.connections.closed.notify_one();
    }
}

/// A response that is made or sent.
#[derive(Debug)]
pub(super) struct Responding {
    connections: Connections,
    id: u64,
}

impl Drop for Responding {
    fn drop(&mut self) {
        self.connections.change(self.id, State::Idle);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const PROTECTED: Duration = Duration::from_millis(50);
    const REPLACED: usize = 100;

    fn client(number: u8) -> IpAddr {
        [10, 0, 0, number].into()
    }

    fn connections(limit: usize) -> Connections {
        Connections::new(limit, PROTECTED, REPLACED)
    }

    async fn later() {
        tokio::time::advance(Duration::from_millis(10)).await;
    }

    fn is_evicted(connection: &OpenConnection) -> bool {
        connection.evicted.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_connection_is_evicted() {
        let connections = connections(2);
        let first = connections.open(client(1)).await;
        later().await;
        let second = connections.open(client(1)).await;
        later().await;
        drop(first.respond());
        later().await;

        let third = connections.open(client(1)).await;
        assert_eq!([&first, &second, &third].map(is_evicted), [false, true, false]);
        drop(third.respond());
        tokio::time::advance(PROTECTED).await;
        let fourth = connections.open(client(1)).await;
        assert_eq!([&first, &third, &fourth].map(is_evicted), [true, false, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_whose_request_may_be_on_its_way_is_not_evicted() {
        let connections = connections(1);
        let first = connections.open(client(1)).await;
        let begun = Instant::now();
        connections.open(client(2)).await;
        assert_eq!((is_evicted(&first), begun.elapsed()), (true, PROTECTED));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_responds_is_evicted_after_all_others_and_not_before_its_time() {
        let connections = connections(2);
        let responding = connections.open(client(1)).await;
        let response = responding.respond();
        tokio::time::advance(PROTECTED * 2).await;
        let new = connections.open(client(1)).await;
        let other = connections.open(client(1)).await;
        assert_eq!([&responding, &new, &other].map(is_evicted), [false, true, false]);

        let _others_response = other.respond();
        later().await;
        let last = connections.open(client(1)).await;
        assert_eq!(
            [&responding, &other, &last].map(is_evicted),
            [true, false, false],
            "now it is the oldest"
        );

        let _last_response = last.respond();
        let begun = Instant::now();
        connections.open(client(1)).await;
        assert_eq!((is_evicted(&other), begun.elapsed()), (true, Duration::from_millis(40)));
        drop(response);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_response_that_is_still_on_its_way_is_not_cut_off() {
        let connections = connections(1);
        let first = connections.open(client(1)).await;
        drop(first.respond());
        let begun = Instant::now();
        connections.open(client(2)).await;
        assert_eq!((is_evicted(&first), begun.elapsed()), (true, PROTECTED));
    }

    #[tokio::test(start_paused = true)]
    async fn among_clients_with_as_many_connections_the_oldest_one_is_evicted() {
        let connections = connections(20);
        let mut open = Vec::new();
        for number in 0..20 {
            open.push(connections.open(client(number)).await);
            later().await;
        }
        tokio::time::advance(PROTECTED).await;

        let _new = connections.open(client(100)).await;

        assert_eq!(open.iter().map(is_evicted).collect::<Vec<_>>(), [vec![true], vec![false; 19]].concat());
    }

    #[tokio::test(start_paused = true)]
    async fn the_client_with_most_connections_loses_one() {
        let connections = connections(4);
        let scraper = connections.open(client(1)).await;
        later().await;
        let mut crowd = Vec::new();
        for _ in 0..20 {
            crowd.push(connections.open(client(2)).await);
            tokio::time::advance(PROTECTED).await;
        }
        assert!(!is_evicted(&scraper), "although it is idle for longest");
        assert_eq!(crowd.iter().filter(|connection| !is_evicted(connection)).count(), 3);
        drop((scraper, crowd));
        let table = connections.table();
        assert!(table.open.is_empty() && table.by_client.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn readers_of_replaced_bodies_are_evicted_where_these_take_too_much() {
        let connections = connections(10);
        let snapshots = [0, 1].map(|number| Arc::new(Bytes::from(vec![number; 60])));
        let mut readers = Vec::new();
        // Two of them read the same.
        for snapshot in [&snapshots[0], &snapshots[1], &snapshots[1]] {
            later().await;
            let reader = connections.open(client(1)).await;
            let response = reader.respond();
            reader.keep(KeptBody::new(snapshot, snapshot));
            readers.push((reader, response));
        }
        let evicted = |readers: &[(OpenConnection, Responding)]| {
            readers.iter().map(|(reader, _)| is_evicted(reader)).collect::<Vec<_>>()
        };
        assert_eq!(evicted(&readers), [false; 3], "what is current costs nothing");

        drop(snapshots);
        let newest = connections.open(client(1)).await;
        let response = newest.respond();
        let current = Arc::new(Bytes::from(vec![2; 60]));
        newest.keep(KeptBody::new(&current, &current));
        readers.push((newest, response));
        assert_eq!(
            evicted(&readers),
            [true, false, false, false],
            "60 bytes are left, and 60 that are current"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_waits_is_let_in_when_another_closes() {
        let connections = connections(1);
        let first = connections.open(client(1)).await;
        let response = first.respond();
        let begun = Instant::now();
        let opening = tokio::spawn({
            let connections = connections.clone();
            async move { connections.open(client(2)).await }
        });
        tokio::task::yield_now().await;
        assert!(!opening.is_finished());
        drop((response, first));
        assert!(!is_evicted(&opening.await.unwrap()));
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
