//! The hash by which values are recognized that somebody else chooses, or that must not be shown: credentials, bundles of
//! certificates, ids of a cloud, labels.
//!
//! Its key is random and of this process. So nobody can choose two values that have one hash, and nothing can be guessed from
//! a hash, wherever it is kept. What replicas have to agree on is hashed with a key that never changes
//! ([`replicas`](crate::replicas)), and what only spreads work in time needs no key.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::LazyLock;

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The hash of a value: equal for equal values of one type, within this process.
pub fn keyed_hash(value: impl Hash) -> u64 {
    KEY.hash_one(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_hash_and_others_have_others() {
        let hashes: std::collections::HashSet<u64> = (0..1_000).map(|n| keyed_hash(("value", n))).collect();
        assert_eq!(hashes.len(), 1_000);
        assert_eq!(keyed_hash("value"), keyed_hash("value".to_owned()));
    }
}
