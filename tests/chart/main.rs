//! The chart: which values it rejects, what it renders, which alerts fire, what its dashboards query, and the
//! pages that people read.

// Clippy allows unwrap and panic in test functions, but not in helpers of an integration test.
#![allow(clippy::unwrap_used, clippy::panic)]

mod alerts;
mod artifact_hub;
mod chart;
mod dashboards;
#[path = "../support/grafana.rs"]
mod grafana;
mod manifests;
mod nulls;
mod pages;
mod refusals;
#[path = "../support/servers.rs"]
mod servers;
#[path = "../support/ways.rs"]
mod ways;
