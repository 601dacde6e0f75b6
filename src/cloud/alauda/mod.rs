//! Alauda's v1 API.
//!
//! `wire` and `points` know the URLs and the responses, `login` obtains a token, `cycle` decides what one cycle requests
//! and `client` sends it. A cycle costs one request a page of services and one a running instance, and a login where
//! there is no token.

mod client;
mod cycle;
mod login;
mod points;
mod provider;
mod settings;
mod status;
mod target;
mod wire;

pub use client::Alauda;
pub use provider::{AlaudaAccount, AlaudaProvider};
pub use status::STATUS_WORDS;
pub use target::Settings;
