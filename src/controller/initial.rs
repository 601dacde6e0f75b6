//! Knows when the accounts that were there at the start have been handed over to the collector.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::scope::Scope;
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
    to_list: Vec<Scope>,
    to_read: HashSet<AccountId>,
    /// Accounts that have settled, of scopes that are not listed yet. Their objects are in the store of such a scope until
    /// its list ends, and are charged there: a scope that is never listed remembers no more names than it keeps objects.
    settled: HashSet<AccountId>,
}

impl InitialAccounts {
    /// Waits for the lists of these scopes, and reports to `startup`.
    pub(super) fn new(scopes: Vec<Scope>, startup: watch::Sender<Startup>) -> Self {
        let state = State { to_list: scopes, to_read: HashSet::new(), settled: HashSet::new() };
        Self { state: Mutex::new(state), startup }
    }

    /// This scope has been listed for the first time, with these accounts.
    pub(super) fn listed(&self, scope: &Scope, accounts: impl IntoIterator<Item = AccountId>) {
        let mut state = self.state();
        let State { to_list, to_read, settled } = &mut *state;
        to_list.retain(|other| other != scope);
        to_read.extend(accounts.into_iter().filter(|account| !settled.contains(account)));
        settled.retain(|account| is_to_list(to_list, account));
        settled.shrink_to_fit();
        self.report(&state);
    }

    /// An account has been handed over, cannot be collected, or has gone.
    pub(super) fn settled(&self, id: &AccountId) {
        let mut state = self.state();
        if is_to_list(&state.to_list, id) {
            // It may come before the end of the list that has it.
            state.settled.insert(id.clone());
        }
        if state.to_read.remove(id) {
            self.report(&state);
        }
    }

    fn report(&self, state: &State) {
        let now = match state {
            State { to_list, .. } if !to_list.is_empty() => Startup::Listing,
            State { to_read, .. } if to_read.is_empty() => Startup::HandedOver,
            _ => Startup::Reading,
        };
        self.startup.send_if_modified(|before| std::mem::replace(before, now) != now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether one of these scopes has the account.
fn is_to_list(scopes: &[Scope], id: &AccountId) -> bool {
    scopes.iter().any(|scope| scope.covers(&id.namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_over_when_each_listed_account_of_each_scope_has_settled() {
        let startup = watch::Sender::new(Startup::Listing);
        let [a, b] = ["team-a", "team-b"].map(|namespace| Scope::Namespace(namespace.to_owned()));
        let initial = InitialAccounts::new(vec![a.clone(), b.clone()], startup.clone());
        let acme = AccountId::new("team-a", "acme");
        let [beta, gamma] = ["beta", "gamma"].map(|name| AccountId::new("team-b", name));
        initial.listed(&a, [acme.clone()]);
        initial.settled(&acme);
        assert_eq!(*startup.borrow(), Startup::Listing);
        initial.settled(&beta);
        initial.listed(&b, [beta.clone(), gamma.clone()]);
        initial.settled(&beta);
        assert_eq!(*startup.borrow(), Startup::Reading);
        initial.settled(&gamma);
        assert_eq!(*startup.borrow(), Startup::HandedOver);
    }

    #[test]
    fn while_a_scope_cannot_be_listed_the_names_of_another_are_not_remembered() {
        let [a, b] = ["team-a", "team-b"].map(|namespace| Scope::Namespace(namespace.to_owned()));
        let initial = InitialAccounts::new(vec![a.clone(), b], watch::Sender::new(Startup::Listing));
        let settle = || {
            (0..1_000).for_each(|n| initial.settled(&AccountId::new("team-a", &format!("acme-{n}"))));
            initial.state().settled.len()
        };
        assert_eq!(settle(), 1_000, "its list may have them");
        initial.listed(&a, []);
        assert_eq!(initial.state().settled.len(), 0);
        assert_eq!(settle(), 0, "they come and go, and no list will have them");
    }
}
