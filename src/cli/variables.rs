//! How environment variables are read: an empty one counts as unset, and a switch accepts yes, no, 1 and 0 besides true
//! and false. Kubernetes manifests often set variables to empty strings and numbers.

use clap::builder::{BoolishValueParser, Resettable};
use clap::{ArgAction, Command};

/// Applies this to a command and its subcommands.
pub(super) fn lenient(command: Command) -> Command {
    let command = command.mut_args(|mut argument| {
        if matches!(argument.get_action(), ArgAction::SetTrue) {
            argument = argument.value_parser(BoolishValueParser::new());
        }
        let value = argument.get_env().and_then(std::env::var_os);
        if value.is_some_and(|value| value.is_empty()) { argument.env(Resettable::Reset) } else { argument }
    });
    command.mut_subcommands(lenient)
}
