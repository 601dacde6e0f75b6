//! What collection tasks report to the code that writes an account's status.

use crate::account::AccountId;

/// An account's reported state changed; the registry has the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Which account.
    pub id: AccountId,
    /// The UID of its object.
    pub uid: String,
}
