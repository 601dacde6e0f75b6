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

impl Health {
    /// The reason as the condition `Collecting` has it.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Collected => "Collected",
            Self::Partial { .. } => "PartiallyCollected",
            Self::TooManySeries { .. } => "TooManySeries",
            Self::Failed(CloudError::EndpointRefused(_)) => "EndpointRefused",
            Self::Failed(CloudError::Unreachable(_)) => "CloudUnreachable",
            Self::Failed(CloudError::LoginRejected) => "LoginRejected",
            Self::Failed(CloudError::RateLimited { .. }) => "RateLimited",
            Self::Failed(CloudError::Status(_) | CloudError::Answer(_)) => "CloudError",
        }
    }

    /// A sentence for people.
    pub fn message(&self) -> String {
        match self {
            Self::Pending => "The first collection has not ended yet.".into(),
            Self::Collected => "The last collection succeeded.".into(),
            Self::Partial { failures, first } => format!("{failures} requests failed; the first: {first}."),
            Self::TooManySeries { limit, dropped } => {
                format!("{dropped} series are left out: the account may have {limit} (metrics.maxSeries).")
            }
            Self::Failed(error) => format!("The last collection failed: {error}."),
        }
    }
}
