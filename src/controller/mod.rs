//! The operator on Kubernetes: CaasAccounts reconciled into collected accounts, ServiceMonitors and statuses.
//!
//! [`reconcile`] runs the pipeline, a file a step: [`dereference`] reads the Secrets, [`collect`] resolves the account and
//! hands it to the collector, [`apply`] writes the ServiceMonitor that [`build`] makes, [`status`] reports the outcome.
//! [`triggers`] feed it, and [`run`] wires it. [`api_call`] and [`watch`] are how the API server is reached, [`causes`] and
//! [`outage`] are how its failures are told, [`watched`] is what stays of its objects, [`charged`] bounds their sum, and
//! [`first_list`] shows them as they come.
//! [`lease`] is how several replicas know each other.
//! Never speaks HTTP to a cloud: that is the collector's task.

mod api_call;
mod apply;
mod build;
mod causes;
mod charged;
mod charged_monitors;
mod client;
mod collect;
mod dereference;
mod events;
mod findings;
mod first_list;
mod initial;
mod lease;
mod monitors;
mod outage;
mod owner;
mod reconcile;
mod references;
mod relist;
mod retries;
mod run;
mod scope;
mod secret_reads;
mod service_monitor;
mod status;
mod statuses;
mod triggers;
mod watch;
mod watched;

pub use api_call::{ApiError, call};
pub use build::ScrapeService;
pub use causes::causes;
pub use client::client;
pub use initial::Startup;
pub use lease::ReplicaLease;
pub use run::{Settings, run};
pub use scope::Scope;
pub use statuses::Statuses;

/// The field manager of all that is written, and the reporting controller of events.
pub const FIELD_MANAGER: &str = "caas-operator";
