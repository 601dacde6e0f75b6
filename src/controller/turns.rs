//! Whose turn it is to read Secrets: two lines, of which the urgent one goes first, before one door that keeps the rate.
//!
//! A turn is a time. Whoever has to wait long for it comes back then, so that nobody keeps others from being
//! reconciled meanwhile. Knows times only, neither Secrets nor Kubernetes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::secrets::{Load, READS_A_SECOND, Standing, URGENT_A_SECOND};
use crate::account::AccountId;

/// The longest that a turn is waited for; who has a later one comes back.
const NEAR: Duration = Duration::from_secs(1);

/// Come back at this time: the turn is yours until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Later(pub(super) Instant);

/// See the module.
#[derive(Default)]
pub(super) struct Turns(Mutex<Book>);

/// From when on each line and the door are free, and who has which turn.
#[derive(Default)]
struct Book {
    accounts: HashMap<AccountId, Place>,
    load: Load,
    lines: Lines,
    door: Free,
}

/// What one account adds to the load, and its turn where it waits for one.
#[derive(Default)]
struct Place {
    standing: Standing,
    turn: Option<Turn>,
}

/// A time in one of the lines.
#[derive(Clone, Copy)]
struct Turn {
    at: Instant,
    urgent: bool,
}

#[derive(Default)]
struct Lines {
    urgent: Line,
    usual: Line,
}

impl Lines {
    fn of(&mut self, urgent: bool) -> &mut Line {
        if urgent { &mut self.urgent } else { &mut self.usual }
    }

    /// Leaves a turn to whoever asks next: else an account that comes and goes would lengthen the line each time.
    fn give_up(&mut self, turn: Turn) {
        self.of(turn.urgent).given_up.insert(turn.at);
    }
}

/// The turns that nobody has: some in between, and all from a time on.
#[derive(Default)]
struct Line {
    given_up: BTreeSet<Instant>,
    free: Free,
}

impl Line {
    /// The first of them from this time on. What is before is of no use to anybody any more.
    fn first(&mut self, from: Instant) -> Instant {
        while self.given_up.first().is_some_and(|turn| *turn < from) {
            self.given_up.pop_first();
        }
        self.given_up.first().copied().unwrap_or_else(|| self.free.from(from))
    }

    /// Takes the first from this time on; at the end of the line it lasts so long.
    fn take(&mut self, from: Instant, lasts: Duration) -> Instant {
        let first = self.first(from);
        if self.given_up.remove(&first) { first } else { self.free.take(first, lasts) }
    }
}

/// The time from which on something is free; at the beginning it is.
#[derive(Default)]
struct Free(Option<Instant>);

impl Free {
    fn from(&self, now: Instant) -> Instant {
        self.0.map_or(now, |free| free.max(now))
    }

    /// Takes it at this time for so long.
    fn take(&mut self, at: Instant, lasts: Duration) -> Instant {
        self.0 = Some(at + lasts);
        at
    }
}

impl Turns {
    /// Takes note of how an account stands. Returns the time between two readings of its Secrets.
    pub(super) fn note(&self, id: &AccountId, standing: Standing) -> Duration {
        let mut book = self.book();
        let before = std::mem::replace(&mut book.accounts.entry(id.clone()).or_default().standing, standing);
        book.load.change(before, standing);
        book.load.period(standing.failing)
    }

    /// Forgets an account: it reads nothing.
    pub(super) fn forget(&self, id: &AccountId) {
        let mut book = self.book();
        if let Some(place) = book.accounts.remove(id) {
            book.load.change(place.standing, Standing::default());
            if let Some(turn) = place.turn {
                book.lines.give_up(turn);
            }
        }
    }

    /// Waits for the account's turn where it is near, else reserves it and says when it comes.
    pub(super) async fn come(&self, id: &AccountId, urgent: bool) -> Result<(), Later> {
        let turn = self.book().turn(id, urgent, Instant::now())?;
        tokio::time::sleep_until(turn).await;
        Ok(())
    }

    /// Lets one read through the door: [`READS_A_SECOND`], in the order of asking.
    pub(super) async fn pass(&self) {
        let turn = {
            let mut book = self.book();
            let free = book.door.from(Instant::now());
            book.door.take(free, Duration::from_secs(1) / READS_A_SECOND)
        };
        tokio::time::sleep_until(turn).await;
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// The account's turn: one that is near is taken, another is kept for it.
    fn turn(&mut self, id: &AccountId, urgent: bool, now: Instant) -> Result<Instant, Later> {
        let place = self.accounts.entry(id.clone()).or_default();
        let reads = place.standing.secrets.max(1);
        // At the door the urgent go first: the others are turned away while it has much to do.
        let (a_second, patience) = if urgent {
            (f64::from(URGENT_A_SECOND), 2 * NEAR)
        } else {
            (f64::from(READS_A_SECOND) - self.load.urgent_a_second(), NEAR)
        };
        let lasts = Duration::from_secs_f64(f64::from(reads) / a_second);
        let first = self.lines.of(urgent).first(now);
        let mut turn = match place.turn.take() {
            // Who has become urgent may have had a sooner turn all the same.
            Some(turn) if turn.at <= first => turn,
            later => {
                let at = self.lines.of(urgent).take(now, lasts);
                if let Some(later) = later {
                    self.lines.give_up(later);
                }
                Turn { at, urgent }
            }
        };
        let door = self.door.from(now);
        if turn.at <= now + NEAR && door > now + patience {
            turn = Turn { at: self.lines.of(urgent).take(door, lasts), urgent };
        }
        if turn.at <= now + NEAR {
            return Ok(turn.at);
        }
        place.turn = Some(turn);
        Err(Later(turn.at))
    }
}

#[cfg(test)]
mod tests;
