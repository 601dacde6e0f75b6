//! The command line of a simulated cloud: the options of all clouds, and those that its provider adds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::account::AccountSettings;
use super::clock::Clock;
use super::faults::{Fault, FaultError, parse};
use super::provider::SimulatedProvider;
use super::settings::Settings;
use super::{admin, duration};

/// The options of all simulated clouds.
#[derive(Debug, Args)]
struct Options {
    /// Address to serve on; port 0 selects any free port
    #[arg(long, env = "CAAS_OPERATOR_LISTEN", default_value = "127.0.0.1:8500")]
    listen: SocketAddr,
    /// Number of services
    #[arg(long, env = "CAAS_OPERATOR_SERVICES", default_value_t = 20)]
    services: usize,
    /// Number of instances of each service
    #[arg(long, env = "CAAS_OPERATOR_INSTANCES", default_value_t = 5)]
    instances: usize,
    /// Latency of each response, for example 50ms
    #[arg(long, env = "CAAS_OPERATOR_LATENCY", default_value = "0s", value_parser = duration::parse)]
    latency: Duration,
    /// Like --latency, in milliseconds
    #[arg(long, env = "CAAS_OPERATOR_LATENCY_MS", conflicts_with = "latency")]
    latency_ms: Option<u64>,
    /// Seed for services, instances and load; the same seed gives the same cloud
    #[arg(long, env = "CAAS_OPERATOR_SEED", default_value_t = 1)]
    seed: u64,
    /// Fraction of services that stop, start, scale, are redeployed, appear or disappear: 0 (none) to 1
    #[arg(long, env = "CAAS_OPERATOR_CHURN", default_value_t = 0.0, value_parser = share)]
    churn: f64,
    /// A fault, as described below; can be repeated (in the environment: separated by commas)
    #[arg(long = "fault", env = "CAAS_OPERATOR_FAULT", value_name = "FAULT", value_delimiter = ',')]
    faults: Vec<Fault>,
}

/// The command that simulates this provider's cloud.
pub fn command(provider: &Arc<dyn SimulatedProvider>) -> Command {
    let operations = provider.operations();
    let fault = move |text: &str| -> Result<Fault, FaultError> {
        let fault: Fault = text.parse()?;
        fault.check(operations).map(|()| fault)
    };
    // The help ends with the grammar of faults, so their option comes last.
    let with_fault = |option: Arg| option.value_parser(fault).display_order(900);
    let command = Options::augment_args(Command::new(provider.name())).mut_arg("faults", with_fault);
    let help = [&parse::help(operations), admin::HELP, &format!("Examples:\n{}", provider.examples())];
    // Derived options bring an `about` of their own, which this replaces.
    provider.add_options(command).about(provider.about()).after_help(help.join("\n\n"))
}

/// The settings that the options of [`command`] describe.
pub fn settings(
    provider: &Arc<dyn SimulatedProvider>,
    matches: &ArgMatches,
) -> Result<Settings, clap::Error> {
    let options = Options::from_arg_matches(matches)?;
    let mut account = AccountSettings {
        services: options.services,
        instances: options.instances,
        ..AccountSettings::new("acme")
    };
    let provider = provider.with_options(matches, &mut account)?;
    Ok(Settings {
        provider,
        listen: options.listen,
        accounts: vec![account],
        seed: options.seed,
        churn: options.churn,
        latency: options.latency_ms.map_or(options.latency, Duration::from_millis),
        faults: options.faults,
        clock: Clock::system(),
        tls: None,
    })
}

/// Reads a number from 0 to 1.
pub fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "use a number from 0 to 1".to_owned())
}
