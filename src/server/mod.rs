//! The HTTP server: serves what the registry holds, or what the replica answers that collects an account, and never triggers
//! work.
//!
//! Two listeners: one for accounts, discovery, own metrics and the HTML pages; one for health, on a thread of its own.

mod connections;
mod context;
mod detail;
mod discovery;
mod everything;
mod figures;
mod filter;
mod forward;
mod found;
mod health;
mod host;
mod json;
mod kept_body;
mod lines;
mod list;
mod listen;
mod liveness;
mod negotiate;
mod objects;
mod page;
mod problems;
mod query;
mod readiness;
mod response_body;
mod routes;
mod rows;
mod sample;
mod scrape;
mod selection;
mod sort;
mod told;
pub(crate) mod units;
mod usage;
mod views;

pub use context::Context;
pub use health::health_router;
pub use host::{AllowedHosts, HostName, HostNameError};
pub use listen::{Bound, Limits, ListenError, bind};
pub use liveness::Liveness;
pub use page::{AccountCondition, GrafanaUrl, PageOptions, ReadConditions};
pub use readiness::{Condition, Readiness};
pub use routes::router;
pub(crate) use sort::Sort;
