//! What a simulated Cloud Foundry is called, how it is used, and what the demo shows of it.

use std::sync::Arc;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::cloud::Installation;
use super::options::{AccountOptions, CloudFoundry};
use super::route::OPERATIONS;
use crate::simulator::account::AccountSettings;
use crate::simulator::accounts::Accounts;
use crate::simulator::operation::Operation;
use crate::simulator::provider::{Demo, SimulatedCloud, SimulatedProvider};
use crate::simulator::sessions::Login;

/// The manifests of the demo.
const MANIFESTS: &[(&str, &str)] = &[("initech.yaml", include_str!("../../../examples/demo/initech.yaml"))];

impl SimulatedProvider for CloudFoundry {
    fn name(&self) -> &'static str {
        "cloudfoundry"
    }

    fn title(&self) -> &'static str {
        "Cloud Foundry"
    }

    fn about(&self) -> &'static str {
        "A simulated Cloud Foundry (v3 API and login server) over HTTP; prints the credentials it takes"
    }

    fn examples(&self) -> &'static str {
        "  caas-operator simulate cloudfoundry --services 200 --latency 50ms
  caas-operator simulate cloudfoundry --churn 0.2 --rate-limit 2000 --fault stats:503@0.05"
    }

    fn base_path(&self) -> &'static str {
        "/"
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
        account.namespace = options.organization;
        account.username = options.username;
        account.password = options.password;
        Ok(Arc::new(Self::from_arg_matches(matches)?))
    }

    fn instructions(&self, login: &Login, url: &str) -> String {
        let Login { username, password, namespace } = login;
        let field =
            |name: &str, value: &str| format!("--data-urlencode '{name}={}'", value.replace('\'', r"'\''"));
        let (user, secret) = (field("username", username), field("password", password));
        format!(
            "
  username: {username}
  password: {password}
  organization: {namespace}
The same as clientId and clientSecret. Try it:
  TOKEN=$(curl -s -u cf: {url}oauth/token -d grant_type=password {user} {secret} | cut -d'\"' -f4)
  curl -s -H \"Authorization: bearer $TOKEN\" '{url}v3/apps?per_page=2&include=space,space.organization'
  curl -s {url}_sim/counts
"
        )
    }

    fn demo(&self) -> Option<Demo> {
        let account = AccountSettings {
            password: Some("demo-password-of-initech".to_owned()),
            services: 9,
            instances: 3,
            applications: 4,
            ..AccountSettings::new("initech")
        };
        Some(Demo { accounts: vec![account], manifests: MANIFESTS, endpoint: "http://127.0.0.1:8501/" })
    }

    fn start(&self, accounts: Arc<Accounts>, scheme: &'static str) -> Box<dyn SimulatedCloud> {
        Box::new(Installation::new(self.clone(), accounts, scheme))
    }
}
