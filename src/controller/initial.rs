//! Knows when the accounts that were there at the start have been handed over to the collector.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::account::AccountId;

/// How far the start has come. Later stages are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Startup {
    /// Not every scope has been listed.
    Listing,
    /// The Secrets of the listed accounts are read for the first time.
    Reading,
    /// Each of these accounts is collected or cannot be.
    HandedOver,
}

/// Counts down the accounts of the initial lists.
pub(super) struct InitialAccounts {
    state: Mutex<State>,
    startup: watch::Sender<Startup>,
}

struct State {
    scopes_to_list: usize,
    to_read: HashSet<AccountId>,
    /// Accounts that have settled while there is a scope to list.
    settled: HashSet<AccountId>,
}

impl InitialAccounts {
    /// Waits for the lists of so many scopes, and reports to `startup`.
    pub(super) fn new(scopes: usize, startup: watch::Sender<Startup>) -> Self {
        let state = State { scopes_to_list: scopes, to_read: HashSet::new(), settled: HashSet::new() };
        Self { state: Mutex::new(state), startup }
    }

    /// A scope has been listed for the first time, with these accounts.
    pub(super) fn listed(&self, accounts: impl IntoIterator<Item = AccountId>) {
        let mut state = self.state();
        state.scopes_to_list = state.scopes_to_list.saturating_sub(1);
        let State { to_read, settled, .. } = &mut *state;
        to_read.extend(accounts.into_iter().filter(|account| !settled.contains(account)));
        if state.scopes_to_list == 0 {
            state.settled = HashSet::new();
        }
        self.report(&state);
    }

    /// An account has been handed over, cannot be collected, or has gone.
    pub(super) fn settled(&self, id: &AccountId) {
        let mut state = self.state();
        if state.scopes_to_list > 0 {
            // It may come before the end of the list that has it.
            state.settled.insert(id.clone());
        }
        if state.to_read.remove(id) {
            self.report(&state);
        }
    }

    fn report(&self, state: &State) {
        let now = match state {
            State { scopes_to_list: 1.., .. } => Startup::Listing,
            State { to_read, .. } if to_read.is_empty() => Startup::HandedOver,
            _ => Startup::Reading,
        };
        self.startup.send_if_modified(|before| std::mem::replace(before, now) != now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_over_when_each_listed_account_of_each_scope_has_settled() {
        let startup = watch::Sender::new(Startup::Listing);
        let initial = InitialAccounts::new(2, startup.clone());
        let [acme, beta, gamma] = ["acme", "beta", "gamma"].map(|name| AccountId::new("team-a", name));
        initial.listed([acme.clone()]);
        initial.settled(&acme);
        assert_eq!(*startup.borrow(), Startup::Listing);
        initial.settled(&beta);
        initial.listed([beta.clone(), gamma.clone()]);
        initial.settled(&beta);
        assert_eq!(*startup.borrow(), Startup::Reading);
        initial.settled(&gamma);
        assert_eq!(*startup.borrow(), Startup::HandedOver);
    }
}
