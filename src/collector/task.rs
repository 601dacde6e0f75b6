//! One account's task: runs its cycles, and starts them anew when the account changes in what they depend on.
//!
//! The task ends when the sender of desired accounts is dropped.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::connect::{ClientHistory, Connect};
use super::cycle::{Cycles, Shared};
use super::inherited::Inherited;
use super::registry::{Registry, Snapshot};
use super::state::CollectorState;
use crate::account::Account;
use crate::limits::ProcessLimits;
use crate::telemetry::Metrics;

/// Collects an account until the sender of `desired` is dropped, going on from what another replica has left.
///
/// A change that [`is_collected_like`](Account::is_collected_like) leaves the cycle under way alone; any other cancels
/// it, keeps what the changed account may keep, and starts over.
pub(super) async fn collect(
    shared: Arc<Shared>,
    mut desired: watch::Receiver<Arc<Account>>,
    history: Arc<ClientHistory>,
    inherited: Option<Inherited>,
) {
    let mut account = Arc::clone(&desired.borrow());
    let mut state = match inherited {
        Some(inherited) => CollectorState::inheriting(&account, &*shared.connect, &history, inherited),
        None => CollectorState::new(&account, &*shared.connect, &history),
    };
    loop {
        let cycles = cycles(&shared, &account, desired.clone());
        let changed = desired.wait_for(|desired| !desired.is_collected_like(&account));
        let next = tokio::select! {
            never = cycles.run(&mut state) => match never {},
            changed = changed => match changed {
                Ok(next) => Arc::clone(&next),
                Err(_) => return,
            },
        };
        state = state.after_change(&account, &next, &*shared.connect, &history);
        account = next;
    }
}

fn cycles<'a>(
    shared: &'a Shared,
    account: &'a Account,
    desired: watch::Receiver<Arc<Account>>,
) -> Cycles<'a> {
    let meter = shared.metrics.account(&account.id.namespace, &account.id.name);
    let memory = shared.limits.memory.holder(&account.id.namespace, &account.id.name);
    Cycles { shared, account, desired, meter, memory }
}

/// Runs one cycle of an account and nothing more; returns what it would publish first.
pub async fn collect_once(
    connect: Arc<dyn Connect>,
    account: Arc<Account>,
    metrics: &Arc<Metrics>,
) -> Option<Arc<Snapshot>> {
    let registry = Arc::new(Registry::default());
    registry.put(Arc::clone(&account));
    let transitions = mpsc::channel(1).0;
    let shared = Shared::new(
        ProcessLimits::default(),
        connect,
        Arc::clone(&registry),
        Arc::clone(metrics),
        transitions,
    );
    let (_sender, desired) = watch::channel(Arc::clone(&account));
    let mut state = CollectorState::new(&account, &*shared.connect, &ClientHistory::default());
    cycles(&shared, &account, desired).cycle(&mut state).await;
    registry.get(&account.id)?.snapshot
}

#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod tests;
