//! A cloud account's containers as Prometheus metrics.
//!
//! The layers, lowest first. A module uses only what lies below it, and no two files depend on each other
//! (`tests/architecture` parses every file and fails otherwise):
//!
//! - [`hash`] recognizes values; [`telemetry`] own metrics and logs; [`schema`] durations, addresses and their rules;
//!   [`limits`] what the process may hold, shared by namespace; [`proxy`] connections through an HTTP proxy
//! - [`cloud`] providers' HTTP APIs; `simulator` simulated clouds, the other side of the wire
//! - [`api`] the custom resource
//! - [`account`] the validated plain value; [`exposition`] samples to immutable bodies
//! - [`collector`] one task per account, and the registry of their newest snapshots; [`replicas`] which replica collects
//!   which account
//! - [`otlp`] pushes what is served
//! - [`controller`] Kubernetes; [`standalone`] manifests from a folder; [`server`] HTTP
//! - [`cli`] one file per command

pub mod account;
pub mod api;
pub mod cli;
pub mod cloud;
pub mod collector;
pub mod controller;
pub mod exposition;
pub mod hash;
pub mod limits;
pub mod otlp;
pub mod proxy;
pub mod replicas;
pub mod schema;
pub mod server;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod standalone;
pub mod telemetry;
