//! HTTP: hands out what the registry holds, and never triggers work.
//!
//! Two listeners: accounts, discovery, own metrics and the page on one; health on the other.

mod answer;
mod detail;
mod discovery;
mod health;
mod listen;
mod negotiate;
mod page;
mod readiness;
mod routes;
mod scrape;
mod slots;
mod views;

pub use health::health_router;
pub use listen::{Bound, Limits, ListenError, bind};
pub use readiness::{Condition, Readiness};
pub use routes::{Context, router};
