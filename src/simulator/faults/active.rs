//! The faults that are set, and which requests each of them affects.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::fault::{Fault, FaultKind};
use crate::simulator::numbers::{fraction, hash};
use crate::simulator::operation::Operation;

/// A fault that is set, and how often it was used.
#[derive(Debug)]
struct Active {
    fault: Fault,
    seed: u64,
    /// Requests that it is meant for.
    considered: AtomicU64,
    /// Requests that it affected.
    used: AtomicU64,
}

impl Active {
    /// Whether it affects this request. The nth request that it is meant for is treated the same in every run.
    fn affects(&self, operation: &Operation, service: Option<&str>) -> bool {
        if !self.fault.applies_to(operation, service) {
            return false;
        }
        let nth = self.considered.fetch_add(1, Ordering::Relaxed);
        if fraction(hash(&[self.seed, nth])) >= self.fault.share {
            return false;
        }
        self.fault.times.is_none_or(|times| {
            self.used
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| (used < times).then_some(used + 1))
                .is_ok()
        })
    }
}

/// All faults that are set.
#[derive(Debug)]
pub(in crate::simulator) struct Faults {
    seed: u64,
    active: RwLock<Vec<Arc<Active>>>,
}

impl Faults {
    /// No faults. The seed decides which requests belong to a share.
    pub(in crate::simulator) fn new(seed: u64) -> Self {
        Self { seed, active: RwLock::default() }
    }

    /// Adds a fault.
    pub(in crate::simulator) fn set(&self, fault: Fault) {
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        let seed = hash(&[self.seed, active.len() as u64]);
        active.push(Arc::new(Active { fault, seed, considered: AtomicU64::new(0), used: AtomicU64::new(0) }));
    }

    /// Removes all faults.
    pub(in crate::simulator) fn clear(&self) {
        self.active.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// All faults that are set, as written on the command line.
    pub(in crate::simulator) fn list(&self) -> Vec<String> {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active.iter().map(|active| active.fault.to_string()).collect()
    }

    /// The faults that affect a request, in the order in which they were set.
    pub(in crate::simulator) fn matching(
        &self,
        operation: &Operation,
        service: Option<&str>,
    ) -> Vec<FaultKind> {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active
            .iter()
            .filter(|active| active.affects(operation, service))
            .map(|active| active.fault.kind.clone())
            .collect()
    }
}
