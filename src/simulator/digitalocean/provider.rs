//! What a simulated DigitalOcean is called, how it is used, and what the demo shows of it.

use std::sync::Arc;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::cloud::DigitalOceanCloud;
use super::options::{AccountOptions, DigitalOcean};
use super::route::OPERATIONS;
use crate::simulator::account::AccountSettings;
use crate::simulator::accounts::Accounts;
use crate::simulator::operation::Operation;
use crate::simulator::provider::{Demo, SimulatedCloud, SimulatedProvider};
use crate::simulator::sessions::Login;

/// The manifest of the demo.
const MANIFESTS: &[(&str, &str)] = &[("hooli.yaml", include_str!("../../../examples/demo/hooli.yaml"))];

impl SimulatedProvider for DigitalOcean {
    fn name(&self) -> &'static str {
        "digitalocean"
    }

    fn title(&self) -> &'static str {
        "DigitalOcean"
    }

    fn about(&self) -> &'static str {
        "A simulated DigitalOcean App Platform (API v2) over HTTP; prints the token it takes"
    }

    fn examples(&self) -> &'static str {
        "  caas-operator simulate digitalocean --services 40 --latency 50ms
  caas-operator simulate digitalocean --scopes app:read --fault metrics:reported-error@0.05"
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
        account.password = options.token;
        Ok(Arc::new(Self::from_arg_matches(matches)?))
    }

    fn instructions(&self, login: &Login, url: &str) -> String {
        let token = &login.password;
        format!(
            "
  token: {token}

Try it:
  curl -s -H 'Authorization: Bearer {token}' '{url}v2/apps?per_page=200'
  curl -s {url}_sim/counts
"
        )
    }

    fn demo(&self) -> Option<Demo> {
        let account = AccountSettings {
            password: Some("demo-token-of-hooli".to_owned()),
            services: 6,
            instances: 3,
            applications: 6,
            ..AccountSettings::new("hooli")
        };
        Some(Demo { accounts: vec![account], manifests: MANIFESTS, endpoint: "http://127.0.0.1:8502/" })
    }

    fn start(&self, accounts: Arc<Accounts>, scheme: &'static str) -> Box<dyn SimulatedCloud> {
        Box::new(DigitalOceanCloud::new(self.clone(), accounts, scheme))
    }
}
