//! What a simulated Alauda cloud is called, how it is used, and what the demo shows of it.

use std::sync::Arc;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::cloud::AlaudaCloud;
use super::options::{AccountOptions, Alauda};
use super::route::OPERATIONS;
use crate::simulator::account::AccountSettings;
use crate::simulator::accounts::Accounts;
use crate::simulator::operation::Operation;
use crate::simulator::provider::{Demo, SimulatedCloud, SimulatedProvider};
use crate::simulator::sessions::Login;

/// The manifests of the demo.
const MANIFESTS: &[(&str, &str)] = &[
    ("acme.yaml", include_str!("../../../examples/demo/acme.yaml")),
    ("globex.yaml", include_str!("../../../examples/demo/globex.yaml")),
];

/// The users that these manifests collect: name, password, services, instances of each.
const USERS: [(&str, &str, usize, usize); 2] =
    [("acme", "demo-password-of-acme", 20, 5), ("globex", "demo-password-of-globex", 8, 3)];

impl SimulatedProvider for Alauda {
    fn name(&self) -> &'static str {
        "alauda"
    }

    fn title(&self) -> &'static str {
        "Alauda"
    }

    fn about(&self) -> &'static str {
        "A simulated Alauda cloud (v1 API) over HTTP; prints the credentials it takes"
    }

    fn examples(&self) -> &'static str {
        "  caas-operator simulate alauda --services 200 --latency 50ms
  caas-operator simulate alauda --churn 0.2 --drift --fault metrics:503@0.05"
    }

    fn base_path(&self) -> &'static str {
        "/v1/"
    }

    fn operations(&self) -> &'static [Operation] {
        OPERATIONS
    }

    fn add_options(&self, command: Command) -> Command {
        AccountOptions::augment_args(Self::augment_args(command))
    }

    fn with_options(
        &self,
        matches: &ArgMatches,
        account: &mut AccountSettings,
    ) -> Result<Arc<dyn SimulatedProvider>, clap::Error> {
        let options = AccountOptions::from_arg_matches(matches)?;
        account.applications = options.applications;
        account.username = options.username;
        account.password = options.password;
        Ok(Arc::new(Self::from_arg_matches(matches)?))
    }

    fn instructions(&self, login: &Login, url: &str) -> String {
        let Login { username, password, namespace } = login;
        let root = url.trim_end_matches("v1/");
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

    fn demo(&self) -> Option<Demo> {
        let account =
            |(username, password, services, instances): (&str, &str, usize, usize)| AccountSettings {
                password: Some(password.to_owned()),
                services,
                instances,
                ..AccountSettings::new(username)
            };
        Some(Demo {
            accounts: USERS.into_iter().map(account).collect(),
            manifests: MANIFESTS,
            endpoint: "http://127.0.0.1:8500/v1/",
        })
    }

    fn start(&self, accounts: Arc<Accounts>, scheme: &'static str) -> Box<dyn SimulatedCloud> {
        Box::new(AlaudaCloud { options: *self, accounts, scheme })
    }
}
