//! A switch for each provider of which `standalone` collects a single account from the environment, and the policy on an
//! endpoint that was chosen so.

use std::net::IpAddr;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use url::{Host, Url};

use crate::account::Account;
use crate::cloud::http::Policy;
use crate::cloud::{Part, Provider, Providers, Variable};
use crate::standalone::variables::{self, VariablesError};

/// The provider whose switch is given, if any.
#[derive(Default)]
pub(super) struct SingleAccount(Option<&'static dyn Provider>);

/// The options that a switch excludes.
const OTHERS: [&str; 2] = ["manifests", "alauda_endpoint"];

fn providers() -> impl Iterator<Item = &'static dyn Provider> {
    Providers::ALL.iter().filter(|provider| !provider.variables().is_empty())
}

/// The switches, for a sentence.
pub(super) fn switches() -> String {
    providers().map(|provider| format!("--{}", provider.name())).collect::<Vec<_>>().join(", ")
}

impl Args for SingleAccount {
    fn augment_args(command: Command) -> Command {
        let names: Vec<&str> = providers().map(Provider::name).collect();
        providers().fold(command, |command, provider| {
            let name = provider.name();
            let others = OTHERS.into_iter().chain(names.iter().copied().filter(|other| *other != name));
            let settings = provider.variables().iter().filter(|one| matches!(one.part, Part::Setting(_)));
            let variables =
                std::iter::once(variables::credentials(provider)).chain(settings.map(Variable::shown));
            let help = format!(
                "Collect a single account of {} from the environment: {}",
                provider.title(),
                variables.collect::<Vec<_>>().join("; ")
            );
            command.arg(
                Arg::new(name)
                    .long(name)
                    .action(ArgAction::SetTrue)
                    .env(environment_name(name))
                    .conflicts_with_all(others)
                    .help(help),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The variable of a switch.
fn environment_name(name: &str) -> String {
    format!("CAAS_OPERATOR_{}", name.to_ascii_uppercase())
}

impl FromArgMatches for SingleAccount {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(providers().find(|provider| matches.get_flag(provider.name()))))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl SingleAccount {
    /// The account and the policy on endpoints, where a switch is given.
    pub(super) fn account(&self, policy: &Policy) -> Option<Result<(Account, Policy), VariablesError>> {
        let get = |name: &str| std::env::var(name).ok();
        Some(account(self.0?, get, policy))
    }
}

fn account(
    provider: &'static dyn Provider,
    get: impl Fn(&str) -> Option<String>,
    policy: &Policy,
) -> Result<(Account, Policy), VariablesError> {
    let names = provider.variables().iter().filter(|one| one.part == Part::Setting("endpoint"));
    let is_chosen =
        names.flat_map(|one| one.names).any(|name| get(name).is_some_and(|value| !value.is_empty()));
    if !is_chosen {
        let account =
            variables::account(Providers::ALL, provider, get, |endpoint| policy.check_endpoint(endpoint))?;
        return Ok((account, policy.clone()));
    }
    let account = variables::account(Providers::ALL, provider, get, |_| Ok(()))?;
    let policy = chosen(policy, account.connection.provider.endpoint());
    Ok((account, policy))
}

/// The policy for an endpoint that the person who starts the program names: it may have a private address, and plain HTTP
/// where it is written so.
///
/// Any URL is allowed, not this endpoint alone: the API may name the server to log in at, as that of Cloud Foundry does.
/// Which servers those may be is the provider's to judge.
pub(super) fn chosen(policy: &Policy, endpoint: &Url) -> Policy {
    let is_plain = endpoint.scheme() == "http";
    if is_plain && !is_local(endpoint) {
        tracing::warn!(%endpoint, "the credentials are sent over plain HTTP and can be intercepted; use https");
    }
    Policy {
        allow_endpoints: Vec::new(),
        allow_cidrs: ["0.0.0.0/0", "::/0"].iter().filter_map(|all| all.parse().ok()).collect(),
        allow_http: policy.allow_http || is_plain,
        proxy: policy.proxy.clone(),
    }
}

/// Whether the URL's host is this machine.
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::error::Refusal;

    fn policy(endpoint: Option<&str>) -> Policy {
        let provider = Providers::ALL.get("digitalocean").unwrap();
        let get = |name: &str| match name {
            "DIGITALOCEAN_TOKEN" => Some("canary".to_owned()),
            "DIGITALOCEAN_API_URL" => endpoint.map(str::to_owned),
            _ => None,
        };
        account(provider, get, &Policy::default()).unwrap().1
    }

    #[test]
    fn plain_http_is_allowed_only_where_the_environment_names_such_an_endpoint() {
        let local = "http://127.0.0.1:8502/".parse().unwrap();
        assert!(policy(None).check_endpoint(&local).is_err());
        assert!(policy(Some("https://api.example.com")).check_endpoint(&local).is_err());
        assert_eq!(policy(Some("http://127.0.0.1:8502")).check_endpoint(&local), Ok(()));
    }

    #[test]
    fn the_login_server_of_a_chosen_api_is_allowed_whatever_else_is_not() {
        let provider = Providers::ALL.get("cloudfoundry").unwrap();
        let get = |name: &str| {
            let value = match name {
                "CF_API_URL" => "https://api.sys.example.com",
                "CF_USERNAME" => "ops",
                "CF_PASSWORD" => "canary",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let only = vec!["https://caas.example.com/".parse().unwrap()];
        let policy = Policy { allow_endpoints: only, ..Policy::default() };
        let policy = account(provider, get, &policy).unwrap().1;
        let check = |url: &str| policy.check_endpoint(&url.parse().unwrap());
        assert_eq!(check("https://api.sys.example.com/"), Ok(()));
        assert_eq!(check("https://login.sys.example.com/"), Ok(()));
        assert_eq!(check("https://10.20.0.7/"), Ok(()), "an installation of one's own");
        assert_eq!(check("http://login.sys.example.com/"), Err(Refusal::NotHttps));
    }

    #[test]
    fn the_documentation_names_every_switch_with_its_variables() {
        let page = include_str!("../../docs/standalone.md");
        for provider in providers() {
            let switch = format!("| `--{}` |", provider.name());
            let row = page.lines().find(|line| line.starts_with(&switch));
            let row = row.unwrap_or_else(|| panic!("docs/standalone.md has no row for {switch}"));
            for name in provider.variables().iter().flat_map(|variable| variable.names) {
                assert!(row.contains(&format!("`{name}`")), "{switch} lacks {name}");
            }
        }
    }

    #[test]
    fn the_switches_exclude_each_other_and_the_other_ways_to_name_accounts() {
        let command = || {
            let manifests = Arg::new("manifests").long("manifests");
            let endpoint = Arg::new("alauda_endpoint").long("alauda-endpoint");
            SingleAccount::augment_args(Command::new("standalone").args([manifests, endpoint]))
        };
        for (arguments, fits) in [
            (&["standalone", "--digitalocean"][..], true),
            (&["standalone", "--digitalocean", "--cloudfoundry"], false),
            (&["standalone", "--digitalocean", "--manifests", "x"], false),
            (&["standalone", "--cloudfoundry", "--alauda-endpoint", "x"], false),
        ] {
            assert_eq!(command().try_get_matches_from(arguments).is_ok(), fits, "{arguments:?}");
        }
        let matches = command().try_get_matches_from(["standalone", "--digitalocean"]).unwrap();
        assert_eq!(SingleAccount::from_arg_matches(&matches).unwrap().0.unwrap().name(), "digitalocean");
    }
}
