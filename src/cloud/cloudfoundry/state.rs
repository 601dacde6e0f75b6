//! The words of an application's `state` and of an instance's, and what they mean.

use crate::cloud::model::{Instance, State};

/// The words of an application's wanted state.
pub const STATUS_WORDS: &[&str] = &["STARTED", "STOPPED"];

/// What the state of an instance means.
pub(super) fn of_instance(word: &str) -> State {
    match word {
        "RUNNING" => State::Running,
        "STARTING" => State::Deploying,
        "STOPPING" => State::Stopped,
        // DOWN: it should run, and no cell runs it.
        "CRASHED" | "DOWN" => State::Failed,
        _ => State::Unknown,
    }
}

/// What a service does: the wanted state of its application, compared with its instances. `None` where they are unknown.
///
/// `is_replaced` says that instances of an older and a newer version exist side by side.
pub(super) fn of_service(
    wanted: Option<&str>,
    desired: Option<i64>,
    instances: Option<&[Instance]>,
    is_replaced: bool,
) -> Option<State> {
    match wanted {
        Some("STARTED") if desired == Some(0) => return Some(State::Stopped),
        Some("STARTED") => {}
        Some("STOPPED") => return Some(State::Stopped),
        Some(_) => return Some(State::Unknown),
        None => return None,
    }
    let instances = instances?;
    let [running, deploying, failed] = [State::Running, State::Deploying, State::Failed]
        .map(|state| instances.iter().filter(|instance| instance.facts.state == Some(state)).count());
    let missing =
        desired.is_some_and(|desired| i64::try_from(running).is_ok_and(|running| running < desired));
    Some(if running == 0 {
        match (deploying, failed) {
            (0, 0) if instances.iter().any(|one| one.facts.state == Some(State::Unknown)) => State::Unknown,
            (0, 1..) => State::Failed,
            _ => State::Deploying,
        }
    } else if failed > 0 {
        State::Degraded
    } else if deploying > 0 || is_replaced {
        State::Deploying
    } else if missing {
        State::Degraded
    } else {
        State::Running
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cloud::model::{InstanceFacts, Reading};

    fn state(wanted: &str, desired: i64, words: &[&str]) -> Option<State> {
        let instance = |word: &&str| Instance {
            facts: Arc::new(InstanceFacts { state: Some(of_instance(word)), ..InstanceFacts::default() }),
            reading: Reading::default(),
        };
        let instances: Vec<_> = words.iter().map(instance).collect();
        of_service(Some(wanted), Some(desired), Some(&instances), false)
    }

    #[test]
    fn a_service_is_judged_by_what_was_wanted_and_what_its_instances_do() {
        for (wanted, desired, instances, expected) in [
            ("STOPPED", 2, &[][..], State::Stopped),
            ("STARTED", 0, &[], State::Stopped),
            ("STARTED", 2, &["RUNNING", "RUNNING"], State::Running),
            ("STARTED", 2, &["RUNNING", "STARTING"], State::Deploying),
            ("STARTED", 2, &["RUNNING", "CRASHED"], State::Degraded),
            ("STARTED", 2, &["RUNNING", "DOWN"], State::Degraded),
            ("STARTED", 2, &["RUNNING"], State::Degraded),
            ("STARTED", 2, &["RUNNING", "STOPPING"], State::Degraded),
            ("STARTED", 2, &["CRASHED", "CRASHED"], State::Failed),
            ("STARTED", 2, &["DOWN", "STARTING"], State::Deploying),
            ("STARTED", 2, &[], State::Deploying),
            ("STARTED", 1, &["UNKNOWN"], State::Unknown),
            ("PAUSED", 1, &["RUNNING"], State::Unknown),
        ] {
            assert_eq!(state(wanted, desired, instances), Some(expected), "{wanted} {desired} {instances:?}");
        }
        assert_eq!(
            of_service(Some("STARTED"), Some(2), None, false),
            None,
            "nothing is known of its instances"
        );
    }

    #[test]
    fn a_service_of_which_two_versions_run_is_being_deployed() {
        let facts = Arc::new(InstanceFacts { state: Some(State::Running), ..InstanceFacts::default() });
        let instances = [Instance { facts, reading: Reading::default() }];
        assert_eq!(of_service(Some("STARTED"), Some(1), Some(&instances), true), Some(State::Deploying));
    }
}
