//! A simulated Railway: its GraphQL API as the public schema has it, as far as it tells of projects, environments, services
//! and their measurements.
//!
//! `graphql` reads queries and selects what they ask for, `projects` says what exists, `wire`, `metrics` and `traffic` build
//! the objects, `limits` counts requests.

mod cloud;
mod graphql;
mod limits;
mod metrics;
mod options;
mod problem;
mod projects;
mod provider;
mod roots;
mod traffic;
mod wire;

pub use options::{Gigabyte, Railway, ReplicaCount, ResetFormat, TokenRefusal, TrafficValue};
