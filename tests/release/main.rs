//! The chart installed by the real Helm into a real control plane, its Pods run as processes, its ServiceMonitors turned
//! into configuration by the real Prometheus Operator, and the queries answered by the real Prometheus.
//!
//! All of it runs in its own network namespace: addresses can be chosen freely, and nothing outlives the
//! tests. They need the real servers, root (or a user namespace) and iproute2: `make test` runs them.

use std::process::ExitCode;

#[cfg(test)]
#[path = "../support/authority.rs"]
mod authority;
#[cfg(test)]
#[path = "../support/blocks.rs"]
mod blocks;
#[cfg(test)]
#[allow(clippy::duplicate_mod, reason = "the control plane of the cluster's tests, in a binary of its own")]
#[path = "../cluster/harness/mod.rs"]
mod control;
#[cfg(test)]
#[path = "../support/grafana.rs"]
mod grafana;
#[cfg(test)]
mod harness;
#[cfg(test)]
#[path = "../support/namespaces.rs"]
mod namespaces;
#[cfg(test)]
#[path = "../support/servers.rs"]
mod servers;
#[cfg(test)]
#[path = "../support/ways.rs"]
mod ways;

#[cfg(test)]
mod alerts;
#[cfg(test)]
mod dashboards;
#[cfg(test)]
mod discovery;
#[cfg(test)]
mod documented;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod manifests;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod scrape_config;
#[cfg(test)]
mod selection;
#[cfg(test)]
mod series;
#[cfg(test)]
mod top;

fn main() -> ExitCode {
    harness::run()
}
