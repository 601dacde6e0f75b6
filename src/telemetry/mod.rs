//! What the program tells of itself: its own metrics and its logs.
//!
//! The lowest piece of the house: it knows nothing of clouds, accounts or Kubernetes.

pub mod logs;
pub mod metrics;
mod registrar;

pub use metrics::{AccountMeter, Metrics};
pub use registrar::Described;
