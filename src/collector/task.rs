//! One account's task: runs its cycles, and starts them anew when the account changes in what they depend on.
//!
//! The task ends when the sender of desired accounts is dropped. Where another replica goes on with the account, it stays with
//! what this one has left of it, so that somebody drops that when it is stale or others need the memory.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use super::connect::{ClientHistory, Connect};
use super::cycle::{Cycles, Shared};
use super::inherited::Inherited;
use super::registry::{Registry, Snapshot};
use super::state::CollectorState;
use crate::account::Account;
use crate::limits::{Charge, ProcessLimits};
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
        let cycles = cycles(&shared, &account, desired.clone(), &history);
        let changed = desired.wait_for(|desired| !desired.is_collected_like(&account));
        let next = tokio::select! {
            never = cycles.run(&mut state) => match never {},
            changed = changed => match changed {
                Ok(next) => Arc::clone(&next),
                Err(_) => break,
            },
        };
        state = state.after_change(&account, &next, &*shared.connect, &history);
        account = next;
    }
    let charge = state.kept.take();
    drop(state);
    if let Some(charge) = charge {
        leave(&shared, &account, charge).await;
    }
}

/// Keeps what is left of an account that another replica collects from now on, with what it was charged, until it is stale.
async fn leave(shared: &Shared, account: &Account, charge: Charge) {
    let holder = charge.holder().clone();
    let Some(stale_at) = shared.registry.charge_last(&account.id, &account.uid, charge) else { return };
    tokio::select! {
        () = holder.cut() => {}
        () = sleep_until(stale_at) => {}
        // Scrapes are answered until the process ends.
        () = shared.ending.cancelled() => return,
    }
    shared.registry.drop_last(&account.id, stale_at);
}

fn cycles<'a>(
    shared: &'a Shared,
    account: &'a Account,
    desired: watch::Receiver<Arc<Account>>,
    history: &'a ClientHistory,
) -> Cycles<'a> {
    let meter = shared.metrics.account(&account.id.namespace, &account.id.name);
    let memory = shared.limits.memory.holder(&account.id.namespace, &account.id.name);
    Cycles { shared, account, desired, history, meter, memory }
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
    let history = ClientHistory::default();
    let mut state = CollectorState::new(&account, &*shared.connect, &history);
    cycles(&shared, &account, desired, &history).cycle(&mut state).await;
    registry.get(&account.id)?.snapshot
}

#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod tests;
