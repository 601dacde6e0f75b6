//! The words of `current_status`, and what they mean.

use crate::cloud::model::State;

/// The words that are known.
pub const STATUS_WORDS: &[&str] = &["Running", "Deploying", "Starting", "Stopped"];

/// What a word means. Other words may exist; nothing is known of them.
pub(super) fn state(word: &str) -> State {
    match word.to_ascii_lowercase().as_str() {
        "running" => State::Running,
        "deploying" | "starting" => State::Deploying,
        "stopped" => State::Stopped,
        _ => State::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_known_word_has_a_meaning() {
        let states: Vec<_> = STATUS_WORDS.iter().map(|word| state(word)).collect();
        assert_eq!(states, [State::Running, State::Deploying, State::Deploying, State::Stopped]);
        assert_eq!((state("STOPPED"), state("Error")), (State::Stopped, State::Unknown));
    }
}
