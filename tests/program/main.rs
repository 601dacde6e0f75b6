//! The program as people run it: as a process, over real HTTP, against simulated clouds that behave and misbehave.
//!
//! One binary for all of it, since linking takes longer than the tests.

// Clippy's leave to unwrap in tests does not reach the helpers of an integration test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/exposition.rs"]
mod exposition;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/servers.rs"]
mod servers;

mod check;
mod churn;
mod collected;
mod commands;
mod demo;
mod documents;
mod edits;
mod faults;
mod hostile;
mod outages;
mod prometheus;
mod secrets;
mod standalone;
mod starts;
mod support;
