//! Large values that many accounts use alike, such as bundles of certificates: each is kept once, and those of one namespace
//! have at most a third of the budget.
//!
//! They are what the process has only one of, found by their content from wherever a Secret is read: the cluster, a file, the
//! environment. Only their budget depends on an option, which the start of the process sets ([`keep_values_within`]);
//! handing it to each reader would add it to a dozen functions that know nothing of memory.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use super::available::available_memory;
use super::shares::{SharedPermit, Shares};
use crate::hash::keyed_hash;

/// The values of this process have one part in so many of its memory.
const PART: usize = 16;
/// How often a value is there, about: as it was read, and twice in what a TLS client makes of the certificates in it.
const COPIES: usize = 3;
/// The budget where the machine does not say how much memory there is, in bytes.
const UNKNOWN: usize = 64 << 20;

/// The memory that the administrator allows, in bytes.
static ALLOWED: OnceLock<usize> = OnceLock::new();

/// The large values of this process. One for all, since equal values come from readers that do not know each other.
static VALUES: LazyLock<SharedValues> = LazyLock::new(|| {
    let memory = ALLOWED.get().copied().or_else(available_memory);
    SharedValues::new(memory.map_or(UNKNOWN, |memory| memory / PART))
});

/// Values, each kept once while somebody uses it.
struct SharedValues {
    /// The memory that they may take, in KiB.
    budget: Arc<Shares>,
    kept: Mutex<HashMap<u64, Kept>>,
}

/// A value, and the permit of its memory.
type Kept = (Arc<[u8]>, SharedPermit);

/// Takes the budget from this memory, in bytes, and not from what the machine says. For the start of the process: later, once
/// there are values, it changes nothing.
pub fn keep_values_within(memory: usize) {
    // An error means that it was set before.
    let _ = ALLOWED.set(memory);
}

/// The one copy of this value in the process. `None` where the namespace has no budget left for another one.
pub fn shared_value(namespace: &str, value: &[u8]) -> Option<Arc<[u8]>> {
    VALUES.get(namespace, value)
}

impl SharedValues {
    fn new(bytes: usize) -> Self {
        Self { budget: Shares::thirds(bytes >> 10), kept: Mutex::default() }
    }

    fn get(&self, namespace: &str, value: &[u8]) -> Option<Arc<[u8]>> {
        let hash = keyed_hash(value);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, _)) = kept.get(&hash)
            && **known == *value
        {
            return Some(Arc::clone(known));
        }
        // Those that only this list still has.
        kept.retain(|_, (other, _)| Arc::strong_count(other) > 1);
        let permit = self.budget.of(namespace).try_acquire((COPIES * value.len()).div_ceil(1 << 10))?;
        let value: Arc<[u8]> = value.into();
        // Of two values with one hash the first stays; it cannot be chosen, as the hash is keyed at random.
        kept.entry(hash).or_insert_with(|| (Arc::clone(&value), permit));
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value of 500 KiB.
    fn large(byte: u8) -> Vec<u8> {
        vec![byte; 500 << 10]
    }

    #[test]
    fn equal_values_are_one_whichever_namespace_they_are_of() {
        let values = SharedValues::new(COPIES * (3 << 20));
        let first = values.get("team-a", &large(7)).unwrap();
        for number in 0..1_000 {
            let same = values.get(&format!("team-{number}"), &large(7)).unwrap();
            assert!(Arc::ptr_eq(&first, &same));
        }
        assert!(!Arc::ptr_eq(&first, &values.get("team-b", &large(8)).unwrap()));
    }

    #[test]
    fn a_namespace_may_take_a_third_and_gets_it_back_with_the_values() {
        let values = SharedValues::new(COPIES * (3 << 20));
        let mut held: Vec<_> = (0..2).map(|number| values.get("tenant", &large(number)).unwrap()).collect();
        assert!(values.get("tenant", &large(9)).is_none(), "1,000 of 1,024 KiB are used, three times");
        assert!(values.get("tenant", &large(0)).is_some(), "one that is there costs nothing");
        let other = values.get("team-a", &large(9)).expect("the share of another namespace");
        held.pop();
        assert!(values.get("tenant", &large(8)).is_some());
        drop(other);
    }
}
