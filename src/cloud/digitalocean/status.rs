//! The words of a deployment's phase and of a component's health, and what they mean together.

use crate::cloud::model::State;

/// The phases of deployments that are known.
pub(super) const PHASES: &[&str] = &[
    "ACTIVE",
    "PENDING_BUILD",
    "BUILDING",
    "PENDING_DEPLOY",
    "DEPLOYING",
    "ERROR",
    "SUPERSEDED",
    "CANCELED",
    "UNKNOWN",
];

/// What the cloud says of a component's instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// `HEALTHY`
    Healthy,
    /// `UNHEALTHY`, and whether an instance is ready all the same.
    Unhealthy {
        /// Whether at least one instance is ready; unknown counts as yes.
        some_ready: bool,
    },
}

/// The state of a component: what its health says, else what the phases of its app's deployments say.
///
/// `active` is the phase of the deployment that runs, `in_progress` that of the one that is to replace it.
pub(super) fn state(condition: Option<Condition>, active: Option<&str>, in_progress: Option<&str>) -> State {
    match condition {
        // New instances that are not ready yet are usual while a deployment runs.
        Some(Condition::Unhealthy { .. }) if in_progress.is_some_and(is_under_way) && active.is_none() => {
            State::Deploying
        }
        Some(Condition::Unhealthy { some_ready: true }) => State::Degraded,
        Some(Condition::Unhealthy { some_ready: false }) => State::Failed,
        Some(Condition::Healthy) | None => of_phases(active, in_progress),
    }
}

fn of_phases(active: Option<&str>, in_progress: Option<&str>) -> State {
    if in_progress.is_some_and(is_under_way) {
        return State::Deploying;
    }
    match active.or(in_progress) {
        Some("ACTIVE") => State::Running,
        Some("ERROR") => State::Failed,
        // Nothing is deployed any more.
        Some("CANCELED" | "SUPERSEDED") => State::Stopped,
        Some(phase) if is_under_way(phase) => State::Deploying,
        Some(_) | None => State::Unknown,
    }
}

fn is_under_way(phase: &str) -> bool {
    matches!(phase, "PENDING_BUILD" | "BUILDING" | "PENDING_DEPLOY" | "DEPLOYING")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_a_meaning() {
        let states: Vec<_> = PHASES.iter().map(|phase| state(None, Some(phase), None)).collect();
        let deploying = State::Deploying;
        assert_eq!(
            states,
            [
                State::Running,
                deploying,
                deploying,
                deploying,
                deploying,
                State::Failed,
                State::Stopped,
                State::Stopped,
                State::Unknown
            ]
        );
        assert_eq!(state(None, None, None), State::Unknown);
        assert_eq!(state(None, Some("ACTIVE"), Some("BUILDING")), State::Deploying);
        assert_eq!(state(None, None, Some("ERROR")), State::Failed, "the first deployment failed");
        assert_eq!(state(None, Some("ACTIVE"), Some("ERROR")), State::Running, "the active one goes on");
    }

    #[test]
    fn an_unhealthy_component_is_degraded_or_has_failed_whatever_its_phase() {
        let unhealthy = |some_ready| Some(Condition::Unhealthy { some_ready });
        assert_eq!(state(unhealthy(true), Some("ACTIVE"), None), State::Degraded);
        assert_eq!(state(unhealthy(false), Some("ACTIVE"), None), State::Failed);
        assert_eq!(state(unhealthy(false), Some("ACTIVE"), Some("DEPLOYING")), State::Failed);
        assert_eq!(state(unhealthy(false), None, Some("DEPLOYING")), State::Deploying);
        assert_eq!(state(Some(Condition::Healthy), Some("ACTIVE"), None), State::Running);
    }
}
