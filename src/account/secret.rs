//! What was read of a Secret, or why nothing was. Never printed: `Debug` shows the keys only.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The keys that hold credentials. Any other key that an account names holds certificates.
pub const CREDENTIALS: [&str; 4] = ["username", "password", "token", "endpoint"];

/// The longest value of a key of [`CREDENTIALS`], in bytes.
const LONGEST_TEXT: usize = 16 * 1024;

/// The most bytes of certificates. All that a system trusts are less than half of it.
const LONGEST_BUNDLE: usize = 512 * 1024;

/// A Secret's keys and values, as far as they can be of use: what is too long for that is not kept.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretData(BTreeMap<String, Option<Arc<[u8]>>>);

/// What stands under a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// The value without the newlines that it ends in, which editors and `echo` leave behind.
    Kept(&'a Arc<[u8]>),
    /// It was longer than anything of its kind.
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
            let longest = if CREDENTIALS.contains(&key.as_str()) { LONGEST_TEXT } else { LONGEST_BUNDLE };
            let value = (value.len() <= longest).then(|| Arc::from(value));
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
