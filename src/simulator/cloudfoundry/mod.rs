//! A simulated installation of Cloud Foundry: its API, version 3, and its login server (UAA), at one address.
//!
//! Written from the documentation of the API and the source of its server, and not from the client.

mod cloud;
mod inventory;
mod limit;
mod options;
mod problem;
mod provider;
mod route;
mod uaa;
mod wire;

pub use options::CloudFoundry;
