//! What the conditions show, from the outcome of resolving and the health of the collection. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::account::Problem;
use crate::api::{ConditionType, Finding, Reason};
use crate::collector::Health;

/// What is known of `CredentialsReady` and `Collecting`; `told` is what an earlier process found out.
pub(super) fn of_collection(
    problem: Option<&Problem>,
    health: &Health,
    told: Option<Vec<Finding>>,
) -> Vec<Finding> {
    if let (None, Health::Pending, Some(told)) = (problem, health, told) {
        return told;
    }
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

/// What stands of a collection of this generation. It goes on standing until the first collection of a new process:
/// a restart of the operator is no news of an account.
pub(super) fn told(stood: &[Condition], generation: Option<i64>) -> Option<Vec<Finding>> {
    let of = |condition: ConditionType| {
        let stands = stood.iter().find(|stands| stands.type_ == condition.as_str())?;
        let reason = Reason::ALL.iter().copied().find(|reason| reason.as_str() == stands.reason)?;
        let current = stands.observed_generation == generation && reason.condition() == condition;
        current.then(|| Finding::new(reason, stands.message.clone()))
    };
    let (credentials, collecting) = (of(ConditionType::CredentialsReady)?, of(ConditionType::Collecting)?);
    let outcome = match (credentials.reason, collecting.reason) {
        (Reason::LoginRejected, _) => true,
        // These were said without asking the cloud, and what they were said of has changed.
        (_, Reason::Pending | Reason::Suspended | Reason::EndpointRefused) => false,
        (reason, _) => reason.holds(),
    };
    outcome.then(|| vec![credentials, collecting])
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
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

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
        let findings = of_collection(None, &Health::Failed(CloudError::LoginRejected), None);
        let shown: Vec<_> = findings.iter().map(|finding| (finding.reason, finding.holds)).collect();
        assert_eq!(shown, [(Reason::LoginRejected, false), (Reason::Pending, false)]);
    }

    fn stood(reasons: [Reason; 2]) -> [Condition; 2] {
        reasons.map(|reason| Condition {
            type_: reason.condition().as_str().into(),
            status: String::new(),
            reason: reason.as_str().into(),
            message: "As it was.".into(),
            observed_generation: Some(3),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        })
    }

    #[test]
    fn after_a_restart_what_was_found_stands_until_the_first_collection() {
        let all_is_well = stood([Reason::CredentialsFound, Reason::Collected]);
        let kept = of_collection(None, &Health::Pending, told(&all_is_well, Some(3)));
        assert_eq!(kept[1], Finding::new(Reason::Collected, "As it was."));
        assert!(told(&stood([Reason::LoginRejected, Reason::Pending]), Some(3)).is_some());

        let failed = Health::Failed(CloudError::Status(500));
        let newer = of_collection(None, &failed, told(&all_is_well, Some(3)));
        assert_eq!(newer[1].reason, Reason::CloudError);
        assert_eq!(told(&all_is_well, Some(4)), None, "of another spec");
    }

    #[test]
    fn what_was_no_outcome_of_a_collection_does_not_stand() {
        for reasons in [
            [Reason::CredentialsFound, Reason::Pending],
            [Reason::CredentialsFound, Reason::Suspended],
            [Reason::CredentialsFound, Reason::EndpointRefused],
            [Reason::SecretNotFound, Reason::Collected],
        ] {
            assert_eq!(told(&stood(reasons), Some(3)), None, "{reasons:?}");
        }
    }
}
