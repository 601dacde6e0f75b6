//! What was read of a Secret, or why nothing was. Never printed: `Debug` shows the keys only.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::cloud::secret::LONGEST_VALUE;
use crate::limits::shared_value;

/// The longest value that is kept, in bytes: that of a bundle of certificates. All that a system trusts have less than
/// half of it.
const LONGEST: usize = 512 * 1024;

/// What a key or value takes besides its bytes: its place in the map, and what the allocator adds.
const ENTRY_BYTES: usize = 48;

/// A Secret's keys and values. A value that is too long for any use is not kept.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretData(BTreeMap<String, Value>);

/// The value of a key.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// The value without the newlines that it ends in, which editors and `echo` leave behind.
    Kept(Arc<[u8]>),
    /// It is longer than 512 KiB.
    TooLong,
    /// The large values of its namespace take all the memory that they may.
    NoRoom,
}

impl SecretData {
    /// The keys and values of a Secret of this namespace.
    pub fn new(namespace: &str, pairs: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let kept = |(key, value): (String, Vec<u8>)| (key, Value::new(namespace, &value));
        Self(pairs.into_iter().map(kept).collect())
    }

    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// The memory that its keys and values take, in bytes, without that of bundles, which are counted where they are shared.
    fn bytes(&self) -> usize {
        let entry = |(key, value): (&String, &Value)| match value {
            Value::Kept(value) if value.len() <= LONGEST_VALUE => key.len() + value.len() + 2 * ENTRY_BYTES,
            Value::Kept(_) | Value::TooLong | Value::NoRoom => key.len() + ENTRY_BYTES,
        };
        self.0.iter().map(entry).sum()
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}

impl Value {
    fn new(namespace: &str, mut value: &[u8]) -> Self {
        while let [rest @ .., b'\n' | b'\r'] = value {
            value = rest;
        }
        match value.len() {
            0..=LONGEST_VALUE => Self::Kept(value.into()),
            // Longer than what any key but that of a bundle may hold.
            length if length <= LONGEST => shared_value(namespace, value).map_or(Self::NoRoom, Self::Kept),
            _ => Self::TooLong,
        }
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// The outcome of reading a Secret. A failure that may pass by itself, such as an API server that is away, is not an
/// outcome: the read is retried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRead {
    /// It is there.
    Found(SecretData),
    /// There is none of that name.
    NotFound,
    /// It may not be read.
    Forbidden,
}

impl SecretRead {
    /// The memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Found(data) => data.bytes(),
            Self::NotFound | Self::Forbidden => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(namespace: &str, value: &[u8]) -> Value {
        let data = SecretData::new(namespace, [("ca.crt".to_owned(), value.to_vec())]);
        data.value("ca.crt").unwrap().clone()
    }

    #[test]
    fn a_large_value_that_was_read_many_times_is_in_memory_once() {
        let pem = vec![b'x'; LONGEST_VALUE + 1];
        let (Value::Kept(one), Value::Kept(two)) = (bundle("team-a", &pem), bundle("team-b", &pem)) else {
            panic!("there is room")
        };
        assert!(Arc::ptr_eq(&one, &two));
    }

    #[test]
    fn the_values_of_keys_count_and_those_of_bundles_do_not() {
        let bytes =
            |length: usize| SecretData::new("team-a", [("password".to_owned(), vec![b'x'; length])]).bytes();
        assert!((LONGEST_VALUE..LONGEST_VALUE + 200).contains(&bytes(LONGEST_VALUE)));
        assert!(bytes(LONGEST_VALUE + 1) < 200 && bytes(LONGEST + 1) < 200);
    }

    #[test]
    fn a_value_that_is_longer_than_a_bundle_is_not_kept() {
        assert!(bundle("team-a", &vec![b'x'; LONGEST + 1]) == Value::TooLong);
        let with_newlines = [vec![b'x'; LONGEST], b"\r\n\n".to_vec()].concat();
        assert!(bundle("team-a", &with_newlines) != Value::TooLong);
    }
}
