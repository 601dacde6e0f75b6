//! How many connections there may be, and which one makes room when there are too many.
//!
//! Knows nothing of HTTP: a connection is asked and answers, and last did something useful at some time.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
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
    by: BTreeMap<u64, Place>,
}

#[derive(Debug)]
struct Place {
    stage: Stage,
    /// When it was asked last; before that, when it was made.
    asked: Instant,
    /// When the connection last did something useful.
    since: Instant,
    close: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was asked yet, or an answer is being made.
    AtWork,
    /// The answer is made. Bytes of it may still wait to be sent.
    Made,
    /// All of the answer went, and nothing was asked since.
    Answered,
}

impl Slots {
    pub(super) fn new(limit: usize, quiet: Duration) -> Arc<Self> {
        Arc::new(Self { limit, quiet, taken: Mutex::default(), freed: Notify::new() })
    }

    /// A place for a new connection. When all are taken, of those that are answered or quiet the one goes that did nothing
    /// for longest; where all are at work, this waits.
    ///
    /// A connection that is answered is kept for a further request, which costs its client little to ask on another one.
    /// So there may be far more scrapers than places.
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
            let may_go =
                |place: &Place| place.stage == Stage::Answered || place.since.elapsed() >= self.quiet;
            let leaving = taken.by.iter().filter(|(_, place)| may_go(place));
            let (&id, _) = leaving.min_by_key(|(_, place)| place.since)?;
            if let Some(place) = taken.by.remove(&id) {
                place.close.cancel();
            }
        }
        let (id, close) = (taken.next, CancellationToken::new());
        taken.next += 1;
        let now = Instant::now();
        let place = Place { stage: Stage::AtWork, asked: now, since: now, close: close.clone() };
        taken.by.insert(id, place);
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
    /// A whole request came. False where the place is lost already, and nothing of an answer should go.
    pub(super) fn asked(&self) -> bool {
        self.update(|place| {
            let now = Instant::now();
            (place.stage, place.asked, place.since) = (Stage::AtWork, now, now);
        })
        .is_some()
    }

    /// The answer to the request is made.
    pub(super) fn made(&self) {
        self.update(|place| place.stage = Stage::Made);
    }

    /// Bytes of an answer went. Bytes of a request do not count, or a client that sends its headers for ever would never be
    /// quiet.
    fn wrote(&self) {
        self.update(|place| place.since = Instant::now());
    }

    /// Nothing waits to be sent.
    fn sent_all(&self) {
        let answered = self.update(|place| {
            let answered = place.stage == Stage::Made;
            if answered {
                place.stage = Stage::Answered;
            }
            answered
        });
        if answered == Some(true) {
            self.slots.freed.notify_one();
        }
    }

    /// Changes the place, unless it is lost.
    fn update<T>(&self, change: impl FnOnce(&mut Place) -> T) -> Option<T> {
        self.slots.taken().by.get_mut(&self.id).map(change)
    }

    /// Resolves when the place is given to another connection.
    pub(super) async fn lost(&self) {
        self.close.cancelled().await;
    }

    /// Resolves when not all of an answer went so long after it was asked for, or the place is lost.
    pub(super) async fn overdue(&self, longest: Duration) {
        loop {
            let now = Instant::now();
            // One that is answered may be asked again at any time from now on.
            let asked = self.update(|place| if place.stage == Stage::Answered { now } else { place.asked });
            let Some(asked) = asked.filter(|asked| now < *asked + longest) else { return };
            sleep_until(asked + longest).await;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.taken().by.remove(&self.id);
        self.slots.freed.notify_one();
    }
}

/// A stream that tells its slot of every write that moves bytes, and of the end of them.
pub(super) struct Watched {
    pub(super) stream: TcpStream,
    pub(super) slot: Arc<Slot>,
}

impl Watched {
    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(result, Poll::Ready(Ok(bytes)) if bytes > 0) {
            self.slot.wrote();
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
        let result = Pin::new(&mut self.stream).poll_flush(context);
        if matches!(result, Poll::Ready(Ok(()))) {
            self.slot.sent_all();
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    const QUIET: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_is_quiet_for_longest_makes_room() {
        let slots = Slots::new(2, QUIET);
        let (first, second) = (slots.take().await, slots.take().await);
        advance(QUIET).await;
        first.wrote();

        let _third = slots.take().await;

        assert!(second.close.is_cancelled() && !first.close.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_makes_room_when_all_of_its_answer_went_and_not_while_it_is_made_or_sent() {
        let slots = Slots::new(1, QUIET);
        let first = slots.take().await;
        // Before a request there is nothing that could be answered.
        first.sent_all();
        assert!(slots.try_take().is_none());
        assert!(first.asked());
        first.sent_all();
        assert!(slots.try_take().is_none());
        first.made();
        first.wrote();
        assert!(slots.try_take().is_none());

        let started = Instant::now();
        let (_second, ()) = tokio::join!(slots.take(), async { first.sent_all() });

        assert_eq!(started.elapsed(), Duration::ZERO);
        assert!(first.close.is_cancelled() && !first.asked(), "what is asked too late is not answered");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_a_deadline_however_it_is_taken_and_its_connection_has_none() {
        let longest = Duration::from_secs(100);
        let slots = Slots::new(1, QUIET);
        let slot = slots.take().await;
        let overdue = async {
            slot.overdue(longest).await;
            Instant::now()
        };
        let answers = async {
            for _ in 0..10 {
                sleep(longest * 3 / 4).await;
                assert!(slot.asked());
                sleep(longest * 3 / 4).await;
                slot.made();
                slot.sent_all();
            }
            sleep(longest * 10).await;
            assert!(slot.asked());
            let asked = Instant::now();
            loop {
                slot.wrote();
                sleep(QUIET).await;
                if asked.elapsed() > longest * 2 {
                    return asked;
                }
            }
        };

        let (ended, asked) = tokio::join!(overdue, answers);

        assert_eq!(ended, asked + longest);
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
