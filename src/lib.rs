//! A cloud account's containers as Prometheus metrics.
//!
//! The floors of the house, lowest first; a module uses only what stands below it
//! (`tests/architecture` reads the `use` lines and fails on an arrow that runs up):
//!
//! 1. [`telemetry`] own metrics and logs; [`schema`] durations, addresses and their rules; [`cloud`] providers' HTTP
//!    APIs; [`api`] the custom resource; [`simulator`] simulated clouds, the other side of the wire
//! 2. [`account`] the validated plain value; [`exposition`] samples to immutable bodies
//! 3. [`collector`] one task an account, and the registry of their newest snapshots
//! 4. [`controller`] Kubernetes; [`standalone`] manifests from a folder; [`server`] HTTP
//! 5. [`cli`] one file a command

pub mod account;
pub mod api;
pub mod cli;
pub mod cloud;
pub mod collector;
pub mod controller;
pub mod exposition;
pub mod schema;
pub mod server;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod standalone;
pub mod telemetry;
