//! Whether the process is ready, as a set of named conditions that other modules meet. A failing cloud is none of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::collector::Registry;

/// How long first collections may keep the process unready: a cloud that hangs must not keep the pod before it alive.
const FIRST_COLLECTIONS_WITHIN: Duration = Duration::from_secs(60);

/// The conditions; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    conditions: BTreeMap<&'static str, Met>,
    stopping: bool,
}

/// Whether a condition is met.
#[derive(Debug)]
enum Met {
    Yes,
    /// Not, and why, where more is known than its name says.
    No(Option<String>),
}

impl Readiness {
    /// Adds a condition that is not met yet, named by what it waits for, such as `watches are synced`.
    pub fn expect(&self, name: &'static str) -> Condition {
        let condition = Condition { readiness: self.clone(), name };
        condition.set(false);
        condition
    }

    /// Adds the condition that the accounts known at the start have been collected once, or failed to be: a new pod is
    /// ready, and the old one ends, only when it has values to serve. It is met once and for all.
    ///
    /// Returns the work of meeting it: `handed_over` ends when the collector has all those accounts. After a minute it is
    /// met in any case.
    pub fn expect_first_collections<F: Future<Output = ()>>(
        &self,
        registry: Arc<Registry>,
        handed_over: F,
    ) -> impl Future<Output = ()> + use<F> {
        let condition = self.expect("waiting for the first collections to end");
        async move {
            let first_collections = async {
                handed_over.await;
                registry.first_cycles_ended().await;
            };
            if tokio::time::timeout(FIRST_COLLECTIONS_WITHIN, first_collections).await.is_err() {
                tracing::warn!(
                    "ready, although some accounts have not been collected yet: their clouds respond too slowly"
                );
            }
            condition.set(true);
        }
    }

    /// Makes the process unready for good: the first step of a shutdown, so that it gets no new requests.
    pub fn stop(&self) {
        self.state().stopping = true;
    }

    /// What is missing; empty when ready.
    pub fn missing(&self) -> Vec<String> {
        let state = self.state();
        let stopping = state.stopping.then(|| "shutting down".to_owned());
        let missing = state.conditions.iter().filter_map(|(name, met)| match met {
            Met::Yes => None,
            Met::No(None) => Some((*name).to_owned()),
            Met::No(Some(reason)) => Some(format!("{name} ({reason})")),
        });
        stopping.into_iter().chain(missing).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One condition, held by the module that meets it.
#[derive(Debug, Clone)]
pub struct Condition {
    readiness: Readiness,
    name: &'static str,
}

impl Condition {
    /// Sets whether the condition holds.
    pub fn set(&self, met: bool) {
        let met = if met { Met::Yes } else { Met::No(None) };
        self.readiness.state().conditions.insert(self.name, met);
    }

    /// Says why the condition does not hold, where more is known than its name says.
    pub fn explain(&self, reason: Option<String>) {
        self.readiness.state().conditions.insert(self.name, Met::No(reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_while_every_condition_is_met_and_it_does_not_stop() {
        let readiness = Readiness::default();
        let (listening, synced) = (readiness.expect("listening"), readiness.expect("synced"));
        assert_eq!(readiness.missing(), ["listening", "synced"]);
        listening.set(true);
        synced.explain(Some("no watch is allowed".to_owned()));
        assert_eq!(readiness.missing(), ["synced (no watch is allowed)"]);
        synced.set(true);
        assert!(readiness.missing().is_empty());
        synced.set(false);
        assert_eq!(readiness.missing(), ["synced"]);
        synced.set(true);
        readiness.stop();
        assert_eq!(readiness.missing(), ["shutting down"]);
    }
}
