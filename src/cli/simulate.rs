//! `caas-operator simulate`: a simulated cloud for anyone's client, in the foreground.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};
use thiserror::Error;

use super::signals::stop_token;
use crate::simulator::faults::parse::HELP as FAULTS;
use crate::simulator::{
    AccountSettings, Clock, Fault, Login, Running, Settings, Simulator, StartError, admin, duration,
};

/// Arguments of `simulate`.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Which cloud.
    #[command(subcommand)]
    cloud: Cloud,
}

/// The clouds there are.
#[derive(Debug, Subcommand)]
enum Cloud {
    /// A simulated Alauda cloud (v1 API) over HTTP; prints the credentials it takes
    #[command(after_help = after_help())]
    Alauda(Alauda),
}

/// Arguments of `simulate alauda`.
#[derive(Debug, ClapArgs)]
struct Alauda {
    /// Where to listen; port 0 takes any that is free
    #[arg(long, env = "CAAS_OPERATOR_LISTEN", default_value = "127.0.0.1:8500")]
    listen: SocketAddr,
    /// How many services there are
    #[arg(long, env = "CAAS_OPERATOR_SERVICES", default_value_t = 20)]
    services: usize,
    /// How many instances each service has
    #[arg(long, env = "CAAS_OPERATOR_INSTANCES", default_value_t = 5)]
    instances: usize,
    /// How many of the services belong to an application (and are found only with `?application=NAME`)
    #[arg(long, env = "CAAS_OPERATOR_APPLICATIONS", default_value_t = 0)]
    applications: usize,
    /// How long each answer takes, for example 50ms
    #[arg(long, env = "CAAS_OPERATOR_LATENCY", default_value = "0s", value_parser = duration::parse)]
    latency: Duration,
    /// The same in milliseconds
    #[arg(long, env = "CAAS_OPERATOR_LATENCY_MS", conflicts_with = "latency")]
    latency_ms: Option<u64>,
    /// Clouds of the same seed hold the same services, instances and loads
    #[arg(long, env = "CAAS_OPERATOR_SEED", default_value_t = 1)]
    seed: u64,
    /// The share of services that stop, start, scale, are redeployed, come and go: 0 (none) to 1
    #[arg(long, env = "CAAS_OPERATOR_CHURN", default_value_t = 0.0, value_parser = share)]
    churn: f64,
    /// How many services a page lists
    #[arg(long, env = "CAAS_OPERATOR_PAGE_SIZE", default_value = "20", value_parser = at_least_one)]
    page_size: usize,
    /// Lets the format drift from one service and instance to the next, as it did over the years: strings for numbers
    /// and maps, fields more and fewer, columns more, fewer and in another order, the later form of errors
    #[arg(long, env = "CAAS_OPERATOR_DRIFT")]
    drift: bool,
    /// Leaves `instances` out of services, so that clients have to ask for them
    #[arg(long, env = "CAAS_OPERATOR_NO_INLINE_INSTANCES")]
    no_inline_instances: bool,
    /// Writes `next` and `previous` as paths instead of URLs
    #[arg(long, env = "CAAS_OPERATOR_RELATIVE_NEXT")]
    relative_next: bool,
    /// Who may log in; also the namespace
    #[arg(long, env = "CAAS_OPERATOR_USERNAME", default_value = "acme")]
    username: String,
    /// The password; without it one is made of the seed
    #[arg(long, env = "CAAS_OPERATOR_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// What goes wrong, as described below; may be given more than once (in the environment: separated by commas)
    #[arg(long = "fault", env = "CAAS_OPERATOR_FAULT", value_name = "FAULT", value_delimiter = ',')]
    faults: Vec<Fault>,
}

/// Why a simulated cloud does not run.
#[derive(Debug, Error)]
pub(super) enum SimulateError {
    /// It cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Signals or standard output cannot be had.
    #[error("cannot run in the foreground: {0}")]
    Terminal(#[from] std::io::Error),
}

/// Runs a simulated cloud until SIGINT or SIGTERM.
pub(super) async fn run(args: Args) -> Result<(), SimulateError> {
    let Cloud::Alauda(args) = args.cloud;
    let stop = stop_token()?;
    let cloud = Simulator::start(args.settings()).await?;
    std::io::stdout().write_all(greeting(&cloud).as_bytes())?;
    stop.cancelled().await;
    cloud.stop().await;
    Ok(())
}

impl Alauda {
    fn settings(self) -> Settings {
        Settings {
            listen: self.listen,
            accounts: vec![AccountSettings {
                password: self.password,
                services: self.services,
                instances: self.instances,
                applications: self.applications,
                ..AccountSettings::new(self.username)
            }],
            seed: self.seed,
            churn: self.churn,
            latency: self.latency_ms.map_or(self.latency, Duration::from_millis),
            page_size: self.page_size,
            drift: self.drift,
            inline_instances: !self.no_inline_instances,
            relative_next: self.relative_next,
            faults: self.faults,
            clock: Clock::system(),
            tls: None,
        }
    }
}

/// What is printed when the cloud runs: where it is, who may log in, and how to look.
fn greeting(cloud: &Running) -> String {
    let url = cloud.url();
    let root = url.trim_end_matches("v1/");
    let logins: Vec<String> = cloud.credentials().iter().map(|login| how_to(login, &url, root)).collect();
    format!("A simulated Alauda cloud listens on {url}\n{}\nStop it with Ctrl-C.\n", logins.join(""))
}

/// How one user logs in with curl.
fn how_to(login: &Login, url: &str, root: &str) -> String {
    let Login { username, password, namespace } = login;
    let field =
        |name: &str, value: &str| format!("--data-urlencode '{name}={}'", value.replace('\'', r"'\''"));
    let (user_field, password_field) = (field("username", username), field("password", password));
    format!(
        "
  username: {username}
  password: {password}

Try it:
  TOKEN=$(curl -s {url}generate-api-token/ {user_field} {password_field} | cut -d'\"' -f4)
  curl -s -H \"Authorization: Token $TOKEN\" '{url}services/{namespace}/?page=1'
  curl -s {root}_sim/counts
"
    )
}

fn after_help() -> String {
    format!(
        "{FAULTS}\n\n{}\n\nExamples:\n  caas-operator simulate alauda --services 200 --latency 50ms\n  \
         caas-operator simulate alauda --churn 0.2 --drift --fault metrics:503@0.05",
        admin::HELP
    )
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "write a number from 0 to 1".to_owned())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "write a whole number above 0".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    fn settings(arguments: &[&str]) -> Result<Settings, String> {
        let all = ["simulate", "alauda"].into_iter().chain(arguments.iter().copied());
        let program = Program::try_parse_from(all).map_err(|error| error.to_string())?;
        let Cloud::Alauda(args) = program.args.cloud;
        Ok(args.settings())
    }

    #[test]
    fn without_arguments_it_is_the_documented_cloud() {
        let settings = settings(&[]).expect("settings");
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8500");
        let account = &settings.accounts[0];
        assert_eq!((account.username.as_str(), account.services, account.instances), ("acme", 20, 5));
        assert!(settings.inline_instances && !settings.relative_next && !settings.drift);
    }

    #[test]
    fn latency_is_read_as_a_duration_or_in_milliseconds_but_not_both() {
        assert_eq!(settings(&["--latency", "1m30s"]).expect("settings").latency, Duration::from_secs(90));
        assert_eq!(settings(&["--latency-ms", "50"]).expect("settings").latency, Duration::from_millis(50));
        assert!(settings(&["--latency", "1s", "--latency-ms", "50"]).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_what_to_write() {
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
        let help = Program::try_parse_from(["simulate", "alauda", "--help"]).expect_err("help").to_string();
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
