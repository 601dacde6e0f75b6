//! The words of a service's status, and what they mean together with its instances.

use crate::cloud::model::State;

/// The words that are known.
pub(super) const WORDS: &[&str] = &["not_suspended", "suspended"];

/// Whether this word says that the service is suspended. `None` for a word that is not known.
pub(super) fn is_suspended(word: &str) -> Option<bool> {
    match word {
        "suspended" => Some(true),
        "not_suspended" => Some(false),
        _ => None,
    }
}

/// The state of a service, of which so many instances run and so many should; `None` where that is not known.
///
/// The list says no more than whether it is suspended: without an instance it may be a service that sleeps, one that has
/// crashed, or a cron job between two runs.
pub(super) fn state(word: Option<&str>, desired: Option<i64>, running: Option<i64>) -> State {
    match (word.and_then(is_suspended), running) {
        (Some(true), _) => State::Stopped,
        (Some(false), Some(1..)) if running < desired => State::Degraded,
        (Some(false), Some(1..)) => State::Running,
        (Some(false) | None, _) => State::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_not_suspended_runs_as_far_as_its_instances_do() {
        let of = |desired, running| state(Some("not_suspended"), desired, running);
        assert_eq!(of(Some(2), Some(2)), State::Running);
        assert_eq!(of(Some(2), Some(3)), State::Running, "while one version replaces another");
        assert_eq!(of(Some(2), Some(1)), State::Degraded);
        assert_eq!(of(None, Some(1)), State::Running, "scaled automatically");
        assert_eq!(of(Some(2), Some(0)), State::Unknown);
        assert_eq!(of(Some(2), None), State::Unknown);
    }

    #[test]
    fn a_suspended_service_is_stopped_and_an_unknown_word_says_nothing() {
        assert_eq!(state(Some("suspended"), Some(2), Some(0)), State::Stopped);
        assert_eq!(state(Some("paused"), Some(2), Some(2)), State::Unknown);
        assert_eq!(state(None, None, Some(1)), State::Unknown);
        assert!(WORDS.iter().all(|word| is_suspended(word).is_some()));
    }
}
