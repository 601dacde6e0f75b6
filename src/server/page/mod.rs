//! The HTML pages: what is ill, services, accounts, and one page for each account and service.
//!
//! Server-rendered from the snapshots that the registry holds, so that they work without the script, which only keeps them
//! current and adds keys. Addresses are relative: the pages work below any prefix, such as that of the API server's proxy.
//! [`frame`] is what all pages share, [`parts`] and [`table`] what stands in them, [`answer`] how they are sent.

mod account;
mod accounts;
mod answer;
mod assets;
mod frame;
mod grafana;
mod gzip;
mod options;
mod overview;
mod parts;
mod promql;
mod service;
mod services;
mod sparkline;
mod table;

pub(super) use account::account;
pub(super) use accounts::accounts;
pub(super) use answer::{Made, answer};
pub(super) use assets::{answer as asset, icon};
pub use grafana::GrafanaUrl;
pub use options::{AccountCondition, PageOptions, ReadConditions};
pub(super) use overview::overview;
pub(super) use service::service;
pub(super) use services::services;
