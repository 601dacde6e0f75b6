//! The words of deployments and containers, and what they mean.

use crate::cloud::model::State;

/// The words of a service's last deployment.
pub(super) const DEPLOYMENTS: &[&str] = &["COMPLETED", "IN_PROGRESS", "PENDING", "FAILED"];

/// The state of a service by the word of its last deployment, how many of its containers run, and how many should.
pub(super) fn of_service(
    is_paused: bool,
    deployment: Option<&str>,
    running: Option<usize>,
    desired: Option<i64>,
) -> State {
    if is_paused {
        return State::Stopped;
    }
    let lacks = |running: usize| {
        desired.is_some_and(|desired| i64::try_from(running).is_ok_and(|running| running < desired))
    };
    match (deployment, running) {
        (Some("PENDING" | "IN_PROGRESS"), _) => State::Deploying,
        // The containers of the deployment before may go on.
        (Some("FAILED"), Some(1..)) => State::Degraded,
        (Some("FAILED"), _) => State::Failed,
        (Some("COMPLETED"), Some(0)) if lacks(0) => State::Failed,
        (Some("COMPLETED"), Some(running)) if lacks(running) => State::Degraded,
        (Some("COMPLETED"), _) | (None, Some(1..)) => State::Running,
        _ => State::Unknown,
    }
}

/// The state of a container by its word; `None` for one that has ended, which is no instance any more.
pub(super) fn of_container(word: Option<&str>) -> Option<State> {
    match word {
        Some("TASK_RUNNING") => Some(State::Running),
        Some("TASK_STARTING" | "TASK_STAGING") => Some(State::Deploying),
        Some("TASK_KILLING") => Some(State::Stopped),
        Some("TASK_KILLED" | "TASK_FAILED" | "TASK_FINISHED") => None,
        _ => Some(State::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_deployment_has_a_meaning() {
        let states: Vec<_> =
            DEPLOYMENTS.iter().map(|word| of_service(false, Some(word), Some(2), Some(2))).collect();
        assert_eq!(states, [State::Running, State::Deploying, State::Deploying, State::Degraded]);
        for word in DEPLOYMENTS {
            assert_eq!(of_service(true, Some(word), Some(0), Some(0)), State::Stopped, "{word}");
        }
    }

    #[test]
    fn a_service_that_lacks_containers_is_degraded_and_one_without_any_has_failed() {
        let completed = |running, desired| of_service(false, Some("COMPLETED"), running, desired);
        assert_eq!(completed(Some(1), Some(2)), State::Degraded);
        assert_eq!(completed(Some(0), Some(2)), State::Failed);
        assert_eq!(completed(Some(3), Some(2)), State::Running, "an old one is still there");
        assert_eq!(completed(None, Some(2)), State::Running, "its containers could not be listed");
        assert_eq!(completed(Some(0), None), State::Running, "how many it should have is not known");
        assert_eq!(of_service(false, Some("FAILED"), Some(0), Some(2)), State::Failed);
        assert_eq!(of_service(false, Some("FAILED"), None, None), State::Failed);
    }

    #[test]
    fn a_service_without_a_deployment_runs_if_it_has_containers() {
        assert_eq!(of_service(false, None, Some(1), None), State::Running);
        assert_eq!(of_service(false, None, Some(0), None), State::Unknown);
        assert_eq!(of_service(false, Some("ROLLING_BACK"), Some(1), None), State::Unknown);
    }

    #[test]
    fn containers_that_have_ended_are_no_instances() {
        let words = [
            "TASK_RUNNING",
            "TASK_STARTING",
            "TASK_STAGING",
            "TASK_KILLING",
            "TASK_KILLED",
            "TASK_FAILED",
            "TASK_FINISHED",
            "TASK_LOST",
        ];
        let states = words.map(|word| of_container(Some(word)));
        let (running, deploying, stopped) =
            (Some(State::Running), Some(State::Deploying), Some(State::Stopped));
        let unknown = Some(State::Unknown);
        assert_eq!(states, [running, deploying, deploying, stopped, None, None, None, unknown]);
        assert_eq!(of_container(None), unknown);
    }
}
