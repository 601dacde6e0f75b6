//! How many connections there may be, and which one makes room when there are too many.
//!
//! Knows nothing of HTTP: a connection is what last did something useful at some time.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// The places for connections.
#[derive(Debug)]
pub(super) struct Slots {
    limit: usize,
    /// A connection that did nothing useful for this long gives its place to a new one.
    quiet: Duration,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    by: BTreeMap<u64, (Instant, CancellationToken)>,
}

impl Slots {
    pub(super) fn new(limit: usize, quiet: Duration) -> Arc<Self> {
        Arc::new(Self { limit, quiet, taken: Mutex::default(), freed: Notify::new() })
    }

    /// A place for a new connection. When all are taken, the connection that has been quiet for longest goes;
    /// where all are at work, this waits.
    pub(super) async fn take(self: &Arc<Self>) -> Slot {
        loop {
            if let Some(slot) = self.try_take() {
                return slot;
            }
            // Wakes by itself too, since growing quiet is no event.
            let _ = timeout(self.quiet / 4, self.freed.notified()).await;
        }
    }

    fn try_take(self: &Arc<Self>) -> Option<Slot> {
        let mut taken = self.taken();
        if taken.by.len() >= self.limit {
            let (&id, (since, _)) = taken.by.iter().min_by_key(|(_, (since, _))| *since)?;
            if since.elapsed() < self.quiet {
                return None;
            }
            if let Some((_, close)) = taken.by.remove(&id) {
                close.cancel();
            }
        }
        let (id, close) = (taken.next, CancellationToken::new());
        taken.next += 1;
        taken.by.insert(id, (Instant::now(), close.clone()));
        Some(Slot { slots: Arc::clone(self), id, close })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place; free again when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    id: u64,
    close: CancellationToken,
}

impl Slot {
    /// The connection did something useful: a whole request came, or bytes of an answer went. Bytes of a request
    /// do not count, or a client that sends its headers for ever would never be quiet.
    pub(super) fn touch(&self) {
        if let Some((since, _)) = self.slots.taken().by.get_mut(&self.id) {
            *since = Instant::now();
        }
    }

    /// Resolves when the place is given to another connection.
    pub(super) async fn lost(&self) {
        self.close.cancelled().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.taken().by.remove(&self.id);
        self.slots.freed.notify_one();
    }
}

/// A stream whose slot is touched by every write that moves bytes.
pub(super) struct Watched {
    pub(super) stream: TcpStream,
    pub(super) slot: Arc<Slot>,
}

impl Watched {
    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(result, Poll::Ready(Ok(bytes)) if bytes > 0) {
            self.slot.touch();
        }
        result
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const QUIET: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_is_quiet_for_longest_makes_room() {
        let slots = Slots::new(2, QUIET);
        let (first, second) = (slots.take().await, slots.take().await);
        advance(QUIET).await;
        first.touch();

        let _third = slots.take().await;

        assert!(second.close.is_cancelled() && !first.close.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn while_all_are_at_work_a_new_connection_waits_for_one_to_end() {
        let slots = Slots::new(1, QUIET);
        let first = slots.take().await;
        assert!(timeout(QUIET / 2, slots.take()).await.is_err());
        assert!(!first.close.is_cancelled());

        let started = Instant::now();
        drop(first);
        slots.take().await;
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
