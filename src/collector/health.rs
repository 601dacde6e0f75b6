//! How an account's collection stands, as the conditions, the JSON and `check` show it.

use crate::cloud::CloudError;

/// The state after the newest cycle.
#[derive(Debug, Clone, PartialEq)]
pub enum Health {
    /// No cycle has ended yet.
    Pending,
    /// Everything that was asked for was collected.
    Collected,
    /// Some of it failed; the rest is exposed.
    Partial {
        /// How many requests or pieces failed.
        failures: usize,
        /// The first of them.
        first: CloudError,
    },
    /// Collected, but more series than the account may have: the newest are left out.
    TooManySeries {
        /// The account's limit.
        limit: usize,
        /// How many are left out.
        dropped: usize,
    },
    /// The cycle failed as a whole.
    Failed(CloudError),
}
