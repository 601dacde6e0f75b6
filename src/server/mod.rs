//! The HTTP server: serves what the registry holds and never triggers work.
//!
//! Two listeners: one for accounts, discovery, own metrics and the HTML page; one for health.

mod detail;
mod discovery;
mod health;
mod host;
mod listen;
mod negotiate;
mod page;
mod readiness;
mod routes;
mod sample;
mod scrape;
mod views;

pub use health::health_router;
pub use host::{AllowedHosts, HostName, HostNameError};
pub use listen::{Bound, Limits, ListenError, bind};
pub use readiness::{Condition, Readiness};
pub use routes::{Context, router};
