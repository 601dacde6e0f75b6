//! `docs/cli.md`: the help of each command, as `--help` prints it.

use caas_operator::cli;
use clap::Command;

use super::table::MADE;

/// As wide as the program's own help at most.
const WIDTH: usize = 110;

/// The page.
pub(crate) fn page() -> String {
    let mut command = without_environment(cli::command().term_width(WIDTH));
    command.build();
    let mut text = vec![format!(
        "# Command line
{MADE}
The `--help` output of each command. Options can also be set with the environment variables shown in their texts;
an empty variable counts as unset, and a switch is `true` or `false`, `yes` or `no`, `on` or `off`, `1` or `0`.
Errors are one line on stderr, and the exit code is 0 only for success.
"
    )];
    add(&mut text, &mut command);
    text.concat()
}

/// Values of the environment in which this runs are nobody's business.
fn without_environment(command: Command) -> Command {
    command.mut_args(|argument| argument.hide_env_values(true)).mut_subcommands(without_environment)
}

fn add(text: &mut Vec<String>, command: &mut Command) {
    if !command.has_subcommands() || command.get_name() == "caas-operator" {
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
        let help = command.render_long_help().to_string();
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        text.push(format!("\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
    }
    for below in command.get_subcommands_mut().filter(|below| below.get_name() != "help") {
        add(text, below);
    }
}
