//! Conditions and their reasons: closed sets, since people and alerts select by them.

use std::borrow::Cow;
use std::fmt;

/// What meta/v1 takes as the reason of a condition.
pub(super) const REASON_PATTERN: &str = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";

/// The longest reason that meta/v1 takes, in characters.
pub(super) const MAX_REASON_LENGTH: usize = 1024;

/// The longest message that meta/v1 takes, in characters.
pub const MAX_MESSAGE_LENGTH: usize = 32_768;

/// The type of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// The Secrets exist and the cloud accepts the credentials.
    CredentialsReady,
    /// Services and instances are being collected.
    Collecting,
    /// The ServiceMonitor is as it should be.
    ServiceMonitorReady,
    /// All of the above.
    Ready,
}

impl ConditionType {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::CredentialsReady, Self::Collecting, Self::ServiceMonitorReady, Self::Ready];

    /// What [`ConditionType::Ready`] rests on, in the order in which it looks for a reason.
    pub const PARTS: [Self; 3] = [Self::CredentialsReady, Self::Collecting, Self::ServiceMonitorReady];

    /// The word in `conditions[].type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CredentialsReady => "CredentialsReady",
            Self::Collecting => "Collecting",
            Self::ServiceMonitorReady => "ServiceMonitorReady",
            Self::Ready => "Ready",
        }
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Defines [`Reason`]: each reason with the condition it belongs to and whether that condition then holds.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident: $condition:ident = $holds:literal,)+) => {
        /// Why a condition holds or does not.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word in `conditions[].reason`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii(),)+
                }
            }

            /// The condition that it is a reason of.
            pub fn condition(self) -> ConditionType {
                match self {
                    $(Self::$name => ConditionType::$condition,)+
                }
            }

            /// Whether the condition holds for this reason.
            pub fn holds(self) -> bool {
                match self {
                    $(Self::$name => $holds,)+
                }
            }
        }
    };
}

reasons! {
    /// The Secrets have all required keys.
    CredentialsFound: CredentialsReady = true,
    /// The Secret does not exist.
    SecretNotFound: CredentialsReady = false,
    /// The Secret lacks a key.
    SecretKeyMissing: CredentialsReady = false,
    /// A key of the Secret has no value.
    SecretKeyEmpty: CredentialsReady = false,
    /// The value of a key of the Secret is invalid: too long, not UTF-8, or not in the required form.
    SecretKeyInvalid: CredentialsReady = false,
    /// The operator is not allowed to read the Secret.
    SecretForbidden: CredentialsReady = false,
    /// The Secret's `endpoint` key allows its credentials for another endpoint only.
    EndpointMismatch: CredentialsReady = false,
    /// The cloud rejects the credentials.
    LoginRejected: CredentialsReady = false,
    /// The last collection was complete.
    Collected: Collecting = true,
    /// The first collection has not ended yet.
    Pending: Collecting = false,
    /// The endpoint is not allowed.
    EndpointRefused: Collecting = false,
    /// The cloud cannot be reached.
    CloudUnreachable: Collecting = false,
    /// The cloud responds with an error, or with a response that the operator cannot use.
    CloudError: Collecting = false,
    /// The cloud limits requests, usually with status code 429.
    RateLimited: Collecting = false,
    /// A part of the collection failed.
    PartiallyCollected: Collecting = false,
    /// There are more series than `metrics.maxSeries`.
    TooManySeries: Collecting = false,
    /// The account needs more memory than is left of the limit that all accounts share.
    TooLarge: Collecting = false,
    /// The CaasAccount is larger than 64 KiB, including labels and annotations, and is ignored.
    ObjectTooLarge: Collecting = false,
    /// A bug in the operator made the collection fail.
    InternalError: Collecting = false,
    /// `spec.suspend` is true.
    Suspended: Collecting = false,
    /// The ServiceMonitor is written.
    Applied: ServiceMonitorReady = true,
    /// `serviceMonitor.mode` is `Never`, or it is `Auto` and the operator runs with `--no-service-monitors`, or the account is suspended.
    Disabled: ServiceMonitorReady = true,
    /// The ServiceMonitor CRD of Prometheus Operator is not installed, and `serviceMonitor.mode` is `Auto`.
    PrometheusOperatorNotInstalled: ServiceMonitorReady = true,
    /// The ServiceMonitor CRD of Prometheus Operator is not installed, and `serviceMonitor.mode` is `Always`.
    CRDNotInstalled: ServiceMonitorReady = false,
    /// The operator is not allowed to write ServiceMonitors in this namespace.
    Forbidden: ServiceMonitorReady = false,
    /// A ServiceMonitor of that name exists and the operator does not own it.
    NotOwned: ServiceMonitorReady = false,
    /// The API server rejects the ServiceMonitor.
    Invalid: ServiceMonitorReady = false,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A text of at most so many bytes, three at least, cut where it is longer.
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    const MARK: &str = "…";
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let end = (0..=most.saturating_sub(MARK.len())).rev().find(|end| text.is_char_boundary(*end));
    Cow::Owned(format!("{}{MARK}", &text[..end.unwrap_or_default()]))
}

/// What is known of one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The condition's type.
    pub condition: ConditionType,
    /// Whether it holds.
    pub holds: bool,
    /// Why.
    pub reason: Reason,
    /// A whole sentence that says what to do; never a value of a Secret or a byte of a cloud's answer.
    pub message: String,
}

impl Finding {
    /// What the reason says of its own condition.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { condition: reason.condition(), holds: reason.holds(), reason, message: message.into() }
    }

    /// `Ready` from what it rests on: the first that does not hold with its reason and message, else all hold.
    /// `None` where a part is not known and no other fails.
    ///
    /// A suspended account is ready, since it is as its spec wants it, whatever was wrong with it before: those who wait
    /// for a rollout would otherwise wait for ever.
    pub fn ready(parts: &[Self]) -> Option<Self> {
        if let Some(suspended) = parts.iter().find(|part| part.reason == Reason::Suspended) {
            return Some(Self { condition: ConditionType::Ready, holds: true, ..suspended.clone() });
        }
        let order = |part: &&Self| ConditionType::PARTS.into_iter().position(|of| of == part.condition);
        match parts.iter().filter(|part| !part.holds).min_by_key(order) {
            Some(first) => Some(Self { condition: ConditionType::Ready, ..first.clone() }),
            None if parts.len() < ConditionType::PARTS.len() => None,
            None => Some(Self {
                condition: ConditionType::Ready,
                holds: true,
                reason: Reason::Collected,
                message: "The account is collected and its metrics are served.".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_takes_the_reason_of_the_first_condition_that_does_not_hold() {
        let parts = [
            Finding::new(Reason::CRDNotInstalled, "Install Prometheus Operator."),
            Finding::new(Reason::LoginRejected, "Check the password."),
            Finding::new(Reason::Pending, "Wait."),
        ];

        let ready = Finding::ready(&parts).unwrap();

        assert_eq!(
            (ready.condition, ready.holds, ready.reason),
            (ConditionType::Ready, false, Reason::LoginRejected)
        );
        assert_eq!(ready.message, "Check the password.");
    }

    #[test]
    fn ready_holds_when_all_it_rests_on_hold() {
        let parts = [Reason::CredentialsFound, Reason::Collected, Reason::Disabled];
        let parts = parts.map(|reason| Finding::new(reason, "Fine."));
        assert!(Finding::ready(&parts).unwrap().holds);
        assert_eq!(Finding::ready(&parts[..2]), None, "the third may fail");
    }

    #[test]
    fn a_suspended_account_is_ready_and_called_suspended_whatever_was_wrong_before() {
        let parts = [Reason::SecretNotFound, Reason::Suspended].map(|reason| Finding::new(reason, "So."));
        let ready = Finding::ready(&parts).unwrap();
        assert_eq!((ready.holds, ready.reason), (true, Reason::Suspended));
        assert!(!parts[1].holds, "it is not collected");
    }

    #[test]
    fn without_prometheus_operator_an_account_is_ready_unless_its_service_monitor_is_required() {
        for (monitor, holds) in
            [(Reason::PrometheusOperatorNotInstalled, true), (Reason::CRDNotInstalled, false)]
        {
            let parts = [Reason::CredentialsFound, Reason::Collected, monitor];
            let ready = Finding::ready(&parts.map(|reason| Finding::new(reason, "So."))).unwrap();
            assert_eq!(ready.holds, holds, "{monitor}");
        }
    }

    #[test]
    fn each_reason_is_a_word_that_kubernetes_takes() {
        for reason in Reason::ALL {
            assert!(reason.as_str().chars().all(|c| c.is_ascii_alphabetic()), "{reason}");
            assert!((1..=MAX_REASON_LENGTH).contains(&reason.as_str().len()), "{reason}");
        }
    }

    #[test]
    fn a_text_is_shortened_to_whole_characters_and_shows_it() {
        assert_eq!(shortened("naïve", 6), "naïve");
        assert_eq!(shortened("naïve text", 6), "na…");
        assert_eq!(shortened("naïve text", 7), "naï…");
    }
}
