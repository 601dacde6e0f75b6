//! One task an account: asks its cloud on its own schedule and puts snapshots into the registry.
//!
//! Knows no Kubernetes and serves nothing.

pub mod health;
pub mod registry;
