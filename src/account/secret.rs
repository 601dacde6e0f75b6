//! What was read of a Secret, or why nothing was. Never printed: `Debug` shows the keys only.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The longest value that is kept, in bytes: that of a bundle of certificates. All that a system trusts have less than
/// half of it.
const LONGEST: usize = 512 * 1024;

/// A Secret's keys and values. A value that is too long for any use is not kept.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretData(BTreeMap<String, Option<Arc<[u8]>>>);

/// The value of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// The value without the newlines that it ends in, which editors and `echo` leave behind.
    Kept(&'a Arc<[u8]>),
    /// It is longer than 512 KiB.
    TooLong,
}

impl SecretData {
    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<Value<'_>> {
        self.0.get(key).map(|value| value.as_ref().map_or(Value::TooLong, Value::Kept))
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}

impl FromIterator<(String, Vec<u8>)> for SecretData {
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(pairs: I) -> Self {
        let kept = |(key, value): (String, Vec<u8>)| {
            let mut value = value.as_slice();
            while let [rest @ .., b'\n' | b'\r'] = value {
                value = rest;
            }
            let value = (value.len() <= LONGEST).then(|| Arc::from(value));
            (key, value)
        };
        Self(pairs.into_iter().map(kept).collect())
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
