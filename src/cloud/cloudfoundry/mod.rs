//! Cloud Foundry's API, version 3.
//!
//! `login` finds the login server and obtains tokens, `scope` looks up the organizations and spaces of the settings,
//! `wire` and `stats` know the URLs and the responses, `cycle` decides what one cycle requests and `client` sends it. A
//! service is a process of an application. What a cycle costs is in [`cost`].

mod client;
pub mod cost;
mod credentials;
mod cycle;
mod login;
mod lookup;
mod provider;
mod scope;
mod settings;
mod start_times;
mod state;
mod stats;
mod target;
mod wire;

pub use client::CloudFoundry;
pub use credentials::{CloudFoundryCredentials, Grant};
pub use provider::{CloudFoundryAccount, CloudFoundryProvider};
pub use state::STATUS_WORDS;
pub use target::Settings;
