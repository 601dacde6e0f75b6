//! Charges the ServiceMonitors that a watch keeps to their namespaces, before they are kept. Stands between the watch and its
//! store.
//!
//! Whoever may write ServiceMonitors in a namespace can create any number that carry our label. What is kept of one is small
//! and has one size, so those of a namespace are one holder in the budget that accounts share, and one cut frees them all.
//! None of that namespace is kept then before a regular list finds room. Nothing depends on what is kept: a ServiceMonitor
//! that is not known is read and applied whenever its account is reconciled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::Stream;
use futures::future::Either;
use futures::stream::{self, StreamExt};
use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use tokio::sync::mpsc;

use super::build::account_name;
use super::charged::with_cuts;
use super::service_monitor::WatchedMonitor;
use crate::limits::{Holder, MemoryBudget, Named};

/// What is kept of a ServiceMonitor: its metadata and a hash, and its places in the store and in lists.
const MONITOR_BYTES: usize = 2 << 10;

/// The holder of a namespace's ServiceMonitors, which no account is called like.
const HOLDER: &str = "monitors/";

/// Charges what these events carry. `store` is the one that they are written into afterwards. What is not kept is deleted
/// there, or left out of a list.
pub(super) fn charged(
    events: impl Stream<Item = watcher::Result<Event<WatchedMonitor>>> + Send,
    store: Store<WatchedMonitor>,
    memory: MemoryBudget,
) -> impl Stream<Item = watcher::Result<Event<WatchedMonitor>>> + Send {
    let (cuts, inputs) = with_cuts(events);
    let mut kept = KeptMonitors { store, memory, cuts, cut: HashMap::new() };
    inputs.flat_map(move |input| {
        let (event, sweeps) = match input {
            Either::Left(Ok(event)) => {
                // What was cut while it was listed comes into the store with the end of the list.
                let sweeps = matches!(event, Event::InitDone) && !kept.cut.is_empty();
                (kept.charge_event(event).map(Ok), sweeps)
            }
            Either::Left(Err(error)) => (Some(Err(error)), false),
            Either::Right(holder) => {
                kept.note_cut(&holder);
                (None, true)
            }
        };
        // Looked up only when it is polled, after the event has been written.
        let swept = stream::iter(sweeps.then(|| kept.store.clone())).flat_map(|store| {
            let cut = store.state().into_iter().filter(|monitor| monitor.is_cut());
            stream::iter(cut.map(|monitor| Ok(Event::Delete((*monitor).clone()))).collect::<Vec<_>>())
        });
        stream::iter(event).chain(swept)
    })
}

/// The ServiceMonitors of one watch.
struct KeptMonitors {
    store: Store<WatchedMonitor>,
    memory: MemoryBudget,
    cuts: mpsc::UnboundedSender<Named>,
    /// The namespaces of which none is kept. Their holders remember that they were cut.
    cut: HashMap<String, Holder>,
}

impl KeptMonitors {
    fn charge_event(&mut self, event: Event<WatchedMonitor>) -> Option<Event<WatchedMonitor>> {
        Some(match event {
            Event::Apply(monitor) => self.charge(&monitor).map_or(Event::Delete(monitor), Event::Apply),
            Event::InitApply(monitor) => Event::InitApply(self.charge(&monitor)?),
            Event::Init => {
                self.cut.retain(|_, holder| holder.admit().is_err());
                event
            }
            Event::InitDone | Event::Delete(_) => event,
        })
    }

    /// The ServiceMonitor with what it is charged with; `None` of one that is not kept.
    fn charge(&mut self, monitor: &WatchedMonitor) -> Option<WatchedMonitor> {
        let metadata = monitor.meta();
        let (namespace, name) = (metadata.namespace.as_deref()?, metadata.name.as_deref()?);
        // One that is no account's is never looked up.
        account_name(name)?;
        let before = self.store.get(&ObjectRef::new(name).within(namespace));
        if let Some(before) = before.filter(|before| !before.is_cut()) {
            let version = |monitor: &WatchedMonitor| monitor.meta().resource_version.clone();
            if version(&before) == version(monitor) {
                return Some((*before).clone());
            }
            return Some(WatchedMonitor { charge: before.charge.clone(), ..monitor.clone() });
        }
        if self.cut.contains_key(namespace) {
            return None;
        }
        let holder = self.memory.reporting_holder(namespace, HOLDER, &self.cuts);
        let mut charge = holder.charge();
        if holder.is_cut().is_some() || charge.resize(MONITOR_BYTES).is_err() {
            self.cut.insert(namespace.to_owned(), holder);
            return None;
        }
        Some(WatchedMonitor { charge: Some(Arc::new(Mutex::new(charge))), ..monitor.clone() })
    }

    fn note_cut(&mut self, (namespace, name): &Named) {
        let holder = self.memory.reporting_holder(namespace, name, &self.cuts);
        if holder.is_cut().is_some() {
            self.cut.insert(namespace.to_string(), holder);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::charged::by_hand::Watch as Fed;
    use crate::controller::service_monitor::KeptMonitor;

    /// Room for a hundred.
    const BUDGET: usize = 100 * MONITOR_BYTES;

    type Watch = Fed<KeptMonitor>;

    impl Watch {
        fn new() -> Self {
            Self::written_by(BUDGET, |events, store, memory| charged(events, store, memory).boxed())
        }

        /// How many of a namespace are kept.
        fn kept(&self, namespace: &str) -> usize {
            let state = self.store.state();
            state.iter().filter(|monitor| monitor.meta().namespace.as_deref() == Some(namespace)).count()
        }
    }

    fn monitor(namespace: &str, name: &str, version: &str) -> WatchedMonitor {
        serde_json::from_value(json!({
            "metadata": {"namespace": namespace, "name": name, "uid": name, "resourceVersion": version},
            "spec": {"endpoints": [], "selector": {}},
        }))
        .unwrap()
    }

    fn of(namespace: &str, count: usize) -> impl Iterator<Item = WatchedMonitor> {
        (0..count).map(move |number| monitor(namespace, &format!("caas-{number}"), "1"))
    }

    #[test]
    fn each_is_charged_to_its_namespace_once_and_given_back() {
        let mut watch = Watch::new();
        for _ in 0..2 {
            watch.list(of("team-a", 80));
            assert_eq!((watch.kept("team-a"), watch.memory.held()), (80, 80 * MONITOR_BYTES));
        }
        watch.send([Event::Apply(monitor("team-a", "caas-0", "2"))]);
        assert_eq!(watch.memory.held(), 80 * MONITOR_BYTES);
        watch.send([Event::Delete(monitor("team-a", "caas-0", "2"))]);
        assert_eq!(watch.memory.held(), 79 * MONITOR_BYTES);
        watch.list([]);
        assert_eq!(watch.memory.held(), 0);
    }

    #[test]
    fn one_that_is_no_accounts_is_not_kept() {
        let mut watch = Watch::new();
        watch.list([monitor("team-a", "others", "1")]);
        watch.send([Event::Apply(monitor("team-a", "another", "1"))]);
        assert_eq!((watch.kept("team-a"), watch.memory.held()), (0, 0));
    }

    #[test]
    fn those_of_a_namespace_with_too_many_are_not_kept_and_others_are() {
        let mut watch = Watch::new();
        watch.list(of("team-a", 10).chain(of("tenant", 1_000)).chain(of("team-b", 10)));
        let kept = ["team-a", "tenant", "team-b"].map(|namespace| watch.kept(namespace));
        assert_eq!((kept, watch.memory.held()), ([10, 0, 10], 20 * MONITOR_BYTES));
        // The account of such a one is still reconciled.
        assert_eq!(watch.send([Event::Apply(monitor("tenant", "caas-7", "2"))]).len(), 1);
        assert_eq!(watch.kept("tenant"), 0);
        // There may be fewer by now: a list tries now and then.
        (0..20).for_each(|_| watch.list(of("tenant", 50)));
        assert_eq!(watch.kept("tenant"), 50);
    }

    #[test]
    fn where_a_smaller_namespace_needs_the_memory_they_go_from_the_store_and_from_the_list_under_way() {
        let mut watch = Watch::new();
        watch.list(of("tenant", 60).chain(of("team-a", 10)));
        // A list under way, with some that are new.
        watch.send(std::iter::once(Event::Init).chain(of("tenant", 80).map(Event::InitApply)));
        let mut other = watch.memory.holder("team-b", "acme").charge();
        other.resize(40 * MONITOR_BYTES).unwrap();
        assert_eq!(watch.send([]).len(), 60, "each is told as deleted");
        assert_eq!((watch.kept("tenant"), watch.kept("team-a")), (0, 10));
        watch.send(of("team-a", 10).map(Event::InitApply).chain([Event::InitDone]));
        assert_eq!((watch.kept("tenant"), watch.kept("team-a")), (0, 10));
        assert_eq!(watch.memory.held(), 50 * MONITOR_BYTES);
        watch.list(of("tenant", 60).chain(of("team-a", 10)));
        assert_eq!(watch.kept("tenant"), 0, "there is no room for what was there");
        drop(other);
        watch.list(of("tenant", 60).chain(of("team-a", 10)));
        assert_eq!((watch.kept("tenant"), watch.kept("team-a")), (60, 10));
    }
}
