//! The pages in a real Chromium: tests click and type, and look at what a person sees.

// Clippy allows unwrap in tests, but not in the helpers of an integration test.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../support/accounts.rs"]
mod accounts;
mod browser;
mod clouds;
#[allow(dead_code)]
#[path = "../support/http.rs"]
mod http_support;
#[allow(dead_code)]
#[path = "../support/pages.rs"]
mod pages;
#[path = "../support/servers.rs"]
mod servers;

mod accessible;
mod filters;
mod keys;
mod live;
mod pictures;
mod problems;
mod speed;
