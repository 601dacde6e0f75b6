//! The providers that this program has: the one place that lists them.

use super::alauda::AlaudaProvider;
use super::cloudfoundry::CloudFoundryProvider;
use super::digitalocean::DigitalOceanProvider;
use super::northflank::NorthflankProvider;
use super::provider::Provider;
use super::railway::RailwayProvider;
use super::render::RenderProvider;

/// A list of providers. Everything that depends on the list takes it as an argument, so that a test can pass another.
#[derive(Clone, Copy)]
pub struct Providers(&'static [&'static dyn Provider]);

impl Providers {
    /// All providers of this program.
    pub const ALL: Self = Self(&[
        &AlaudaProvider,
        &CloudFoundryProvider,
        &DigitalOceanProvider,
        &RailwayProvider,
        &NorthflankProvider,
        &RenderProvider,
    ]);

    /// A list of these providers.
    pub const fn new(providers: &'static [&'static dyn Provider]) -> Self {
        Self(providers)
    }

    /// The provider of this name.
    pub fn get(self, name: &str) -> Option<&'static dyn Provider> {
        self.iter().find(|provider| provider.name() == name)
    }

    /// All of them, in the order of the list.
    pub fn iter(self) -> impl Iterator<Item = &'static dyn Provider> {
        self.0.iter().copied()
    }

    /// Their names, for a sentence.
    pub fn names(self) -> String {
        self.iter().map(Provider::name).collect::<Vec<_>>().join(", ")
    }
}
