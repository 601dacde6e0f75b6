//! DigitalOcean App Platform, API version 2.
//!
//! `wire` and `points` know the URLs and the responses, `cycle` decides what one cycle requests and `client` sends it.
//! An app's components are services, its name their application. [`requests_per_cycle`] says what a cycle costs.

mod app;
mod client;
mod cost;
mod cycle;
mod facts;
mod kept;
mod points;
mod provider;
mod requests;
mod settings;
mod status;
mod target;
mod urls;
mod wire;

pub use client::DigitalOcean;
pub use cost::requests_per_cycle;
pub use provider::{DigitalOceanAccount, DigitalOceanProvider};
pub use target::{Kind, Settings};
