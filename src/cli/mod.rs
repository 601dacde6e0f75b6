//! The command line. Each command has a thin file that wires the other modules together.

mod chart;
mod check;
mod cluster;
mod crd;
#[cfg(feature = "simulator")]
mod demo;
mod files;
mod memory;
mod no_proxy;
mod options;
mod otlp;
mod replicas;
mod run;
mod runtime;
mod signals;
#[cfg(feature = "simulator")]
mod simulate;
mod single_account;
mod standalone;
mod top;
mod variables;

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::telemetry::logs::{self, LogFormat};

#[cfg(feature = "simulator")]
const EXAMPLES: &str = "Examples:
  caas-operator demo
  caas-operator check account.yaml
  caas-operator crd | kubectl apply --server-side -f -

More examples: caas-operator COMMAND --help";

#[cfg(not(feature = "simulator"))]
const EXAMPLES: &str = "Examples:
  caas-operator check account.yaml
  caas-operator crd | kubectl apply --server-side -f -

Each command has more: caas-operator check --help";

/// Turns Container-as-a-Service APIs into Prometheus metrics.
#[derive(Parser)]
#[command(
    name = "caas-operator",
    version,
    propagate_version = true,
    max_term_width = 110,
    after_help = EXAMPLES
)]
struct Cli {
    /// Format of the log on stderr; `RUST_LOG` sets the level
    #[arg(long, global = true, value_enum, default_value = "text", env = "CAAS_OPERATOR_LOG_FORMAT")]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the operator, in a pod or with a kubeconfig
    Run(run::Args),
    /// Collect without a cluster, from a folder of manifests or for a single account
    Standalone(standalone::Args),
    /// Try everything on this machine with a simulated cloud
    #[cfg(feature = "simulator")]
    Demo(demo::Args),
    /// Run a simulated cloud for tests and experiments
    #[cfg(feature = "simulator")]
    Simulate(simulate::Args),
    /// Validate manifests like an API server, log in, collect once and print a summary
    Check(check::Args),
    /// Show resource usage of services, instances and accounts of a running operator
    Top(top::Args),
    /// Print the custom resource definition (CRD)
    #[command(after_help = crd::EXAMPLES)]
    Crd,
}

impl Command {
    /// What is logged where `RUST_LOG` says nothing.
    fn log_filter(&self) -> &'static str {
        if matches!(self, Self::Check(_)) { check::LOG_FILTER } else { "info" }
    }
}

/// All commands and options, for `docs/cli.md`.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program. An error is one line on stderr.
pub fn main() -> ExitCode {
    let cli = if top::plugin::is_called(std::env::args_os().next().as_ref()) {
        Cli { log_format: LogFormat::Text, command: Command::Top(top::plugin::arguments()) }
    } else {
        arguments()
    };
    if let Err(error) = logs::start(cli.log_format, cli.command.log_filter()) {
        return failed(error);
    }
    files::raise_limit();
    match Runtime::new() {
        Ok(runtime) => complete(runtime, run(cli.command)),
        Err(error) => failed(format!("the async runtime cannot be started: {error}")),
    }
}

/// The arguments of this process. Prints help and ends it where they ask for that or cannot be read.
fn arguments() -> Cli {
    let mut command = variables::lenient(Cli::command());
    let cli = command.try_get_matches_from_mut(std::env::args_os());
    let cli = cli.and_then(|matches| Cli::from_arg_matches(&matches));
    cli.unwrap_or_else(|error| error.format(&mut command).exit())
}

/// Runs the future to its end without waiting for blocking threads, as dropping the runtime would: a DNS lookup or a file
/// system that hangs must not keep the process alive.
fn complete<T>(runtime: Runtime, work: impl Future<Output = T>) -> T {
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

async fn run(command: Command) -> ExitCode {
    match command {
        Command::Run(args) => exit(run::run(args).await),
        Command::Standalone(args) => exit(standalone::run(args).await),
        #[cfg(feature = "simulator")]
        Command::Demo(args) => exit(demo::run(args).await),
        #[cfg(feature = "simulator")]
        Command::Simulate(args) => exit(simulate::run(args).await),
        Command::Check(args) => exit(check::run(args).await),
        Command::Top(args) => exit(top::run(args).await),
        Command::Crd => exit(crd::run(std::io::stdout())),
    }
}

fn exit<E: Display>(result: Result<(), E>) -> ExitCode {
    result.map_or_else(failed, |()| ExitCode::SUCCESS)
}

fn failed(error: impl Display) -> ExitCode {
    // If stderr is closed, the exit code still reports the failure.
    let _ = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_stuck_thread_does_not_delay_the_exit() {
        let (stuck, wait) = mpsc::channel::<()>();
        let (done, is_done) = mpsc::channel();
        std::thread::spawn(move || {
            let work = async {
                tokio::task::spawn_blocking(move || wait.recv());
            };
            complete(Runtime::new().unwrap(), work);
            done.send(()).unwrap();
        });
        is_done.recv_timeout(Duration::from_secs(60)).expect("it ends");
        drop(stuck);
    }
}
