//! Northflank, API version 1.
//!
//! `wire`, `metrics` and `units` know the responses, `urls` the requests; `cycle` decides what one cycle requests and
//! `client` sends it. A project is the application of its services, a container is an instance. The API allows few
//! requests, so what changes seldom is asked for seldom and `kept` meanwhile. [`requests_per_cycle`] says what a cycle costs.

mod client;
mod cost;
mod cycle;
mod facts;
mod kept;
mod listing;
mod metrics;
mod provider;
mod service;
mod settings;
mod status;
mod target;
mod units;
mod urls;
mod wire;

pub use client::Northflank;
pub use cost::requests_per_cycle;
pub use provider::{NorthflankAccount, NorthflankProvider};
pub use target::Settings;
