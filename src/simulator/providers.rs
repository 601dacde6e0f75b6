//! The list of all clouds that can be simulated. A new one is its folder and its line here.

use std::sync::Arc;

use super::alauda::Alauda;
use super::cloudfoundry::CloudFoundry;
use super::digitalocean::DigitalOcean;
use super::northflank::Northflank;
use super::provider::SimulatedProvider;
use super::railway::Railway;
use super::render::Render;
use super::settings::Settings;

/// Every provider whose cloud can be simulated, in the order in which commands list them.
pub fn providers() -> Vec<Arc<dyn SimulatedProvider>> {
    vec![
        Arc::new(Alauda::default()),
        Arc::new(CloudFoundry::default()),
        Arc::new(DigitalOcean::default()),
        Arc::new(Railway::default()),
        Arc::new(Northflank::default()),
        Arc::new(Render::default()),
    ]
}

impl Default for Settings {
    /// The cloud that most tests use.
    fn default() -> Self {
        Alauda::default().into()
    }
}
