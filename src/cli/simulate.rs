//! `caas-operator simulate`: a simulated cloud for any client, in the foreground.

use std::io::Write;

use clap::{ArgMatches, Args as ClapArgs, Command, FromArgMatches, Subcommand};
use thiserror::Error;

use super::signals::stop_token;
use crate::simulator::{Running, Settings, Simulator, StartError, command_line, providers};

/// Arguments of `simulate`.
#[derive(ClapArgs)]
pub(super) struct Args {
    /// Which cloud.
    #[command(subcommand)]
    cloud: Cloud,
}

/// The cloud that the arguments describe: a subcommand for each provider in the simulator's list.
struct Cloud(Settings);

impl Subcommand for Cloud {
    fn augment_subcommands(command: Command) -> Command {
        command
            .subcommands(providers().iter().map(command_line::command))
            .subcommand_required(true)
            .arg_required_else_help(true)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        providers().iter().any(|provider| provider.name() == name)
    }
}

impl FromArgMatches for Cloud {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (name, matches) = matches.subcommand().ok_or_else(missing)?;
        let provider =
            providers().into_iter().find(|provider| provider.name() == name).ok_or_else(missing)?;
        command_line::settings(&provider, matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// A simulated cloud that does not run.
#[derive(Debug, Error)]
pub(super) enum SimulateError {
    /// It cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Signals or standard output are not available.
    #[error("cannot run in the foreground: {0}")]
    Terminal(#[from] std::io::Error),
}

/// Runs a simulated cloud until SIGINT or SIGTERM.
pub(super) async fn run(args: Args) -> Result<(), SimulateError> {
    let stop = stop_token()?;
    let cloud = Simulator::start(args.cloud.0).await?;
    std::io::stdout().write_all(greeting(&cloud).as_bytes())?;
    stop.cancelled().await;
    cloud.stop().await;
    Ok(())
}

/// Where the cloud is, who may log in, and how to try it.
fn greeting(cloud: &Running) -> String {
    format!(
        "A simulated {} cloud listens on {}\n{}\nStop it with Ctrl-C.\n",
        cloud.title(),
        cloud.url(),
        cloud.instructions().join("")
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    fn settings(arguments: &[&str]) -> Result<Settings, String> {
        let all = ["simulate", "alauda"].into_iter().chain(arguments.iter().copied());
        Program::try_parse_from(all).map(|program| program.args.cloud.0).map_err(|error| error.to_string())
    }

    #[test]
    fn without_arguments_it_is_the_documented_cloud() {
        let settings = settings(&[]).expect("settings");
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8500");
        let account = &settings.accounts[0];
        assert_eq!((account.username.as_str(), account.services, account.instances), ("acme", 20, 5));
        assert_eq!(settings.provider.name(), "alauda");
    }

    #[test]
    fn latency_is_read_as_a_duration_or_in_milliseconds_but_not_both() {
        assert_eq!(settings(&["--latency", "1m30s"]).expect("settings").latency, Duration::from_secs(90));
        assert_eq!(settings(&["--latency-ms", "50"]).expect("settings").latency, Duration::from_millis(50));
        assert!(settings(&["--latency", "1s", "--latency-ms", "50"]).is_err());
    }

    #[test]
    fn unreadable_values_are_refused_with_what_to_write() {
        for (arguments, says) in [
            (["--fault", "slow"], "slow-body"),
            (["--latency", "5"], "such as 50ms"),
            (["--churn", "2"], "from 0 to 1"),
            (["--page-size", "0"], "above 0"),
        ] {
            let error = settings(&arguments).err().expect("an error");
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn the_help_names_every_path_and_fault() {
        let help = Program::try_parse_from(["simulate", "alauda", "--help"]).err().expect("help").to_string();
        for word in
            ["/_sim/truth", "gzip-bomb", "@service=NAME", "--no-inline-instances", "CAAS_OPERATOR_SEED"]
        {
            assert!(help.contains(word), "{word}");
        }
    }

    #[tokio::test]
    async fn the_greeting_says_where_it_is_and_who_may_log_in() {
        let settings = settings(&["--listen", "127.0.0.1:0", "--password", "open sesame"]).expect("settings");
        let cloud = Simulator::start(settings).await.expect("a cloud");
        let text = greeting(&cloud);
        assert!(
            text.contains(&cloud.url()) && text.contains("acme") && text.contains("open sesame"),
            "{text}"
        );
        cloud.stop().await;
    }
}
