//! A simulated DigitalOcean App Platform: the part of API version 2 that reads apps and their metrics, as its published
//! specification describes it.

mod apps;
mod cloud;
mod limits;
mod metrics;
mod options;
mod problem;
mod provider;
mod route;
mod sizes;
mod wire;

pub use options::{DigitalOcean, NoData, RestartCount};
