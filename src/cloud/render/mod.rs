//! Render, API version 1.
//!
//! A metric of many services comes in one answer, so services are asked for in batches. `wire` and `series` know the
//! responses, `cycle` decides what one cycle requests and `client` sends it. [`requests_per_cycle`] says what a cycle costs.

mod batch;
mod client;
mod cost;
mod cycle;
mod instances;
mod kept;
mod listing;
mod metric;
mod names;
mod provider;
mod requests;
mod series;
mod settings;
mod status;
mod target;
mod urls;
mod wire;

pub use client::Render;
pub use cost::{mean_requests_per_cycle, requests_per_cycle};
pub use provider::{RenderAccount, RenderProvider};
pub use target::{Kind, Settings};
