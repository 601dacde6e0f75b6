//! What a simulated Railway is called, how it is used, and what the demo shows of it.

use std::sync::Arc;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::cloud::{OPERATIONS, RailwayCloud};
use super::options::{AccountOptions, Railway};
use super::projects::project_token;
use crate::simulator::account::AccountSettings;
use crate::simulator::accounts::Accounts;
use crate::simulator::operation::Operation;
use crate::simulator::provider::{Demo, SimulatedCloud, SimulatedProvider};
use crate::simulator::sessions::Login;

/// The manifest of the demo.
const MANIFESTS: &[(&str, &str)] = &[("umbrella.yaml", include_str!("../../../examples/demo/umbrella.yaml"))];

impl SimulatedProvider for Railway {
    fn name(&self) -> &'static str {
        "railway"
    }

    fn title(&self) -> &'static str {
        "Railway"
    }

    fn about(&self) -> &'static str {
        "A simulated Railway (GraphQL API) over HTTP; prints the tokens it takes"
    }

    fn examples(&self) -> &'static str {
        "  caas-operator simulate railway --services 40 --latency 50ms
  caas-operator simulate railway --hourly-limit 10000 --fault metrics:reported-error@0.05"
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
        let (token, project_token) = (&login.password, project_token(login));
        format!(
            "
  token: {token}
  projectToken: {project_token}

Try it:
  curl -s -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \\
    -d '{{\"query\": \"{{ projects {{ edges {{ node {{ id name }} }} }} }}\"}}' {url}graphql/v2
  curl -s {url}_sim/counts
"
        )
    }

    fn demo(&self) -> Option<Demo> {
        let account = AccountSettings {
            password: Some("demo-token-of-umbrella".to_owned()),
            services: 6,
            instances: 3,
            applications: 4,
            ..AccountSettings::new("umbrella")
        };
        Some(Demo { accounts: vec![account], manifests: MANIFESTS, endpoint: "http://127.0.0.1:8503/" })
    }

    fn start(&self, accounts: Arc<Accounts>, _: &'static str) -> Box<dyn SimulatedCloud> {
        Box::new(RailwayCloud::new(self.clone(), accounts))
    }
}
