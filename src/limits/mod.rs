//! What the process may hold and do at once, and how namespaces share it. Knows no Kubernetes, no cloud and no HTTP.
//!
//! Tenants, clouds and clients choose how much work and memory they cause. Whatever they cause is taken from a total that
//! is fixed at start, and no namespace can take it from the others: [`shares`] for what is waited for, [`workers`] for CPU
//! work.

pub mod shares;
pub mod workers;

pub use shares::{Share, SharedPermit, Shares};
pub use workers::{WorkerShare, Workers};
