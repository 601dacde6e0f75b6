//! One task an account: queries its cloud on its own schedule and puts snapshots into the registry.
//!
//! The data flow: [`supervisor`] turns desired accounts into running [`task`]s; a task runs its [`cycle`]s by its
//! [`schedule`], queries the cloud through the client that [`connect`] made, merges the response by the rules of
//! [`staleness`], judges it in [`health`], publishes a snapshot with the last hour ([`history`]) into the [`registry`] and has [`report`] decide whether
//! the outcome is reported as a [`transition`]. What the cloud [`demanded`] goes with the snapshot. Knows no Kubernetes and serves nothing.

pub mod connect;
mod cycle;
pub mod demanded;
#[cfg(test)]
mod fake;
pub mod health;
pub mod history;
mod inherited;
mod pace;
#[cfg(test)]
mod paced_tests;
pub mod registry;
mod rendering;
mod report;
mod schedule;
mod staleness;
mod state;
pub mod supervisor;
mod task;
pub mod transition;
mod waiting;

pub use connect::{ClientHistory, Connect, HttpClouds};
pub use health::Health;
pub use inherited::Inherited;
pub use registry::Registry;
pub use supervisor::Supervisor;
pub use task::collect_once;
pub use transition::Transition;
