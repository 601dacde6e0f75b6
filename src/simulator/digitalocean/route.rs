//! The routes of the API. Pure.

use percent_encoding::percent_decode_str;

use crate::simulator::operation::{Operation, Role};

const APPS: Operation = Operation { name: "apps", counted_as: "apps", role: Role::Inventory };
const INSTANCES: Operation = Operation { name: "instances", counted_as: "instances", role: Role::Inventory };
const HEALTH: Operation = Operation { name: "health", counted_as: "health", role: Role::Inventory };
const SIZES: Operation = Operation { name: "sizes", counted_as: "sizes", role: Role::Other };
const CPU: Operation = Operation { name: "metrics", counted_as: "cpu_percentage", role: Role::Other };
const MEMORY: Operation = Operation { name: "metrics", counted_as: "memory_percentage", role: Role::Other };
const RESTARTS: Operation = Operation { name: "metrics", counted_as: "restart_count", role: Role::Other };

/// All operations of the API.
pub(super) const OPERATIONS: &[Operation] = &[APPS, INSTANCES, HEALTH, SIZES, CPU, MEMORY, RESTARTS];

/// A metric of apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    Cpu,
    Memory,
    Restarts,
}

/// The resource of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v2/apps`
    Apps,
    /// `/v2/apps/{id}`
    App(String),
    /// `/v2/apps/{id}/instances`
    Instances(String),
    /// `/v2/apps/{id}/health`
    Health(String),
    /// `/v2/apps/tiers/instance_sizes`
    Sizes,
    /// `/v2/apps/tiers/instance_sizes/{slug}`
    Size(String),
    /// `/v2/monitoring/metrics/apps/{metric}`
    Metric(Metric),
    /// Anything else.
    Unknown,
}

impl Route {
    /// Reads a path.
    pub(super) fn of(path: &str) -> Self {
        let Some(path) = path.strip_prefix("/v2/") else { return Self::Unknown };
        let decode =
            |part: &str| percent_decode_str(part).decode_utf8().ok().map(std::borrow::Cow::into_owned);
        let parts: Option<Vec<String>> = path.split('/').map(decode).collect();
        let parts = parts.unwrap_or_default();
        match parts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["apps"] => Self::Apps,
            ["apps", "tiers", "instance_sizes"] => Self::Sizes,
            ["apps", "tiers", "instance_sizes", slug] => Self::Size(slug.to_owned()),
            ["apps", id] => Self::App(id.to_owned()),
            ["apps", id, "instances"] => Self::Instances(id.to_owned()),
            ["apps", id, "health"] => Self::Health(id.to_owned()),
            ["monitoring", "metrics", "apps", "cpu_percentage"] => Self::Metric(Metric::Cpu),
            ["monitoring", "metrics", "apps", "memory_percentage"] => Self::Metric(Metric::Memory),
            ["monitoring", "metrics", "apps", "restart_count"] => Self::Metric(Metric::Restarts),
            _ => Self::Unknown,
        }
    }

    /// Its operation; `None` for what is not part of the API.
    pub(super) fn operation(&self) -> Option<Operation> {
        match self {
            Self::Apps | Self::App(_) => Some(APPS),
            Self::Instances(_) => Some(INSTANCES),
            Self::Health(_) => Some(HEALTH),
            Self::Sizes | Self::Size(_) => Some(SIZES),
            Self::Metric(Metric::Cpu) => Some(CPU),
            Self::Metric(Metric::Memory) => Some(MEMORY),
            Self::Metric(Metric::Restarts) => Some(RESTARTS),
            Self::Unknown => None,
        }
    }

    /// The scope that it needs.
    pub(super) fn scope(&self) -> &'static str {
        if matches!(self, Self::Metric(_)) { "monitoring:read" } else { "app:read" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_of_the_specification_is_known() {
        for (path, route) in [
            ("/v2/apps", Route::Apps),
            ("/v2/apps/4f6c", Route::App("4f6c".to_owned())),
            ("/v2/apps/4f6c/instances", Route::Instances("4f6c".to_owned())),
            ("/v2/apps/4f6c/health", Route::Health("4f6c".to_owned())),
            ("/v2/apps/tiers/instance_sizes", Route::Sizes),
            ("/v2/apps/tiers/instance_sizes/basic-xs", Route::Size("basic-xs".to_owned())),
            ("/v2/monitoring/metrics/apps/cpu_percentage", Route::Metric(Metric::Cpu)),
            ("/v2/monitoring/metrics/apps/memory_percentage", Route::Metric(Metric::Memory)),
            ("/v2/monitoring/metrics/apps/restart_count", Route::Metric(Metric::Restarts)),
            ("/v2/droplets", Route::Unknown),
            ("/apps", Route::Unknown),
            ("/v2/apps/%ff/health", Route::Unknown),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
