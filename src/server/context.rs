//! What the handlers of the main port read.

use std::sync::Arc;

use super::host::AllowedHosts;
use super::page::PageOptions;
use crate::account::AccountId;
use crate::collector::Registry;
use crate::replicas::peers::Peers;
use crate::telemetry::Metrics;

/// What the handlers read.
#[derive(Clone)]
pub struct Context {
    /// The accounts with their newest snapshots.
    pub registry: Arc<Registry>,
    /// The process's own metrics.
    pub metrics: Arc<Metrics>,
    /// An account whose series `/metrics` serves after the process's own: the one account of `standalone`.
    pub append_account: Option<AccountId>,
    /// The names under which clients may ask for this server.
    pub allowed_hosts: AllowedHosts,
    /// What the pages show besides.
    pub page: PageOptions,
    /// The other replicas.
    pub peers: Peers,
}
