//! What a simulated Render is called, how it is used, and what the demo shows of it.

use std::sync::Arc;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::cloud::RenderCloud;
use super::options::{AccountOptions, Render};
use super::route::OPERATIONS;
use crate::simulator::account::AccountSettings;
use crate::simulator::accounts::Accounts;
use crate::simulator::operation::Operation;
use crate::simulator::provider::{Demo, SimulatedCloud, SimulatedProvider};
use crate::simulator::sessions::Login;

/// The manifest of the demo.
const MANIFESTS: &[(&str, &str)] = &[("vandelay.yaml", include_str!("../../../examples/demo/vandelay.yaml"))];

impl SimulatedProvider for Render {
    fn name(&self) -> &'static str {
        "render"
    }

    fn title(&self) -> &'static str {
        "Render"
    }

    fn about(&self) -> &'static str {
        "A simulated Render (API v1) over HTTP; prints the token it takes"
    }

    fn examples(&self) -> &'static str {
        "  caas-operator simulate render --services 40 --latency 50ms
  caas-operator simulate render --memory-unit GB --fault metrics:status=500@0.05"
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
        account.password = options.token;
        Ok(Arc::new(Self::from_arg_matches(matches)?))
    }

    fn instructions(&self, login: &Login, url: &str) -> String {
        let token = &login.password;
        format!(
            "
  token: {token}

Try it:
  curl -s -H 'Authorization: Bearer {token}' '{url}services?limit=100&includePreviews=false'
  curl -s {root}/_sim/counts
",
            root = url.trim_end_matches("/v1/")
        )
    }

    fn demo(&self) -> Option<Demo> {
        let account = AccountSettings {
            password: Some("demo-token-of-vandelay".to_owned()),
            services: 6,
            instances: 3,
            applications: 4,
            ..AccountSettings::new("vandelay")
        };
        Some(Demo { accounts: vec![account], manifests: MANIFESTS, endpoint: "http://127.0.0.1:8505/v1/" })
    }

    fn start(&self, accounts: Arc<Accounts>, _scheme: &'static str) -> Box<dyn SimulatedCloud> {
        Box::new(RenderCloud::new(self.clone(), accounts))
    }
}
