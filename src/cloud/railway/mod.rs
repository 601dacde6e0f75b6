//! Railway, whose API is GraphQL: each request is a query that is posted to one URL.
//!
//! `queries` has the queries, `answer`, `page`, `wire`, `usage` and `http_traffic` read what they return, `cycle` decides what one
//! cycle requests and `client` sends it. A service of a project exists once in each of its environments, so project and
//! environment together are the application. [`requests_per_cycle`] says what a cycle costs.

mod answer;
mod client;
mod cost;
mod cycle;
mod environment;
mod facts;
mod http_traffic;
mod page;
mod provider;
mod queries;
mod requests;
mod settings;
mod state;
mod target;
mod usage;
mod wire;

pub use client::Railway;
pub use cost::{http_requests, mean_requests_per_cycle, requests_per_cycle};
pub use provider::{RailwayAccount, RailwayProvider};
pub use target::{Settings, TokenKind};
