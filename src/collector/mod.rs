//! One task an account: asks its cloud on its own schedule and puts snapshots into the registry.
//!
//! The way through: [`supervisor`] turns desired accounts into running [`task`]s; a task wakes by its
//! [`schedule`], asks the cloud that [`connect`] made for it, merges the answer by the rules of
//! [`staleness`], judges it in [`health`] and publishes a snapshot into the [`registry`].
//! Knows no Kubernetes and serves nothing.

pub mod connect;
#[cfg(test)]
mod fake;
pub mod health;
pub mod registry;
mod schedule;
mod staleness;
pub mod supervisor;
mod task;

pub use connect::{Connect, HttpClouds};
pub use health::Health;
pub use registry::Registry;
pub use supervisor::{Supervisor, Transition};
pub use task::collect_once;
