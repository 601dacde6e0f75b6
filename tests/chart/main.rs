//! The chart as people get it: which values it refuses, what it renders, which alerts fire, what its dashboards ask for.

// Clippy's leave to unwrap and panic in tests does not reach the helpers of an integration test.
#![allow(clippy::unwrap_used, clippy::panic)]

mod alerts;
mod chart;
mod dashboards;
#[path = "../support/grafana.rs"]
mod grafana;
mod manifests;
mod refusals;
#[path = "../support/servers.rs"]
mod servers;
#[path = "../support/ways.rs"]
mod ways;
