//! The client of clouds against real HTTP servers that misbehave: one test for each fault.

// clippy.toml lets tests unwrap, but does not see that their helpers are tests as well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cloudfoundry;
mod connections;
mod digitalocean;
mod faults;
mod guard;
#[allow(dead_code)]
#[path = "../support/http.rs"]
mod http_support;
mod inventory;
mod limits;
mod logs;
mod northflank;
mod railway;
mod rate;
mod render;
mod session;
mod shares;
mod support;
mod tls;
