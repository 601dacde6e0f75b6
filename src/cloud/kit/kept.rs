//! What a provider keeps of an account from one cycle to the next, and what that takes.
//!
//! A cloud chooses it, and its inventory is no longer charged once the cycle has ended. So the collector charges it to the
//! account with the values that are exposed ([`Cloud::kept_bytes`](crate::cloud::Cloud::kept_bytes)), and has it dropped
//! where the account is cut ([`Cloud::forget`](crate::cloud::Cloud::forget)).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What can say how much memory it takes.
pub trait KeptBytes {
    /// An estimate from above, in bytes.
    fn kept_bytes(&self) -> usize;
}

/// What earlier cycles found out. Replaced when a cycle ends; a cancelled one leaves it as it was.
#[derive(Debug, Default)]
pub struct KeptState<T>(Mutex<Known<T>>);

#[derive(Debug, Default)]
struct Known<T> {
    value: Arc<T>,
    bytes: usize,
}

impl<T: KeptBytes + Default> KeptState<T> {
    /// What is known now.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.known().value)
    }

    /// Replaces it.
    pub fn replace(&self, value: T) {
        let known = Known { bytes: value.kept_bytes(), value: Arc::new(value) };
        // The former one is dropped after the lock.
        let _former = std::mem::replace(&mut *self.known(), known);
    }

    /// What it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.known().bytes
    }

    /// Drops it.
    pub fn forget(&self) {
        let _former = std::mem::take(&mut *self.known());
    }

    fn known(&self) -> MutexGuard<'_, Known<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl KeptBytes for Vec<u8> {
        fn kept_bytes(&self) -> usize {
            self.len()
        }
    }

    #[test]
    fn what_is_replaced_or_forgotten_takes_nothing_more() {
        let state = KeptState::default();
        state.replace(vec![7_u8; 100]);
        assert_eq!((state.bytes(), state.get().len()), (100, 100));
        state.replace(vec![7; 10]);
        assert_eq!(state.bytes(), 10);
        state.forget();
        assert_eq!((state.bytes(), state.get().len()), (0, 0));
    }
}
