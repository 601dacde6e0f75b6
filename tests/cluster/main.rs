//! Tests against a real Kubernetes API server. One binary for all of them, so that the control plane starts once.
//!
//! They carry `#[ignore]`, since they need the real servers: `make test` builds those and runs these too.

#[cfg(test)]
#[path = "../support/authority.rs"]
mod authority;
#[cfg(test)]
#[allow(dead_code)]
#[path = "../support/blocks.rs"]
mod blocks;
#[cfg(test)]
#[allow(dead_code)]
#[path = "../support/connect_proxy.rs"]
mod connect_proxy;
#[cfg(test)]
mod harness;
#[cfg(test)]
#[allow(dead_code)]
#[path = "../support/otlp.rs"]
mod otlp_endpoint;
#[cfg(test)]
#[path = "../support/servers.rs"]
mod servers;
#[cfg(test)]
#[path = "../support/ways.rs"]
mod ways;

#[cfg(test)]
mod accounts_at_scale;
#[cfg(test)]
mod admission;
#[cfg(test)]
mod api_faults;
#[cfg(test)]
mod applied_again;
#[cfg(test)]
mod canaries;
#[cfg(test)]
mod collected;
#[cfg(test)]
mod crd;
#[cfg(test)]
mod documented;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod from_cluster;
#[cfg(test)]
mod harness_tests;
#[cfg(test)]
mod hostile_objects;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod monitors;
#[cfg(test)]
mod offline;
#[cfg(test)]
mod offline_metadata;
#[cfg(test)]
mod operator_fixture;
#[cfg(test)]
mod otlp;
#[cfg(test)]
mod own_ca;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod proxied;
#[cfg(test)]
mod reasons;
#[cfg(test)]
mod replaced_secrets;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod restarts;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod second_operator;
#[cfg(test)]
mod told;
#[cfg(test)]
mod writes;
