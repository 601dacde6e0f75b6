//! The words of a deployment's status and of an instance's, and what they mean together.

use crate::cloud::model::State;

/// The words of a deployment's status that are known.
pub(super) const STATUS_WORDS: &[&str] = &[
    "SUCCESS",
    "INITIALIZING",
    "QUEUED",
    "WAITING",
    "NEEDS_APPROVAL",
    "BUILDING",
    "DEPLOYING",
    "SLEEPING",
    "CRASHED",
    "FAILED",
    "REMOVED",
    "REMOVING",
    "SKIPPED",
];

/// What an instance of an active deployment does. `None` for one that has ended: it is no instance any more.
pub(super) fn of_instance(status: &str) -> Option<State> {
    match status {
        "RUNNING" => Some(State::Running),
        "CREATED" | "INITIALIZING" | "RESTARTING" => Some(State::Deploying),
        "CRASHED" => Some(State::Failed),
        "REMOVING" => Some(State::Stopped),
        "STOPPED" | "EXITED" | "REMOVED" | "SKIPPED" => None,
        _ => Some(State::Unknown),
    }
}

/// What the instances of a service's active deployments do, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct InstanceCounts {
    pub(super) running: i64,
    pub(super) deploying: i64,
    pub(super) failed: i64,
}

impl InstanceCounts {
    /// Counts one more instance in this state.
    pub(super) fn add(&mut self, state: State) {
        match state {
            State::Running => self.running += 1,
            State::Deploying => self.deploying += 1,
            State::Failed => self.failed += 1,
            State::Degraded | State::Sleeping | State::Stopped | State::Unknown => {}
        }
    }
}

/// What a service does. `newest` is the status of its newest deployment, which may have failed while the one before still
/// runs; `None` where nothing was ever deployed.
pub(super) fn of_service(
    newest: Option<&str>,
    counts: InstanceCounts,
    desired: Option<i64>,
    is_cron: bool,
) -> State {
    match newest {
        Some("INITIALIZING" | "QUEUED" | "WAITING" | "BUILDING" | "DEPLOYING") => return State::Deploying,
        Some("SLEEPING") => return State::Sleeping,
        _ => {}
    }
    if counts.running > 0 {
        let some_are_missing = desired.is_some_and(|desired| counts.running < desired);
        // Instances that start make up for those that are missing.
        let is_whole = !some_are_missing || counts.deploying > 0;
        let is_well = is_whole && counts.failed == 0 && newest != Some("CRASHED");
        return if is_well { State::Running } else { State::Degraded };
    }
    match newest {
        Some("FAILED" | "CRASHED") => State::Failed,
        Some("SUCCESS") if counts.failed > 0 => State::Failed,
        Some("SUCCESS") if counts.deploying > 0 => State::Deploying,
        // Between two runs.
        Some("SUCCESS") if is_cron => State::Sleeping,
        // It waits for a user, and nothing runs until then.
        Some("NEEDS_APPROVAL") => State::Deploying,
        None | Some("SUCCESS" | "REMOVED" | "REMOVING" | "SKIPPED") => State::Stopped,
        Some(_) => State::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(running: i64, deploying: i64, failed: i64) -> InstanceCounts {
        InstanceCounts { running, deploying, failed }
    }

    #[test]
    fn each_status_of_a_deployment_without_instances_has_a_meaning() {
        let states: Vec<State> = STATUS_WORDS
            .iter()
            .map(|word| of_service(Some(word), InstanceCounts::default(), Some(1), false))
            .collect();
        let (deploying, stopped) = (State::Deploying, State::Stopped);
        assert_eq!(
            states,
            [
                stopped,
                deploying,
                deploying,
                deploying,
                deploying,
                deploying,
                deploying,
                State::Sleeping,
                State::Failed,
                State::Failed,
                stopped,
                stopped,
                stopped
            ]
        );
        assert_eq!(of_service(None, InstanceCounts::default(), None, false), stopped);
        assert_eq!(of_service(Some("NEW_WORD"), InstanceCounts::default(), None, false), State::Unknown);
        assert_eq!(of_service(Some("SUCCESS"), InstanceCounts::default(), None, true), State::Sleeping);
    }

    #[test]
    fn a_deployment_that_failed_leaves_a_service_running_whose_older_one_still_runs() {
        for word in ["FAILED", "NEEDS_APPROVAL", "SKIPPED", "SUCCESS", "NEW_WORD"] {
            assert_eq!(of_service(Some(word), counts(2, 0, 0), Some(2), false), State::Running, "{word}");
        }
        assert_eq!(of_service(Some("BUILDING"), counts(2, 0, 0), Some(2), false), State::Deploying);
    }

    #[test]
    fn a_service_with_fewer_instances_than_wanted_or_with_crashed_ones_is_degraded() {
        for (word, counts, desired, state) in [
            ("SUCCESS", counts(1, 0, 0), Some(2), State::Degraded),
            ("SUCCESS", counts(1, 1, 0), Some(2), State::Running),
            ("SUCCESS", counts(1, 0, 1), None, State::Degraded),
            ("CRASHED", counts(1, 0, 0), None, State::Degraded),
            ("SUCCESS", counts(0, 0, 1), None, State::Failed),
            ("SUCCESS", counts(0, 1, 0), None, State::Deploying),
            // Whether the number of replicas is that of all regions is not documented.
            ("SUCCESS", counts(4, 0, 0), Some(2), State::Running),
        ] {
            assert_eq!(of_service(Some(word), counts, desired, false), state, "{word} {counts:?}");
        }
    }

    #[test]
    fn an_instance_that_has_ended_is_none() {
        let states = ["RUNNING", "RESTARTING", "CRASHED", "REMOVING", "NEW_WORD"].map(of_instance);
        let [running, deploying, failed] = [State::Running, State::Deploying, State::Failed];
        assert_eq!(states, [running, deploying, failed, State::Stopped, State::Unknown].map(Some));
        assert_eq!(["STOPPED", "EXITED", "REMOVED", "SKIPPED"].map(of_instance), [None; 4]);
    }
}
