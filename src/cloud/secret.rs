//! What a provider takes from an account's Secret: which keys, in which form, and the values found under them.
//!
//! Values are never printed: `Debug` shows the keys only.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::credentials::LONGEST_TOKEN;
use crate::hash::keyed_hash;

/// The longest value of a key, whatever its form, in bytes.
pub const LONGEST_VALUE: usize = LONGEST_TOKEN;

/// A key of a Secret that a provider takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretKey {
    /// The key.
    pub name: &'static str,
    form: Form,
}

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Line,
    Word,
}

/// The sets of keys of which a Secret needs one in full, the preferred one first.
pub type KeySets = &'static [&'static [SecretKey]];

impl SecretKey {
    /// A key with UTF-8 text, such as a password.
    pub const fn text(name: &'static str) -> Self {
        Self { name, form: Form::Text }
    }

    /// A key with text without control characters, such as a user's name.
    pub const fn line(name: &'static str) -> Self {
        Self { name, form: Form::Line }
    }

    /// A key with one word of printable ASCII that fits into a header, such as a token.
    pub const fn word(name: &'static str) -> Self {
        Self { name, form: Form::Word }
    }

    fn check<'a>(&self, value: Option<&'a [u8]>) -> Result<&'a str, KeyProblem> {
        let invalid = |advice| Err(KeyProblem::new(self.name, KeyFault::Invalid, advice));
        let Some(value) = value.filter(|value| value.len() <= LONGEST_VALUE) else {
            return invalid("is longer than 4 KiB: store only the plain value");
        };
        let Ok(text) = std::str::from_utf8(value) else {
            return invalid("is not UTF-8 text: store only the plain value");
        };
        // Editors put a byte order mark in front of a file's text. It is no part of it (RFC 3629, section 6).
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match self.form {
            _ if text.is_empty() => Err(KeyProblem::new(self.name, KeyFault::Empty, "is empty: set a value")),
            Form::Line if text.contains(char::is_control) => {
                invalid("contains control characters: store only the plain value")
            }
            Form::Word if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                invalid("is not one word of printable ASCII: store only the plain value")
            }
            Form::Text | Form::Line | Form::Word => Ok(text),
        }
    }
}

/// The sets as a text, such as `token, or username and password`.
pub fn alternatives(sets: KeySets) -> String {
    let set = |set: &&[SecretKey]| set.iter().map(|key| key.name).collect::<Vec<_>>().join(" and ");
    sets.iter().map(set).collect::<Vec<_>>().join(", or ")
}

/// Tells secrets apart without showing them: equal for equal values, within this process only.
///
/// It is a [`keyed_hash`], so nothing can be guessed from it.
pub fn fingerprint(value: &SecretString) -> String {
    format!("{:016x}", keyed_hash(value.expose_secret()))
}

/// Why a key of a Secret is no help.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("key {key}: {advice}")]
pub struct KeyProblem {
    /// The key.
    pub key: String,
    /// What kind of problem it is.
    pub fault: KeyFault,
    /// What to do, without a full stop: a sentence of its own where the key is missing, else one that goes on after the
    /// key's name. Never a value.
    pub advice: String,
}

/// The kinds of problem with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// It is not there.
    Missing,
    /// It has no value.
    Empty,
    /// Its value cannot be used.
    Invalid,
}

impl KeyProblem {
    /// A problem with this key.
    pub fn new(key: &str, fault: KeyFault, advice: impl Into<String>) -> Self {
        Self { key: key.to_owned(), fault, advice: advice.into() }
    }
}

/// The values of a provider's keys, each checked. A value that cannot be used is a problem only for a provider that reads
/// it.
pub struct SecretValues {
    values: BTreeMap<&'static str, Result<SecretString, KeyProblem>>,
    set: &'static [SecretKey],
}

impl SecretValues {
    /// The values of those keys that `find` finds; it finds `Some(None)` where a value is too long to be kept.
    pub fn read<'a>(sets: KeySets, find: impl Fn(&str) -> Option<Option<&'a [u8]>>) -> Self {
        let value = |key: &SecretKey| Some((key.name, key.check(find(key.name)?).map(SecretString::from)));
        let values: BTreeMap<_, _> = sets.iter().copied().flatten().filter_map(value).collect();
        let set = choose(sets, |key| values.contains_key(key.name));
        Self { values, set }
    }

    /// The set of keys to log in with: the first one of which all keys are there, else the one with the most keys. Empty
    /// if the Secret has no key of any set.
    pub fn set(&self) -> &'static [SecretKey] {
        self.set
    }

    /// The keys of that set that are not there.
    pub fn missing(&self) -> Vec<&'static str> {
        self.set.iter().map(|key| key.name).filter(|name| !self.values.contains_key(name)).collect()
    }

    /// The value of a key, where it is there.
    pub fn get(&self, key: &str) -> Result<Option<&SecretString>, KeyProblem> {
        self.values.get(key).map(|value| value.as_ref().map_err(Clone::clone)).transpose()
    }

    /// The value of a key that must be there.
    pub fn require(&self, key: &str) -> Result<&SecretString, KeyProblem> {
        self.get(key)?.ok_or_else(|| KeyProblem::new(key, KeyFault::Missing, "Add the key"))
    }
}

/// A stray key must not hide a complete set, so the first set with any key is not good enough.
fn choose(sets: KeySets, has: impl Fn(&SecretKey) -> bool) -> &'static [SecretKey] {
    if let Some(complete) = sets.iter().find(|set| set.iter().all(&has)) {
        return complete;
    }
    let found = |set: &&[SecretKey]| set.iter().filter(|key| has(key)).count();
    // `max_by_key` returns the last of several; the preferred one is the first.
    sets.iter().rev().copied().max_by_key(found).filter(|set| found(set) > 0).unwrap_or_default()
}

impl fmt::Debug for SecretValues {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.values.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &[SecretKey] = &[SecretKey::line("username"), SecretKey::text("password")];
    const CLIENT: &[SecretKey] =
        &[SecretKey::line("clientId"), SecretKey::text("clientSecret"), SecretKey::line("tenant")];

    fn read(keys: &[&str]) -> SecretValues {
        SecretValues::read(&[USER, CLIENT], |key| keys.contains(&key).then_some(Some(b"x")))
    }

    #[test]
    fn a_complete_set_of_keys_goes_before_one_with_a_stray_key() {
        for (keys, set) in [
            (&["username", "clientId", "clientSecret", "tenant"][..], CLIENT),
            (&["username", "password", "clientId", "clientSecret"], USER),
            (&["username", "password", "clientId", "clientSecret", "tenant"], USER),
        ] {
            let values = read(keys);
            assert_eq!((values.set(), values.missing()), (set, vec![]), "{keys:?}");
        }
    }

    #[test]
    fn without_a_complete_set_the_one_with_the_most_keys_is_to_be_completed() {
        for (keys, missing) in [
            (&["username"][..], &["password"][..]),
            (&["tenant"], &["clientId", "clientSecret"]),
            (&["username", "clientId", "clientSecret"], &["tenant"]),
            // As many of each: the preferred one.
            (&["password", "clientId"], &["username"]),
            (&["other"], &[]),
        ] {
            assert_eq!(read(keys).missing(), missing, "{keys:?}");
        }
        assert!(read(&["other"]).set().is_empty());
    }

    #[test]
    fn a_fingerprint_tells_values_apart_and_shows_none() {
        let of = |value: &str| fingerprint(&SecretString::from(value));
        assert_eq!(of("token-a"), of("token-a"));
        assert_ne!(of("token-a"), of("token-b"));
        assert_eq!(of("token-a").len(), 16);
    }
}
