//! The program as users run it: a process, real HTTP, and simulated clouds that behave and misbehave.
//!
//! One binary, because linking takes longer than the tests.

// Clippy allows unwrap in tests, but not in the helpers of an integration test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/authority.rs"]
mod authority;
#[allow(dead_code)]
#[path = "../support/blocks.rs"]
mod blocks;
#[path = "../support/connect_proxy.rs"]
mod connect_proxy;
#[path = "../support/exposition.rs"]
mod exposition;
#[allow(dead_code)]
#[path = "../support/grafana.rs"]
mod grafana;
#[allow(dead_code)]
#[path = "../support/otlp.rs"]
mod otlp_endpoint;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/raw_http.rs"]
mod raw_http;
#[path = "../support/servers.rs"]
mod servers;

mod all_clouds;
mod check;
mod churn;
mod collected;
mod commands;
mod demo;
mod documents;
mod edits;
mod faults;
mod files;
mod from_cluster;
mod heads;
mod hostile;
mod kubeconfig;
mod moved;
mod otlp;
mod outages;
mod pages;
mod prometheus;
mod proxies;
mod scrapers;
mod secrets;
mod standalone;
mod starts;
mod support;
mod switches;
mod top;
