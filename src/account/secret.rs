//! What was read of a Secret, or why nothing was. Never printed: `Debug` shows the keys only.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::limits::shared_value;

/// The longest value that is kept, in bytes: that of a bundle of certificates. All that a system trusts have less than
/// half of it.
const LONGEST: usize = 512 * 1024;

/// A longer value is shared by all accounts that use it: a bundle of certificates, say. No password is as long.
const SHARED_FROM: usize = 4 * 1024;

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
            ..SHARED_FROM => Self::Kept(value.into()),
            SHARED_FROM..=LONGEST => shared_value(namespace, value).map_or(Self::NoRoom, Self::Kept),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(namespace: &str, value: &[u8]) -> Value {
        let data = SecretData::new(namespace, [("ca.crt".to_owned(), value.to_vec())]);
        data.value("ca.crt").unwrap().clone()
    }

    #[test]
    fn a_large_value_that_was_read_many_times_is_in_memory_once() {
        let pem = vec![b'x'; SHARED_FROM];
        let (Value::Kept(one), Value::Kept(two)) = (bundle("team-a", &pem), bundle("team-b", &pem)) else {
            panic!("there is room")
        };
        assert!(Arc::ptr_eq(&one, &two));
    }

    #[test]
    fn a_value_that_is_longer_than_a_bundle_is_not_kept() {
        assert!(bundle("team-a", &vec![b'x'; LONGEST + 1]) == Value::TooLong);
        let with_newlines = [vec![b'x'; LONGEST], b"\r\n\n".to_vec()].concat();
        assert!(bundle("team-a", &with_newlines) != Value::TooLong);
    }
}
