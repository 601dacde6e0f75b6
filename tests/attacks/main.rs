//! Attacks by tenants, clouds and clients on the program as a process, and a bystander that must not notice them.
//!
//! Each attack runs `standalone` on manifests, or the operator on a real API server, in a control group of 512 MiB where
//! the machine lets a test make one, else with that much as `--memory-limit`. It measures the peak of memory, the slowest
//! probe, the slowest scrape of the bystander's metrics, and the longest time between two of its collections.
//! `CAAS_TEST_PROGRAM` names an optimized build to attack: `make test` takes the image's program, `cargo test` one without
//! optimization, with fewer objects. The bounds leave room for a busy machine, unless `CAAS_TEST_ALONE` is set, as
//! `make attacks` does.

// Clippy allows unwrap in tests, but not in the helpers of an integration test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/process.rs"]
#[allow(dead_code)]
mod process;

#[path = "../cluster/harness/mod.rs"]
mod kubernetes;
#[path = "../support/raw_http.rs"]
mod raw_http;
#[path = "../support/servers.rs"]
mod servers;

mod by_answers;
mod by_clients;
mod by_clouds;
mod by_objects;
mod by_tenants;
mod harness;
