//! What was read of a Secret, or why nothing was. Never printed: `Debug` shows the keys only.

use std::collections::BTreeMap;
use std::fmt;

/// A Secret's keys and values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretData(BTreeMap<String, Vec<u8>>);

impl SecretData {
    /// The value of a key without the newlines that it ends in, which editors and `echo` leave behind.
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        let mut value = self.0.get(key)?.as_slice();
        while let [rest @ .., b'\n' | b'\r'] = value {
            value = rest;
        }
        Some(value)
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}

impl FromIterator<(String, Vec<u8>)> for SecretData {
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// The outcome of reading a Secret. What may pass by itself, such as an API server away, is none: it is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRead {
    /// It is there.
    Found(SecretData),
    /// There is none of that name.
    NotFound,
    /// It may not be read.
    Forbidden,
}
