//! Whose turn it is to read Secrets: two lines, of which the urgent one goes first, before one door that keeps the rate.
//!
//! A turn is a time. Whoever has to wait long for it comes back then, so that nobody keeps others from being
//! reconciled meanwhile. Knows times only, neither Secrets nor Kubernetes.

use std::collections::HashMap;
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
    urgent: Free,
    usual: Free,
    door: Free,
}

/// What one account adds to the load, and when its turn comes where it waits for one.
#[derive(Default)]
struct Place {
    standing: Standing,
    turn: Option<Instant>,
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
        let (line, a_second, patience) = if urgent {
            (&mut self.urgent, f64::from(URGENT_A_SECOND), 2 * NEAR)
        } else {
            (&mut self.usual, f64::from(READS_A_SECOND) - self.load.urgent_a_second(), NEAR)
        };
        let lasts = Duration::from_secs_f64(f64::from(reads) / a_second);
        // Who has become urgent may have had a sooner turn all the same.
        let free = line.from(now);
        let mut turn = place.turn.filter(|turn| *turn <= free).unwrap_or_else(|| line.take(free, lasts));
        let door = self.door.from(now);
        if turn <= now + NEAR && door > now + patience {
            turn = line.take(line.from(door), lasts);
        }
        let is_near = turn <= now + NEAR;
        place.turn = (!is_near).then_some(turn);
        if is_near { Ok(turn) } else { Err(Later(turn)) }
    }
}

#[cfg(test)]
mod tests;
