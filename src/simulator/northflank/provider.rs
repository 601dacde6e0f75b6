//! What a simulated Northflank is called, how it is used, and what the demo shows of it.

use std::sync::Arc;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::cloud::NorthflankCloud;
use super::options::{AccountOptions, Northflank};
use super::route::OPERATIONS;
use crate::simulator::account::AccountSettings;
use crate::simulator::accounts::Accounts;
use crate::simulator::operation::Operation;
use crate::simulator::provider::{Demo, SimulatedCloud, SimulatedProvider};
use crate::simulator::sessions::Login;

/// The manifest of the demo.
const MANIFESTS: &[(&str, &str)] = &[("tyrell.yaml", include_str!("../../../examples/demo/tyrell.yaml"))];

impl SimulatedProvider for Northflank {
    fn name(&self) -> &'static str {
        "northflank"
    }

    fn title(&self) -> &'static str {
        "Northflank"
    }

    fn about(&self) -> &'static str {
        "A simulated Northflank (API v1) over HTTP; prints the token it takes"
    }

    fn examples(&self) -> &'static str {
        "  caas-operator simulate northflank --services 40 --latency 50ms
  caas-operator simulate northflank --cpu-unit pct --ended-containers 5m --fault metrics:503@0.05"
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
        account.namespace = Some(options.team);
        account.password = options.token;
        Ok(Arc::new(Self::from_arg_matches(matches)?))
    }

    fn instructions(&self, login: &Login, url: &str) -> String {
        let Login { password: token, namespace: team, .. } = login;
        format!(
            "
  token: {token}
  team: {team}

Try it:
  curl -s -H 'Authorization: Bearer {token}' '{url}v1/projects'
  curl -s -H 'Authorization: Bearer {token}' '{url}v1/projects/default-project/services/kibana/metrics?queryType=single&metricTypes=cpu&metricTypes=memory'
  curl -s {url}_sim/counts
"
        )
    }

    fn demo(&self) -> Option<Demo> {
        let account = AccountSettings {
            password: Some("demo-token-of-tyrell".to_owned()),
            services: 4,
            instances: 3,
            applications: 2,
            ..AccountSettings::new("tyrell")
        };
        Some(Demo { accounts: vec![account], manifests: MANIFESTS, endpoint: "http://127.0.0.1:8506/" })
    }

    fn start(&self, accounts: Arc<Accounts>, _scheme: &'static str) -> Box<dyn SimulatedCloud> {
        Box::new(NorthflankCloud::new(self.clone(), accounts))
    }
}
