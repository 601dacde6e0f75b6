//! What the pages show beside what the registry knows.

use std::fmt;
use std::sync::Arc;

use super::grafana::GrafanaUrl;
use crate::account::AccountId;

/// What stands in the status of an account, or nothing where it has none.
pub type ReadConditions = Arc<dyn Fn(&AccountId) -> Vec<AccountCondition> + Send + Sync>;

/// What the pages show beside the registry; by default nothing.
#[derive(Clone, Default)]
pub struct PageOptions {
    /// The conditions of accounts, where they are objects of a cluster.
    pub conditions: Option<ReadConditions>,
    /// A Grafana that has the dashboards of the chart.
    pub grafana: Option<GrafanaUrl>,
}

impl PageOptions {
    /// The conditions of this account, as its status has them.
    pub(super) fn conditions(&self, id: &AccountId) -> Vec<AccountCondition> {
        self.conditions.as_ref().map(|read| read(id)).unwrap_or_default()
    }
}

impl fmt::Debug for PageOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions = self.conditions.is_some();
        formatter
            .debug_struct("PageOptions")
            .field("conditions", &conditions)
            .field("grafana", &self.grafana)
            .finish()
    }
}

/// A condition as `kubectl describe` tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountCondition {
    /// Such as `Ready`.
    pub name: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// Since when it has this status, in seconds since the epoch.
    pub since: f64,
}
