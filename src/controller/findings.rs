//! What the conditions show, from the outcome of resolving and the health of the collection. Pure.

use crate::account::Problem;
use crate::api::ConditionType::{Collecting, CredentialsReady};
use crate::api::{ConditionType, Finding, Reason};
use crate::collector::Health;

/// What is known of `CredentialsReady` and `Collecting`, of which `stands` says what is told so far.
pub(super) fn of_collection(
    problem: Option<&Problem>,
    health: &Health,
    stands: impl Fn(ConditionType) -> Option<Reason>,
) -> Vec<Finding> {
    match problem {
        // The Secrets of a suspended account are not looked at, so nothing is said of them.
        Some(problem) if problem.reason == Reason::Suspended => vec![Finding::from(problem.clone())],
        Some(problem) if problem.condition == CredentialsReady => {
            vec![Finding::from(problem.clone()), waiting()]
        }
        Some(problem) => vec![found(), Finding::from(problem.clone())],
        None if health.credentials_rejected() => {
            vec![Finding::new(Reason::LoginRejected, health.message()), waiting()]
        }
        // After a restart or a change the outcome before it stands until there is another: to wait for the next
        // cycle is no reason to call an account that was well not ready.
        None if *health == Health::Pending
            && [CredentialsReady, Collecting].into_iter().filter_map(stands).any(is_outcome) =>
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

fn found() -> Finding {
    Finding::new(Reason::CredentialsFound, "The Secret holds the credentials.")
}

fn waiting() -> Finding {
    Finding::new(
        Reason::Pending,
        "Nothing is collected until the credentials are right; see CredentialsReady.",
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
            Health::Failed(Unreachable::Dns.into()),
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

    /// What is found of an account that waits for its first cycle while these reasons stand.
    fn waiting_after(credentials: Reason, collecting: Reason) -> Vec<Reason> {
        let stands = |condition| Some(if condition == CredentialsReady { credentials } else { collecting });
        let findings = of_collection(None, &Health::Pending, stands);
        findings.iter().map(|finding| finding.reason).collect()
    }

    #[test]
    fn the_outcome_of_the_last_cycle_stands_until_there_is_another() {
        for outcome in [Reason::Collected, Reason::CloudError, Reason::RateLimited, Reason::TooManySeries] {
            assert_eq!(waiting_after(Reason::CredentialsFound, outcome), [], "{outcome}");
        }
        assert_eq!(waiting_after(Reason::LoginRejected, Reason::Pending), []);
    }

    #[test]
    fn what_was_mended_without_a_cycle_stands_no_longer() {
        let waiting = [Reason::CredentialsFound, Reason::Pending];
        assert_eq!(waiting_after(Reason::SecretNotFound, Reason::Pending), waiting);
        assert_eq!(waiting_after(Reason::CredentialsFound, Reason::Suspended), waiting);
        assert_eq!(waiting_after(Reason::CredentialsFound, Reason::EndpointRefused), waiting);
        let nothing = of_collection(None, &Health::Pending, |_| None);
        assert_eq!(nothing.iter().map(|finding| finding.reason).collect::<Vec<_>>(), waiting);
    }
}
