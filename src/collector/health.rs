//! The outcome of an account's newest cycle, with the reason and message that conditions, JSON and `check` show.
//!
//! Pure. The reasons are a promise to users: `docs/resource.md` lists them.

use std::time::Duration;

use crate::api::Reason;
use crate::cloud::CloudError;
use crate::limits::OverBudget;
use crate::schema;

/// The outcome of the newest cycle.
#[derive(Debug, Clone, PartialEq)]
pub enum Health {
    /// The first collection has not ended yet.
    Pending,
    /// Everything selected was collected.
    Collected,
    /// Some of it failed; the rest is exposed.
    Partial {
        /// How many requests or pieces failed.
        failures: usize,
        /// The gravest of them, or of equals the first.
        first: CloudError,
    },
    /// Collected, but two services have the same labels, so the series of the second one's own are left out.
    SharedLabels {
        /// The name of the first such service, as it may be printed.
        service: String,
    },
    /// Collected, but less often than wanted, since the cloud limits the requests of a token or user.
    Stretched {
        /// The interval that is kept.
        interval: Duration,
    },
    /// Collected, but more series than the account may have: the newest are left out.
    TooManySeries {
        /// The account's limit.
        limit: usize,
        /// How many are left out.
        dropped: u64,
    },
    /// What the account needs does not fit into the memory that all accounts share; its values were dropped.
    TooLarge(OverBudget),
    /// The cycle failed as a whole.
    Failed(CloudError),
    /// The cycle after a successful one has been under way for so long that all its values are stale.
    Overdue,
    /// The operator panicked while it processed or rendered what the cloud returned: a bug.
    Panicked,
}

impl Health {
    /// The outcome of a cycle that returned a collection, with `failures` inside it and the gravest of them.
    pub fn of_collection(failures: usize, first: Option<&CloudError>) -> Self {
        match first {
            // The credentials concern the whole account, wherever in a cycle they were refused.
            Some(CloudError::LoginRejected) => Self::Failed(CloudError::LoginRejected),
            Some(first) => Self::Partial { failures, first: first.clone() },
            None => Self::Collected,
        }
    }

    /// The same outcome once it is known how many series over `limit` were dropped, and which service was the first to
    /// have the labels of another.
    #[must_use]
    pub fn rendered(self, dropped: u64, limit: usize, first_duplicate: Option<String>) -> Self {
        match (self, first_duplicate) {
            (Self::Collected, _) if dropped > 0 => Self::TooManySeries { limit, dropped },
            (Self::Collected, Some(service)) => Self::SharedLabels { service },
            (other, _) => other,
        }
    }

    /// The same outcome where the cloud's limits demand a longer interval.
    #[must_use]
    pub fn paced(self, stretched: Option<Duration>) -> Self {
        match (self, stretched) {
            (Self::Collected, Some(interval)) => Self::Stretched { interval },
            (other, _) => other,
        }
    }

    /// Whether the newest cycle returned anything.
    pub fn is_up(&self) -> bool {
        match self {
            Self::Collected
            | Self::SharedLabels { .. }
            | Self::Stretched { .. }
            | Self::Partial { .. }
            | Self::TooManySeries { .. } => true,
            Self::Pending | Self::TooLarge(_) | Self::Failed(_) | Self::Overdue | Self::Panicked => false,
        }
    }

    /// Whether the cloud rejects the credentials.
    pub fn credentials_rejected(&self) -> bool {
        matches!(self, Self::Failed(CloudError::LoginRejected))
    }

    /// The error behind it, if there is one.
    pub fn error(&self) -> Option<&CloudError> {
        match self {
            Self::Partial { first, .. } => Some(first),
            Self::Failed(error) => Some(error),
            Self::Pending
            | Self::Collected
            | Self::SharedLabels { .. }
            | Self::Stretched { .. }
            | Self::TooManySeries { .. }
            | Self::TooLarge(_)
            | Self::Overdue
            | Self::Panicked => None,
        }
    }

    /// The reason that the condition carries.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Pending => Reason::Pending,
            Self::Collected | Self::SharedLabels { .. } | Self::Stretched { .. } => Reason::Collected,
            Self::TooManySeries { .. } => Reason::TooManySeries,
            Self::TooLarge(_) => Reason::TooLarge,
            Self::Partial { first: CloudError::RateLimited { .. }, .. }
            | Self::Failed(CloudError::RateLimited { .. }) => Reason::RateLimited,
            Self::Partial { .. } => Reason::PartiallyCollected,
            Self::Failed(CloudError::LoginRejected) => Reason::LoginRejected,
            Self::Failed(CloudError::EndpointRefused(_)) => Reason::EndpointRefused,
            Self::Failed(CloudError::Unreachable(_)) | Self::Overdue => Reason::CloudUnreachable,
            Self::Failed(
                CloudError::ScopeMissing(_)
                | CloudError::NotVisible(_)
                | CloudError::Status(_)
                | CloudError::Answer(_),
            ) => Reason::CloudError,
            Self::Panicked => Reason::InternalError,
        }
    }

    /// Sentences that say what to do. They hold no number that changes from cycle to cycle, since a status that holds
    /// one would be written each time.
    pub fn message(&self) -> String {
        match self {
            Self::Pending => "The first collection has not ended yet.".into(),
            Self::Collected => "All services and instances were collected.".into(),
            Self::SharedLabels { service } => format!(
                "All services and instances were collected, but two services of the same application are named \
                 {service:?}, so the second service's own series are dropped. Rename one of them."
            ),
            Self::Stretched { interval } => format!(
                "All services and instances were collected, but the cloud's rate limit allows only one collection \
                 every {}. Set spec.collection.interval to that, or exclude services in spec.services.",
                schema::Duration::from(*interval)
            ),
            Self::TooManySeries { limit, .. } => format!(
                "The account has more than {limit} series, so the newest are dropped. Raise \
                 spec.metrics.maxSeries, or exclude services in spec.services."
            ),
            Self::TooLarge(OverBudget { needed, budget }) => format!(
                "The account needs more than {} MiB of the {} MiB of memory that all accounts share, so it is not \
                 collected and has no series. Exclude services in spec.services, or ask the operator's administrator \
                 for a larger memory limit. Retrying every interval.",
                // Rounded down, since it differs a little each time.
                needed.saturating_sub(1) >> 20 >> 3 << 3,
                budget >> 20
            ),
            Self::Partial { first: error @ CloudError::RateLimited { .. }, .. }
            | Self::Failed(error @ CloudError::RateLimited { .. }) => {
                format!("The cloud limits the rate of requests (429). {}", error.action())
            }
            Self::Partial { first: error @ CloudError::ScopeMissing(scope), .. }
            | Self::Failed(error @ CloudError::ScopeMissing(scope)) => format!(
                "The cloud accepts the credentials but denies a request (403): they need {scope}. {}",
                error.action()
            ),
            Self::Partial { first, .. } => format!(
                "A part of the collection failed; the rest is exposed. First failure: {}. {}",
                first.summary(),
                first.action()
            ),
            Self::Failed(error @ CloudError::LoginRejected) => {
                format!("The cloud rejects the credentials. {}", error.action())
            }
            Self::Failed(error @ CloudError::EndpointRefused(_)) => {
                format!("No requests are sent: {}. {}", error.summary(), error.action())
            }
            Self::Failed(error) => format!(
                "The collection failed: {}. {} Retrying every interval.",
                error.summary(),
                error.action()
            ),
            Self::Overdue => "The current collection takes so long that all values are stale. Check that the cloud \
                 responds. Lower spec.collection.requestTimeout, or raise spec.collection.requestsPerSecond if \
                 there are many services."
                .into(),
            Self::Panicked => "A bug in the operator made the collection fail. Please report it \
                 with the operator's log, which shows where. Retrying every interval."
                .into(),
        }
    }

    /// Whether this is another outcome than `before`: another reason, or another kind of error.
    pub fn differs_from(&self, before: &Self) -> bool {
        let kind = |health: &Self| {
            let shared =
                if let Self::SharedLabels { service } = health { Some(service.clone()) } else { None };
            let interval = if let Self::Stretched { interval } = health { Some(*interval) } else { None };
            (health.reason(), shared, interval, health.error().map(CloudError::summary))
        };
        kind(self) != kind(before)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cloud::error::{AnswerProblem, Refusal, TlsProblem, Unreachable};
    use crate::proxy::ProxyFault;

    #[test]
    fn each_outcome_has_its_reason_and_a_sentence() {
        let all = [
            (Health::Pending, Reason::Pending),
            (Health::Collected, Reason::Collected),
            (Health::TooManySeries { limit: 10, dropped: 3 }, Reason::TooManySeries),
            (Health::TooLarge(OverBudget { needed: 9, budget: 8 }), Reason::TooLarge),
            (Health::of_collection(2, Some(&CloudError::Status(500))), Reason::PartiallyCollected),
            (Health::of_collection(2, Some(&CloudError::LoginRejected)), Reason::LoginRejected),
            (
                Health::of_collection(1, Some(&CloudError::RateLimited { retry_after: None })),
                Reason::RateLimited,
            ),
            (
                Health::Failed(CloudError::RateLimited { retry_after: Some(Duration::from_secs(7)) }),
                Reason::RateLimited,
            ),
            (Health::Failed(Refusal::PrivateAddress.into()), Reason::EndpointRefused),
            (Health::Failed(Unreachable::Timeout.into()), Reason::CloudUnreachable),
            (Health::Failed(AnswerProblem::NotJson.into()), Reason::CloudError),
            (Health::Failed(CloudError::ScopeMissing("the scope app:read")), Reason::CloudError),
            (
                Health::of_collection(2, Some(&CloudError::ScopeMissing("the scope app:read"))),
                Reason::PartiallyCollected,
            ),
            (Health::Overdue, Reason::CloudUnreachable),
            (Health::Panicked, Reason::InternalError),
            (Health::Collected.rendered(3, 10, Some("web".into())), Reason::TooManySeries),
            (Health::Collected.rendered(0, 10, Some("web".into())), Reason::Collected),
            (Health::Failed(CloudError::LoginRejected).rendered(3, 10, None), Reason::LoginRejected),
            (Health::Collected.paced(Some(Duration::from_secs(150))), Reason::Collected),
            (Health::Pending.paced(Some(Duration::from_secs(150))), Reason::Pending),
        ];
        for (health, reason) in all {
            assert_eq!(health.reason(), reason);
            assert!(health.message().ends_with('.'), "{}", health.message());
        }
    }

    /// Every error that a cycle may end with, in all its kinds.
    fn errors() -> Vec<CloudError> {
        use AnswerProblem as Answer;
        let refusals = [
            Refusal::NotHttps,
            Refusal::NotAnEndpoint,
            Refusal::AmbiguousPath,
            Refusal::NotAllowed,
            Refusal::PrivateAddress,
            Refusal::ForeignLogin,
        ];
        let tls = [
            TlsProblem::UnknownIssuer,
            TlsProblem::OtherName,
            TlsProblem::NoName,
            TlsProblem::Expired,
            TlsProblem::NotValidYet,
            TlsProblem::CaAsServer,
            TlsProblem::Certificate,
            TlsProblem::Handshake,
        ];
        let unreachable = [
            Unreachable::Dns(Some("caas.example.com".into())),
            Unreachable::Dns(None),
            Unreachable::Connect,
            Unreachable::Proxy(ProxyFault::Unreachable),
            Unreachable::Proxy(ProxyFault::NotTrusted),
            Unreachable::Proxy(ProxyFault::Credentials),
            Unreachable::Proxy(ProxyFault::Forbidden),
            Unreachable::Proxy(ProxyFault::NoTunnel),
            Unreachable::NoRoots,
            Unreachable::Timeout,
            Unreachable::BrokeOff,
        ];
        let answers = [
            Answer::TooLarge,
            Answer::HeadTooLarge,
            Answer::Informational,
            Answer::TooDeep,
            Answer::NotJson,
            Answer::Shape,
            Answer::Encoding,
            Answer::NoMeasurements,
            Answer::Redirect,
            Answer::Reported,
            Answer::PageCycle,
            Answer::TooManyPages,
            Answer::IncompleteList,
        ];
        let others = [
            CloudError::LoginRejected,
            CloudError::ScopeMissing("the scope app:read"),
            CloudError::RateLimited { retry_after: None },
            CloudError::NotVisible("project"),
        ];
        let statuses = [400, 401, 403, 404, 418, 500, 503].map(CloudError::Status);
        let unreachable = unreachable.into_iter().chain(tls.map(Unreachable::from)).map(CloudError::from);
        let told =
            refusals.map(CloudError::from).into_iter().chain(unreachable).chain(others).chain(statuses);
        told.chain(answers.map(CloudError::from)).collect()
    }

    /// What of a message its reader can act on: a part of the resource, an option of the administrator, or a person to ask.
    const HANDLES: [&str; 5] = ["spec.", "administrator", "ask ", "the cloud's support", "loginEndpoint"];
    /// What its reader is told to do.
    const VERBS: [&str; 13] = [
        "ask ",
        "check ",
        "correct ",
        "exclude ",
        "give ",
        "lower ",
        "contact ",
        "select ",
        "put ",
        "raise ",
        "set ",
        "use ",
        "can allow ",
    ];

    #[test]
    fn each_failure_tells_an_owner_what_is_wrong_and_what_to_change_or_whom_to_ask() {
        let failed = errors().into_iter().map(Health::Failed);
        let partial = errors().into_iter().map(|first| Health::of_collection(2, Some(&first)));
        let others = [
            Health::TooManySeries { limit: 10, dropped: 3 },
            Health::TooLarge(OverBudget { needed: 9 << 20, budget: 8 << 20 }),
            Health::Stretched { interval: Duration::from_secs(150) },
            Health::Overdue,
        ];
        for message in failed.chain(partial).chain(others).map(|health| health.message()) {
            let lower = message.to_lowercase();
            assert!(HANDLES.iter().any(|handle| lower.contains(handle)), "nothing to act on: {message}");
            assert!(VERBS.iter().any(|verb| lower.contains(verb)), "nothing to do: {message}");
            assert!(message.ends_with('.') && !message.contains(".. "), "{message}");
        }
    }

    #[test]
    fn what_an_administrator_can_allow_is_told_by_the_option_and_by_the_charts_value() {
        for (refusal, option, value) in [
            (Refusal::NotHttps, "--allow-http ", "clouds.allowHttp"),
            (Refusal::NotAllowed, "--allow-endpoint ", "clouds.allowedEndpoints"),
            (Refusal::PrivateAddress, "--allow-cidr ", "clouds.allowedCIDRs"),
        ] {
            let message = Health::Failed(refusal.into()).message();
            assert!(message.contains(&format!("{option}(chart: {value})")), "{message}");
            assert!(message.contains("ask the administrator"), "{message}");
        }
    }

    #[test]
    fn a_host_without_an_address_is_named() {
        let message = Health::Failed(Unreachable::Dns(Some("caas.example.com".into())).into()).message();
        assert!(message.contains("its host caas.example.com cannot be resolved"), "{message}");
    }

    #[test]
    fn a_missing_scope_is_named_whether_it_costs_the_cycle_or_a_part_of_it() {
        let missing = CloudError::ScopeMissing("the scope app:read");
        for health in [Health::Failed(missing.clone()), Health::of_collection(7, Some(&missing))] {
            assert!(health.message().contains("they need the scope app:read"), "{}", health.message());
        }
    }

    #[test]
    fn a_change_of_numbers_is_no_transition_and_another_error_is() {
        let partial = |failures, first| Health::Partial { failures, first };
        let timeout = || CloudError::Unreachable(Unreachable::Timeout);
        assert!(!partial(2, timeout()).differs_from(&partial(9, timeout())));
        assert!(partial(2, timeout()).differs_from(&partial(2, CloudError::Status(500))));
        let failed = |status| Health::Failed(CloudError::Status(status));
        assert!(!failed(500).differs_from(&failed(502)) && failed(500).differs_from(&failed(404)));
        assert_eq!(failed(500).message(), failed(502).message());
        assert!(Health::Collected.differs_from(&Health::Pending));
        let shared = Health::Collected.rendered(0, 10, Some("web".into()));
        assert!(shared.differs_from(&Health::Collected) && shared.message().contains("\"web\""));
        assert_eq!(partial(2, timeout()).message(), partial(9, timeout()).message());
        let stretched = Health::Collected.paced(Some(Duration::from_secs(150)));
        assert!(
            stretched.differs_from(&Health::Collected)
                && stretched.message().contains("one collection every 2m30s")
        );
    }
}
