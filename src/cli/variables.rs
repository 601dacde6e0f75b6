//! How environment variables are read: an empty or blank one counts as unset, and a switch accepts yes, no, 1 and 0 besides
//! true and false, with blanks around it. Kubernetes manifests often set variables to empty strings and numbers.

use clap::builder::{BoolishValueParser, Resettable, TypedValueParser};
use clap::{ArgAction, Command};

/// Applies this to a command and its subcommands.
pub(super) fn lenient(command: Command) -> Command {
    let command = command.mut_args(|mut argument| {
        if matches!(argument.get_action(), ArgAction::SetTrue) {
            argument = argument.value_parser(boolean);
        }
        let value = argument.get_env().and_then(std::env::var_os);
        let blank = value.is_some_and(|value| value.to_str().is_some_and(|text| text.trim().is_empty()));
        if blank { argument.env(Resettable::Reset) } else { argument }
    });
    command.mut_subcommands(lenient)
}

/// The value of a switch, or of an option that can be turned off.
pub(super) fn boolean(text: &str) -> Result<bool, &'static str> {
    let parser = BoolishValueParser::new();
    let value = parser.parse_ref(&Command::new(""), None, text.trim().as_ref());
    value.map_err(|_| "use true or false, yes or no, on or off, 1 or 0")
}
