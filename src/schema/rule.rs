//! A CEL rule, with the sentence that an API server refuses with.
//!
//! A rule means the same to Go's regular expressions and to Rust's, so that it can be tested offline: no `\s`, which
//! is ASCII to one and Unicode to the other.

use serde::Serialize;

/// The key of a schema that holds its rules.
pub const RULES: &str = "x-kubernetes-validations";

/// A rule as a schema holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// The CEL expression that must be true.
    pub rule: String,
    /// What to do where it is false.
    pub message: String,
}

impl Rule {
    /// A rule with its sentence.
    pub fn new(rule: impl Into<String>, message: impl Into<String>) -> Self {
        Self { rule: rule.into(), message: message.into() }
    }
}

/// `matches` as CEL writes it, with the pattern taken literally.
pub fn matches(value: &str, pattern: &str) -> String {
    format!("{value}.matches(r'{pattern}')")
}
