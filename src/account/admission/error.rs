//! What is wrong with a document, field by field.

use std::fmt;

use thiserror::Error;

/// One thing wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field, such as `spec.collection.interval`.
    pub path: String,
    /// What is wrong and what to do; never the field's value.
    pub message: String,
}

impl FieldError {
    pub(super) fn new(path: &str, message: impl Into<String>) -> Self {
        Self { path: printable(path), message: message.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A rule on the whole object names its fields itself.
        if self.path.is_empty() {
            return formatter.write_str(&self.message);
        }
        write!(formatter, "{}: {}", self.path, self.message)
    }
}

/// Why a document is refused: at least one error.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Refused(pub Vec<FieldError>);

/// The most errors that are kept of one document, which may be made to hold thousands.
pub(super) const MOST_ERRORS: usize = 20;

impl Refused {
    /// Refuses where there is any error.
    pub(super) fn if_any(mut errors: Vec<FieldError>) -> Result<(), Self> {
        let more = errors.len().saturating_sub(MOST_ERRORS);
        if more > 0 {
            errors.truncate(MOST_ERRORS);
            errors.push(FieldError::new("", format!("and {more} more errors: fix these first")));
        }
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }
}

/// The path of a field of the object at `path`.
pub(super) fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// A path or a key that can be printed, cut where it is long: keys are whatever somebody wrote.
fn printable(path: &str) -> String {
    const LONGEST: usize = 200;
    let mut text: String = path.chars().take(LONGEST).flat_map(char::escape_default).collect();
    if path.chars().nth(LONGEST).is_some() {
        text.push('…');
    }
    text
}
