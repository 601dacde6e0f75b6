//! What the process may keep in memory for others, and who keeps it.
//!
//! A holder is an account, or something else of a namespace. It charges what it keeps from cycle to cycle before it keeps
//! it. Where the sum does not fit, the largest holder of the largest namespace is cut: refused if it is the one that asks,
//! else ordered to release everything ([`Holder::cut`]). What it held counts as free from then on; it is gone within
//! moments, and a part of the machine's memory is never lent for such moments.
//!
//! A holder that was cut remembers what it needed and is not admitted again before that fits, so two that do not fit
//! together do not cut each other for ever. Nothing here waits: what is only held while a request lasts is waited for, see
//! [`super::shares`].

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::{Notify, mpsc};

/// A cut holder that was refused so often tries all the same: what it needs may have become less.
const REFUSALS_BEFORE_A_TRIAL: u32 = 10;

/// The memory of the process that is kept for others. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MemoryBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bytes: usize,
    ledger: Mutex<Ledger>,
}

/// Who holds how much.
#[derive(Debug, Default)]
struct Ledger {
    held: usize,
    namespaces: HashMap<Arc<str>, NamespaceEntry>,
    /// The namespaces that hold anything. A cut must not look at each of ten thousands.
    by_size: BySize,
}

/// What each holds, and its name; the largest last.
type BySize = BTreeSet<(usize, Arc<str>)>;

#[derive(Debug, Default)]
struct NamespaceEntry {
    held: usize,
    holders: HashMap<Arc<str>, HolderEntry>,
    /// Those that hold anything.
    by_size: BySize,
}

#[derive(Debug, Default)]
struct HolderEntry {
    held: usize,
    /// Values of [`Holder`] that stand for it.
    handles: usize,
    /// Grows with each cut: a charge of an earlier epoch counts as free already.
    epoch: u64,
    cut: Option<OverBudget>,
    refusals: u32,
    wake: Arc<Notify>,
    /// Receives its namespace and name with each cut.
    cuts: Option<mpsc::UnboundedSender<Named>>,
}

/// Namespace and name of a holder.
pub type Named = (Arc<str>, Arc<str>);

/// A holder could not keep what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{needed} bytes do not fit into the {budget} bytes that all accounts share")]
pub struct OverBudget {
    /// What the holder needed at least, in bytes.
    pub needed: usize,
    /// What all may hold together, in bytes.
    pub budget: usize,
}

/// One holder: an account, say. Clones stand for the same one.
#[derive(Debug)]
pub struct Holder {
    memory: MemoryBudget,
    namespace: Arc<str>,
    name: Arc<str>,
    wake: Arc<Notify>,
}

/// Memory that a holder keeps; dropping it gives the memory back.
#[derive(Debug)]
pub struct Charge {
    holder: Holder,
    bytes: usize,
    epoch: u64,
}

impl Default for MemoryBudget {
    /// Without a limit.
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl MemoryBudget {
    /// So many bytes for all together.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Shared { bytes, ledger: Mutex::default() }))
    }

    /// What all may hold together, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// What all hold together, in bytes.
    pub fn held(&self) -> usize {
        self.ledger().held
    }

    /// The holder of this name.
    pub fn holder(&self, namespace: &str, name: &str) -> Holder {
        self.handle(namespace.into(), name.into())
    }

    /// The holder of this name, which is sent to `cuts` each time that it is cut: for one task that drops what many holders
    /// keep.
    pub fn reporting_holder(
        &self,
        namespace: &str,
        name: &str,
        cuts: &mpsc::UnboundedSender<Named>,
    ) -> Holder {
        let holder = self.holder(namespace, name);
        self.ledger().entry(&holder.namespace, &holder.name).cuts = Some(cuts.clone());
        holder
    }

    fn handle(&self, namespace: Arc<str>, name: Arc<str>) -> Holder {
        let mut ledger = self.ledger();
        let entry = ledger.entry(&namespace, &name);
        entry.handles += 1;
        let wake = Arc::clone(&entry.wake);
        drop(ledger);
        Holder { memory: self.clone(), namespace, name, wake }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn entry(&mut self, namespace: &Arc<str>, name: &Arc<str>) -> &mut HolderEntry {
        let namespace = self.namespaces.entry(Arc::clone(namespace)).or_default();
        namespace.holders.entry(Arc::clone(name)).or_default()
    }

    /// Changes what a holder holds.
    fn set(&mut self, namespace: &Arc<str>, name: &Arc<str>, change: impl FnOnce(usize) -> usize) {
        let entry = self.namespaces.entry(Arc::clone(namespace)).or_default();
        let holder = entry.holders.entry(Arc::clone(name)).or_default();
        let (before, all_before) = (holder.held, entry.held);
        holder.held = change(before);
        entry.held = entry.held - before + holder.held;
        self.held = self.held - before + holder.held;
        resize(&mut entry.by_size, name, before, holder.held);
        resize(&mut self.by_size, namespace, all_before, entry.held);
    }

    /// The largest holder of the largest namespace, if this holder held so much more. Of equals the one that asks, so that
    /// what is there already stays.
    fn largest(&self, namespace: &Arc<str>, name: &Arc<str>, more: usize) -> (Arc<str>, Arc<str>) {
        let own = self.namespaces.get(namespace);
        let would_hold = |held: usize| held.saturating_add(more);
        if let Some((held, largest)) = largest_but(&self.by_size, namespace)
            && *held > would_hold(own.map_or(0, |own| own.held))
        {
            let holder = self.namespaces.get(largest).and_then(|entry| entry.by_size.last());
            return (Arc::clone(largest), Arc::clone(holder.map_or(name, |(_, holder)| holder)));
        }
        let held = own.and_then(|own| own.holders.get(name)).map_or(0, |holder| holder.held);
        let neighbor = own.and_then(|own| largest_but(&own.by_size, name));
        let neighbor = neighbor.filter(|(neighbor, _)| *neighbor > would_hold(held));
        (Arc::clone(namespace), Arc::clone(neighbor.map_or(name, |(_, neighbor)| neighbor)))
    }

    /// What all would hold if this namespace held so much more and larger namespaces were cut down to it.
    fn would_hold(&self, namespace: &Arc<str>, more: usize) -> usize {
        let own = self.namespaces.get(namespace).map_or(0, |entry| entry.held).saturating_add(more);
        let others = self.namespaces.iter().filter(|(other, _)| *other != namespace);
        others.map(|(_, entry)| entry.held.min(own)).fold(own, usize::saturating_add)
    }

    /// Orders a holder to release everything, which counts as free from now on.
    fn cut(&mut self, namespace: &Arc<str>, name: &Arc<str>, budget: usize) {
        let entry = self.entry(namespace, name);
        entry.cut = Some(OverBudget { needed: entry.held, budget });
        entry.refusals = 0;
        entry.epoch += 1;
        entry.wake.notify_waiters();
        if let Some(cuts) = &entry.cuts {
            // Where nobody receives it, nothing is kept either.
            let _ = cuts.send((Arc::clone(namespace), Arc::clone(name)));
        }
        self.set(namespace, name, |_| 0);
    }
}

/// Moves a name to its new place.
fn resize(by_size: &mut BySize, name: &Arc<str>, before: usize, now: usize) {
    if before != now {
        by_size.remove(&(before, Arc::clone(name)));
        if now > 0 {
            by_size.insert((now, Arc::clone(name)));
        }
    }
}

/// The largest, without this name.
fn largest_but<'a>(by_size: &'a BySize, name: &Arc<str>) -> Option<&'a (usize, Arc<str>)> {
    by_size.iter().rev().find(|(_, other)| *other != *name)
}

impl Holder {
    /// A charge of nothing yet.
    pub fn charge(&self) -> Charge {
        let epoch = self.memory.ledger().entry(&self.namespace, &self.name).epoch;
        Charge { holder: self.clone(), bytes: 0, epoch }
    }

    /// Waits until this holder is cut and has to drop what it holds.
    pub async fn cut(&self) {
        loop {
            let woken = self.wake.notified();
            if self.is_cut().is_some() {
                return;
            }
            woken.await;
        }
    }

    /// By how much it is too large, if it was cut and not admitted since.
    pub fn is_cut(&self) -> Option<OverBudget> {
        self.memory.ledger().entry(&self.namespace, &self.name).cut
    }

    /// Lets a holder that was cut try again, if what it needed then would fit now. Now and then it may try without.
    pub fn admit(&self) -> Result<(), OverBudget> {
        let budget = self.memory.bytes();
        let mut ledger = self.memory.ledger();
        let entry = ledger.entry(&self.namespace, &self.name);
        let Some(cut) = entry.cut else { return Ok(()) };
        entry.refusals += 1;
        let is_trial = entry.refusals > REFUSALS_BEFORE_A_TRIAL;
        let fits = ledger.would_hold(&self.namespace, cut.needed) <= budget;
        if !fits && !is_trial {
            return Err(cut);
        }
        let entry = ledger.entry(&self.namespace, &self.name);
        (entry.cut, entry.refusals) = (None, 0);
        Ok(())
    }
}

impl Clone for Holder {
    fn clone(&self) -> Self {
        self.memory.handle(Arc::clone(&self.namespace), Arc::clone(&self.name))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let mut ledger = self.memory.ledger();
        let Entry::Occupied(mut namespace) = ledger.namespaces.entry(Arc::clone(&self.namespace)) else {
            return;
        };
        let Entry::Occupied(mut holder) = namespace.get_mut().holders.entry(Arc::clone(&self.name)) else {
            return;
        };
        holder.get_mut().handles -= 1;
        if holder.get().handles == 0 {
            holder.remove();
            if namespace.get().holders.is_empty() {
                namespace.remove();
            }
        }
    }
}

impl Charge {
    /// What is charged, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Who keeps it.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// Whether its holder was cut since it was made. It counts as free then, and what was charged has to be dropped.
    pub fn is_cut(&self) -> bool {
        let Holder { memory, namespace, name, .. } = &self.holder;
        memory.ledger().entry(namespace, name).epoch != self.epoch
    }

    /// Charges so much in all, more or less than before. Where more does not fit, others may be cut for it; the error is
    /// that this holder is the one that is cut, and has to drop all that it holds.
    pub fn resize(&mut self, bytes: usize) -> Result<(), OverBudget> {
        let Holder { memory, namespace, name, .. } = &self.holder;
        let budget = memory.bytes();
        let mut ledger = memory.ledger();
        let entry = ledger.entry(namespace, name);
        if entry.epoch != self.epoch {
            // It was cut meanwhile, and what was charged counts as free.
            return Err(entry.cut.unwrap_or(OverBudget { needed: bytes, budget }));
        }
        if bytes > self.bytes {
            let more = bytes - self.bytes;
            while ledger.held.saturating_add(more) > budget {
                let (largest, holder) = ledger.largest(namespace, name, more);
                if largest == *namespace && holder == *name {
                    ledger.set(namespace, name, |held| held.saturating_add(more));
                    ledger.cut(namespace, name, budget);
                    let needed = ledger.entry(namespace, name).cut.map_or(bytes, |cut| cut.needed);
                    return Err(OverBudget { needed, budget });
                }
                ledger.cut(&largest, &holder, budget);
            }
        }
        ledger.set(namespace, name, |held| held - self.bytes + bytes);
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let Holder { memory, namespace, name, .. } = &self.holder;
        let mut ledger = memory.ledger();
        if ledger.entry(namespace, name).epoch == self.epoch {
            ledger.set(namespace, name, |held| held - self.bytes);
        }
    }
}

#[cfg(test)]
mod tests;
