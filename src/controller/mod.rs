//! The operator on Kubernetes: CaasAccounts reconciled into collected accounts, ServiceMonitors and statuses.
//!
//! A reconcile is a pipeline, a file a step: [`dereference`] reads the Secrets, `account::resolve` makes the
//! account (pure), [`build`] makes the ServiceMonitor (pure), [`apply`] writes it, [`status`] says what came of it.
//! [`triggers`] feed it; [`monitoring`] follows the ServiceMonitors, whose definition may come and go.
//! Never speaks HTTP to a cloud: that is the collector's.

mod apply;
mod build;
mod client;
mod context;
mod dereference;
mod events;
mod findings;
mod history;
mod monitoring;
mod owner;
mod reconcile;
mod run;
mod scope;
mod secrets;
mod status;
mod triggers;
mod turns;

pub use build::ScrapeService;
pub use client::client;
pub use context::Ownership;
pub use run::{Settings, run};
pub use scope::Scope;

/// The name under which everything is written, and by which events say who speaks.
pub const FIELD_MANAGER: &str = "caas-operator";
