//! What of an account is rendered, and how.

/// Settings of one rendering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether the `caas_service_…` and `caas_instance_…` families are exposed; `caas_account_…` always are.
    pub modern: bool,
    /// Whether there is a legacy body.
    pub legacy: bool,
    /// The most series in all bodies together, legacy ones included.
    pub max_series: usize,
    /// Whether values that a cloud measured carry the time of their measurement.
    pub source_timestamps: bool,
}
