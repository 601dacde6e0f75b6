//! What the conditions show, from the outcome of resolving and the health of the collection. Pure.

use crate::account::Problem;
use crate::api::{ConditionType, Finding, Reason};
use crate::collector::Health;

/// What is known of `CredentialsReady` and `Collecting`.
pub(super) fn of_collection(problem: Option<&Problem>, health: &Health) -> Vec<Finding> {
    match problem {
        // The Secrets of a suspended account are not looked at, so nothing is said of them.
        Some(problem) if problem.reason == Reason::Suspended => vec![Finding::from(problem.clone())],
        Some(problem) if problem.condition == ConditionType::CredentialsReady => {
            vec![Finding::from(problem.clone()), waiting()]
        }
        Some(problem) => vec![found(), Finding::from(problem.clone())],
        None if health.credentials_rejected() => {
            vec![Finding::new(Reason::LoginRejected, health.message()), waiting()]
        }
        None => vec![found(), Finding::new(reason(health), health.message())],
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

/// The health's reason as the condition's.
fn reason(health: &Health) -> Reason {
    let word = health.reason();
    // The test below goes through all of them.
    Reason::ALL.iter().copied().find(|reason| reason.as_str() == word).unwrap_or(Reason::CloudError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::CloudError;
    use crate::cloud::error::{AnswerProblem, Refusal, Unreachable};

    #[test]
    fn each_health_has_a_reason_of_the_resource() {
        let all = [
            Health::Pending,
            Health::Collected,
            Health::TooManySeries { limit: 1, dropped: 1 },
            Health::Partial { failures: 1, first: CloudError::Status(500) },
            Health::Failed(CloudError::RateLimited { retry_after: None }),
            Health::Failed(Refusal::NotHttps.into()),
            Health::Failed(Unreachable::Dns.into()),
            Health::Failed(AnswerProblem::Shape.into()),
        ];
        for health in all {
            assert_eq!(reason(&health).as_str(), health.reason());
            assert_eq!(reason(&health).condition(), ConditionType::Collecting);
        }
    }

    #[test]
    fn a_rejected_login_is_the_credentials_fault_and_the_collection_waits() {
        let findings = of_collection(None, &Health::Failed(CloudError::LoginRejected));
        let shown: Vec<_> = findings.iter().map(|finding| (finding.reason, finding.holds)).collect();
        assert_eq!(shown, [(Reason::LoginRejected, false), (Reason::Pending, false)]);
    }
}
