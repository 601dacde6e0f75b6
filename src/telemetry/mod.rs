//! What the program reports about itself: its own metrics and its logs.
//!
//! The lowest layer: it knows nothing of clouds, accounts' settings or Kubernetes.

mod account;
pub mod logs;
pub mod metrics;
mod otlp;
pub mod pages;
mod registrar;

pub use account::{AccountMeter, InFlight};
pub use metrics::Metrics;
pub use registrar::Described;
