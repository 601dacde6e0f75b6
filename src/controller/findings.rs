//! What the conditions show, from the outcome of resolving and the health of the collection, and what they show so far.
//! Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::account::Problem;
use crate::api::ConditionType::{Collecting, CredentialsReady};
use crate::api::{CaasAccount, ConditionType, Finding, Reason};
use crate::collector::Health;

/// What is known of `CredentialsReady` and `Collecting`; `current` gives the reasons that they show so far.
pub(super) fn of_collection(
    problem: Option<&Problem>,
    health: &Health,
    current: impl Fn(ConditionType) -> Option<Reason>,
) -> Vec<Finding> {
    match problem {
        // The Secrets of a suspended account are not read, so nothing is known of them.
        Some(problem) if problem.reason == Reason::Suspended => vec![Finding::from(problem.clone())],
        Some(problem) if problem.condition == CredentialsReady => {
            vec![Finding::from(problem.clone()), waiting()]
        }
        Some(problem) => vec![found(), Finding::from(problem.clone())],
        None if health.credentials_rejected() => {
            vec![Finding::new(Reason::LoginRejected, health.message()), waiting()]
        }
        // After a restart or a change the last outcome stays until there is another: waiting for the next cycle does
        // not make a healthy account unready.
        None if *health == Health::Pending
            && [CredentialsReady, Collecting].into_iter().filter_map(current).any(is_outcome) =>
        {
            Vec::new()
        }
        None => vec![found(), Finding::new(health.reason(), health.message())],
    }
}

/// Whether it takes a cycle to know this.
fn is_outcome(reason: Reason) -> bool {
    match reason {
        Reason::LoginRejected => true,
        Reason::Pending | Reason::Suspended | Reason::EndpointRefused => false,
        other => other.condition() == Collecting,
    }
}

/// The condition of this type in an account's status.
fn condition(account: &CaasAccount, of: ConditionType) -> Option<&Condition> {
    let conditions = account.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().find(|current| current.type_ == of.as_str())
}

/// The reason that it shows.
pub(super) fn current_reason(account: &CaasAccount, of: ConditionType) -> Option<Reason> {
    known_reason(&condition(account, of)?.reason)
}

/// The reason of this name; none where another version of this program wrote one unknown to this one.
pub(super) fn known_reason(name: &str) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|reason| reason.as_str() == name)
}

/// Whether the status says that the credentials are to blame.
pub(super) fn fails_for_credentials(account: &CaasAccount) -> bool {
    condition(account, CredentialsReady).is_some_and(|current| current.status == "False")
}

fn found() -> Finding {
    Finding::new(Reason::CredentialsFound, "The Secret contains the credentials.")
}

fn waiting() -> Finding {
    Finding::new(
        Reason::Pending,
        "Nothing is collected until the credentials are fixed; see CredentialsReady.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::CloudError;
    use crate::cloud::error::{AnswerProblem, Refusal, Unreachable};

    #[test]
    fn each_outcome_of_a_cycle_but_a_rejected_login_is_a_reason_of_collecting() {
        let all = [
            Health::Pending,
            Health::Collected,
            Health::TooManySeries { limit: 1, dropped: 1 },
            Health::Partial { failures: 1, first: CloudError::Status(500) },
            Health::Failed(CloudError::RateLimited { retry_after: None }),
            Health::Failed(Refusal::NotHttps.into()),
            Health::Failed(Unreachable::Dns(None).into()),
            Health::Failed(AnswerProblem::Shape.into()),
            Health::Overdue,
            Health::Panicked,
        ];
        for health in all {
            assert_eq!(health.reason().condition(), ConditionType::Collecting);
        }
    }

    #[test]
    fn a_rejected_login_is_the_credentials_fault_and_the_collection_waits() {
        let findings = of_collection(None, &Health::Failed(CloudError::LoginRejected), |_| None);
        let shown: Vec<_> = findings.iter().map(|finding| (finding.reason, finding.holds)).collect();
        assert_eq!(shown, [(Reason::LoginRejected, false), (Reason::Pending, false)]);
    }

    /// What is found of an account that waits for its first cycle while its conditions show these reasons.
    fn waiting_after(credentials: Reason, collecting: Reason) -> Vec<Reason> {
        let current = |condition| Some(if condition == CredentialsReady { credentials } else { collecting });
        let findings = of_collection(None, &Health::Pending, current);
        findings.iter().map(|finding| finding.reason).collect()
    }

    #[test]
    fn the_outcome_of_the_last_cycle_stays_until_there_is_another() {
        for outcome in [Reason::Collected, Reason::CloudError, Reason::RateLimited, Reason::TooManySeries] {
            assert_eq!(waiting_after(Reason::CredentialsFound, outcome), [], "{outcome}");
        }
        assert_eq!(waiting_after(Reason::LoginRejected, Reason::Pending), []);
    }

    #[test]
    fn what_was_fixed_without_a_cycle_is_shown_no_longer() {
        let waiting = [Reason::CredentialsFound, Reason::Pending];
        assert_eq!(waiting_after(Reason::SecretNotFound, Reason::Pending), waiting);
        assert_eq!(waiting_after(Reason::CredentialsFound, Reason::Suspended), waiting);
        assert_eq!(waiting_after(Reason::CredentialsFound, Reason::EndpointRefused), waiting);
        let nothing = of_collection(None, &Health::Pending, |_| None);
        assert_eq!(nothing.iter().map(|finding| finding.reason).collect::<Vec<_>>(), waiting);
    }
}
