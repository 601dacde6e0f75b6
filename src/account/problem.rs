//! Why a CaasAccount is not an [`super::Account`] yet, as data and as the sentence that its condition shows.

use super::AccountId;
use crate::api::{ConditionType, Finding, Reason};
use crate::cloud::error::Refusal;

/// Why a CaasAccount cannot be collected, or not yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Problem {
    /// Which condition is false.
    pub condition: ConditionType,
    /// Why.
    pub reason: Reason,
    /// A whole sentence that says what to do, naming object and key; never a value of a Secret.
    pub message: String,
    /// What the problem is about, for a reader that has no CaasAccount and no Secret.
    pub subject: Subject,
}

/// What a [`Problem`] is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The CaasAccount, or one of its Secrets, as a whole.
    Object,
    /// The endpoint, with the reason for which it is refused.
    Endpoint(String),
    /// A key of a Secret, with the rest of the sentence about it.
    Key(String, String),
}

impl Problem {
    /// The problem of this reason, on the condition that the reason belongs to.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { condition: reason.condition(), reason, message: message.into(), subject: Subject::Object }
    }

    /// The endpoint of this account is refused.
    pub(super) fn endpoint(id: &AccountId, refusal: Refusal) -> Self {
        let refusal = refusal.to_string();
        let message = format!("The endpoint in spec.provider of CaasAccount {id} is refused: {refusal}.");
        Self { subject: Subject::Endpoint(refusal), ..Self::new(Reason::EndpointRefused, message) }
    }

    /// The value under a key of this Secret is the problem; `advice` goes on with the sentence, without its full stop.
    pub(super) fn value(reason: Reason, secret: &AccountId, key: &str, advice: &str) -> Self {
        let message = format!("Key {key} of Secret {secret} {advice}.");
        Self { subject: Subject::Key(key.to_owned(), advice.to_owned()), ..Self::new(reason, message) }
    }
}

impl From<Problem> for Finding {
    fn from(problem: Problem) -> Self {
        Self::new(problem.reason, problem.message)
    }
}
