//! Whether the process is ready, as a set of named conditions that others meet. A failing cloud is none of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The conditions; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    met: BTreeMap<&'static str, bool>,
    stopping: bool,
}

impl Readiness {
    /// Adds a condition that is not met yet, named by what it waits for, such as `watches are synced`.
    pub fn expect(&self, name: &'static str) -> Condition {
        let condition = Condition { readiness: self.clone(), name };
        condition.set(false);
        condition
    }

    /// Unready from now on: the first step of a shutdown, so that nothing new is sent here.
    pub fn stop(&self) {
        self.state().stopping = true;
    }

    /// What is missing; empty when ready.
    pub fn missing(&self) -> Vec<&'static str> {
        let state = self.state();
        let stopping = state.stopping.then_some("shutting down");
        stopping
            .into_iter()
            .chain(state.met.iter().filter(|(_, met)| !**met).map(|(name, _)| *name))
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One condition, held by whoever can tell.
#[derive(Debug, Clone)]
pub struct Condition {
    readiness: Readiness,
    name: &'static str,
}

impl Condition {
    /// Says whether the condition holds.
    pub fn set(&self, met: bool) {
        self.readiness.state().met.insert(self.name, met);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_when_every_condition_is_met_and_nobody_stops() {
        let readiness = Readiness::default();
        let (listening, synced) = (readiness.expect("listening"), readiness.expect("synced"));
        assert_eq!(readiness.missing(), ["listening", "synced"]);
        listening.set(true);
        assert_eq!(readiness.missing(), ["synced"]);
        synced.set(true);
        assert!(readiness.missing().is_empty());
        synced.set(false);
        assert_eq!(readiness.missing(), ["synced"]);
        synced.set(true);
        readiness.stop();
        assert_eq!(readiness.missing(), ["shutting down"]);
    }
}
