//! What the environment's variables mean to the command line: an empty one is as good as none, and a switch takes
//! yes, no, 1 and 0 besides true and false. Manifests set variables to nothing and to numbers.

use clap::builder::{BoolishValueParser, Resettable};
use clap::{ArgAction, Command};

/// The command and all below it, read that way.
pub(super) fn read(command: Command) -> Command {
    let command = command.mut_args(|mut argument| {
        if matches!(argument.get_action(), ArgAction::SetTrue) {
            argument = argument.value_parser(BoolishValueParser::new());
        }
        let value = argument.get_env().and_then(std::env::var_os);
        if value.is_some_and(|value| value.is_empty()) { argument.env(Resettable::Reset) } else { argument }
    });
    command.mut_subcommands(read)
}
