//! How an account's collection stands, in the words that conditions, JSON and `check` show.
//!
//! Pure. The reasons are a promise to users: `docs/resource.md` lists them.

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
        /// The gravest of them, or of equals the first.
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
    /// The cycle after one that brought something is under way for so long that nothing is left of it.
    Overdue,
}

impl Health {
    /// Judges a cycle that brought something: `failures` inside it and the gravest, `dropped` series over `limit`.
    pub fn of_collection(failures: usize, first: Option<&CloudError>, dropped: u64, limit: usize) -> Self {
        match first {
            // The credentials concern the whole account, wherever in a cycle they were refused.
            Some(CloudError::LoginRejected) => Self::Failed(CloudError::LoginRejected),
            Some(first) => Self::Partial { failures, first: first.clone() },
            None if dropped > 0 => {
                Self::TooManySeries { limit, dropped: usize::try_from(dropped).unwrap_or(usize::MAX) }
            }
            None => Self::Collected,
        }
    }

    /// Whether the newest cycle brought anything.
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Collected | Self::Partial { .. } | Self::TooManySeries { .. })
    }

    /// Whether the cloud refuses the credentials.
    pub fn credentials_rejected(&self) -> bool {
        matches!(self, Self::Failed(CloudError::LoginRejected))
    }

    /// The error behind it, if there is one.
    pub fn error(&self) -> Option<&CloudError> {
        match self {
            Self::Partial { first, .. } => Some(first),
            Self::Failed(error) => Some(error),
            Self::Pending | Self::Collected | Self::TooManySeries { .. } | Self::Overdue => None,
        }
    }

    /// The reason that the condition carries: one of a closed set, in `CamelCase`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Collected => "Collected",
            Self::TooManySeries { .. } => "TooManySeries",
            Self::Partial { first: CloudError::RateLimited { .. }, .. }
            | Self::Failed(CloudError::RateLimited { .. }) => "RateLimited",
            Self::Partial { .. } => "PartiallyCollected",
            Self::Failed(CloudError::LoginRejected) => "LoginRejected",
            Self::Failed(CloudError::EndpointRefused(_)) => "EndpointRefused",
            Self::Failed(CloudError::Unreachable(_)) | Self::Overdue => "CloudUnreachable",
            Self::Failed(CloudError::Status(_) | CloudError::Answer(_)) => "CloudError",
        }
    }

    /// A sentence for people that says what to do. It holds no number that changes from cycle to cycle,
    /// since a status that holds it would be written each time.
    pub fn message(&self) -> String {
        match self {
            Self::Pending => "The first collection has not ended yet.".into(),
            Self::Collected => "All services and instances were collected.".into(),
            Self::TooManySeries { limit, .. } => format!(
                "The account has more than {limit} series and the newest are left out; raise \
                 spec.metrics.maxSeries or exclude services in spec.services."
            ),
            Self::Partial { first: CloudError::RateLimited { .. }, .. }
            | Self::Failed(CloudError::RateLimited { .. }) => {
                "The cloud limits the rate of requests (429); raise spec.collection.interval or lower \
                 spec.collection.requestsPerSecond."
                    .into()
            }
            Self::Partial { first, .. } => {
                format!("A part of the collection failed and the rest is exposed; the first failure: {first}.")
            }
            Self::Failed(CloudError::LoginRejected) => {
                "The cloud rejects the credentials; put a user and password, or a token, that it accepts into \
                 the Secret that spec.credentials.secretRef names."
                    .into()
            }
            Self::Failed(error @ CloudError::EndpointRefused(_)) => {
                format!("No request is sent: {error}.")
            }
            Self::Failed(error @ CloudError::Unreachable(_)) => {
                format!(
                    "The collection failed: {error}; check spec.provider's endpoint and the way there, and \
                     spec.tls for a certificate of your own. It is tried again each interval."
                )
            }
            Self::Failed(error @ (CloudError::Status(_) | CloudError::Answer(_))) => {
                format!(
                    "The collection failed: {error}; check that spec.provider names the cloud's API and an \
                     existing namespace. It is tried again each interval."
                )
            }
            Self::Overdue => "The collection that is under way takes so long that the last values are stale; \
                 check that the cloud answers, and lower spec.collection.requestTimeout, or raise \
                 spec.collection.requestsPerSecond where there is much to ask for."
                .into(),
        }
    }

    /// Whether going from `before` to this is worth telling: another reason, or another kind of error.
    pub fn differs_from(&self, before: &Self) -> bool {
        self.reason() != before.reason()
            || self.error().map(CloudError::reason) != before.error().map(CloudError::reason)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cloud::error::{AnswerProblem, Refusal, Unreachable};

    #[test]
    fn each_outcome_has_its_reason_and_a_sentence() {
        let all = [
            (Health::Pending, "Pending"),
            (Health::Collected, "Collected"),
            (Health::TooManySeries { limit: 10, dropped: 3 }, "TooManySeries"),
            (Health::of_collection(2, Some(&CloudError::Status(500)), 0, 10), "PartiallyCollected"),
            (Health::of_collection(2, Some(&CloudError::LoginRejected), 0, 10), "LoginRejected"),
            (
                Health::of_collection(1, Some(&CloudError::RateLimited { retry_after: None }), 0, 10),
                "RateLimited",
            ),
            (
                Health::Failed(CloudError::RateLimited { retry_after: Some(Duration::from_secs(7)) }),
                "RateLimited",
            ),
            (Health::Failed(Refusal::PrivateAddress.into()), "EndpointRefused"),
            (Health::Failed(Unreachable::Timeout.into()), "CloudUnreachable"),
            (Health::Failed(AnswerProblem::NotJson.into()), "CloudError"),
            (Health::Overdue, "CloudUnreachable"),
        ];
        for (health, reason) in all {
            assert_eq!(health.reason(), reason);
            assert!(health.message().ends_with('.'), "{}", health.message());
        }
    }

    #[test]
    fn a_change_of_numbers_is_no_transition_and_another_error_is() {
        let partial = |failures, first| Health::Partial { failures, first };
        let timeout = || CloudError::Unreachable(Unreachable::Timeout);
        assert!(!partial(2, timeout()).differs_from(&partial(9, timeout())));
        assert!(partial(2, timeout()).differs_from(&partial(2, CloudError::Status(500))));
        assert!(Health::Collected.differs_from(&Health::Pending));
        assert_eq!(partial(2, timeout()).message(), partial(9, timeout()).message());
    }
}
