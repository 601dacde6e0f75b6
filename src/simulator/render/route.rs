//! The routes of the API. Pure.

use percent_encoding::percent_decode_str;

use crate::simulator::operation::{Operation, Role};

const SERVICES: Operation = Operation { name: "services", counted_as: "services", role: Role::Inventory };
const INSTANCES: Operation = Operation { name: "instances", counted_as: "instances", role: Role::Inventory };
const PROJECTS: Operation = Operation { name: "projects", counted_as: "projects", role: Role::Inventory };
const ENVIRONMENTS: Operation =
    Operation { name: "environments", counted_as: "environments", role: Role::Inventory };
const OWNERS: Operation = Operation { name: "owners", counted_as: "owners", role: Role::Inventory };

/// All operations of the API.
pub(super) const OPERATIONS: &[Operation] = &[
    SERVICES,
    INSTANCES,
    PROJECTS,
    ENVIRONMENTS,
    OWNERS,
    of_metric(Metric::Cpu),
    of_metric(Metric::Memory),
    of_metric(Metric::CpuLimit),
    of_metric(Metric::MemoryLimit),
    of_metric(Metric::InstanceCount),
    of_metric(Metric::CpuTarget),
    of_metric(Metric::MemoryTarget),
    of_metric(Metric::HttpRequests),
    of_metric(Metric::HttpLatency),
    of_metric(Metric::Bandwidth),
    of_metric(Metric::Other),
];

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    Cpu,
    Memory,
    CpuLimit,
    MemoryLimit,
    InstanceCount,
    CpuTarget,
    MemoryTarget,
    HttpRequests,
    HttpLatency,
    Bandwidth,
    /// One of databases and disks, or the sources of the bandwidth: no service here has any.
    Other,
}

const fn of_metric(metric: Metric) -> Operation {
    let counted_as = match metric {
        Metric::Cpu => "cpu",
        Metric::Memory => "memory",
        Metric::CpuLimit => "cpu-limit",
        Metric::MemoryLimit => "memory-limit",
        Metric::InstanceCount => "instance-count",
        Metric::CpuTarget => "cpu-target",
        Metric::MemoryTarget => "memory-target",
        Metric::HttpRequests => "http-requests",
        Metric::HttpLatency => "http-latency",
        Metric::Bandwidth => "bandwidth",
        Metric::Other => "other-metrics",
    };
    Operation { name: "metrics", counted_as, role: Role::Other }
}

/// The resource of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v1/services`
    Services,
    /// `/v1/services/{id}`
    Service(String),
    /// `/v1/services/{id}/instances`
    Instances(String),
    /// `/v1/projects`
    Projects,
    /// `/v1/environments`
    Environments,
    /// `/v1/owners`
    Owners,
    /// `/v1/metrics/{name}`
    Metric(Metric),
    /// Anything else.
    Unknown,
}

impl Route {
    /// Reads a path.
    pub(super) fn of(path: &str) -> Self {
        let Some(path) = path.strip_prefix("/v1/") else { return Self::Unknown };
        let decode =
            |part: &str| percent_decode_str(part).decode_utf8().ok().map(std::borrow::Cow::into_owned);
        let parts: Option<Vec<String>> = path.split('/').map(decode).collect();
        let parts = parts.unwrap_or_default();
        match parts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["services"] => Self::Services,
            ["services", id] => Self::Service(id.to_owned()),
            ["services", id, "instances"] => Self::Instances(id.to_owned()),
            ["projects"] => Self::Projects,
            ["environments"] => Self::Environments,
            ["owners"] => Self::Owners,
            ["metrics", name] => metric(name).map_or(Self::Unknown, Self::Metric),
            _ => Self::Unknown,
        }
    }

    /// Its operation; `None` for what is not part of the API.
    pub(super) fn operation(&self) -> Option<Operation> {
        match self {
            Self::Services | Self::Service(_) => Some(SERVICES),
            Self::Instances(_) => Some(INSTANCES),
            Self::Projects => Some(PROJECTS),
            Self::Environments => Some(ENVIRONMENTS),
            Self::Owners => Some(OWNERS),
            Self::Metric(metric) => Some(of_metric(*metric)),
            Self::Unknown => None,
        }
    }
}

fn metric(name: &str) -> Option<Metric> {
    Some(match name {
        "cpu" => Metric::Cpu,
        "memory" => Metric::Memory,
        "cpu-limit" => Metric::CpuLimit,
        "memory-limit" => Metric::MemoryLimit,
        "instance-count" => Metric::InstanceCount,
        "cpu-target" => Metric::CpuTarget,
        "memory-target" => Metric::MemoryTarget,
        "http-requests" => Metric::HttpRequests,
        "http-latency" => Metric::HttpLatency,
        "bandwidth" => Metric::Bandwidth,
        "bandwidth-sources" | "disk-usage" | "disk-capacity" | "active-connections" | "replication-lag" => {
            Metric::Other
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_is_known() {
        for (path, route) in [
            ("/v1/services", Route::Services),
            ("/v1/services/srv-a", Route::Service("srv-a".to_owned())),
            ("/v1/services/srv-a/instances", Route::Instances("srv-a".to_owned())),
            ("/v1/projects", Route::Projects),
            ("/v1/environments", Route::Environments),
            ("/v1/owners", Route::Owners),
            ("/v1/metrics/cpu", Route::Metric(Metric::Cpu)),
            ("/v1/metrics/http-requests", Route::Metric(Metric::HttpRequests)),
            ("/v1/metrics/disk-usage", Route::Metric(Metric::Other)),
            ("/v1/metrics/entropy", Route::Unknown),
            ("/services", Route::Unknown),
            ("/v1/services/%ff/instances", Route::Unknown),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
