//! What a cluster has besides its control plane, for the tests of a release: a kubelet, a network, Services that route to
//! Pods, Helm, Prometheus Operator, Prometheus, and a simulated cloud. Knows nothing of the operator's internals: it sees
//! a chart, a program, a custom resource and HTTP.
//!
//! - [`world::World`]: all of it, once a process
//! - [`kubelet`], [`pod`], [`container`], [`volumes`], [`probes`], [`status`]: Pods as processes
//! - [`network`], [`services`], [`hosts`]: addresses, Services and names
//! - [`pushes`]: what takes OTLP
//! - [`terminal`], [`public_clouds`]: a person who follows the pages, and the clouds that these name
//! - [`helm`], [`shell`], [`operators`], [`prometheus`], [`tenant`], [`cloud`]: what uses it
//! - [`inside`], [`trials`]: how the tests are run in their own namespace

pub(crate) mod cloud;
mod container;
pub(crate) mod helm;
pub(crate) mod hosts;
mod inside;
mod kubelet;
mod network;
pub(crate) mod once;
pub(crate) mod operators;
mod pod;
mod probes;
pub(crate) mod prometheus;
pub(crate) mod public_clouds;
mod pushes;
mod services;
pub(crate) mod shell;
mod status;
pub(crate) mod tenant;
pub(crate) mod terminal;
pub(crate) mod trials;
mod volumes;
pub(crate) mod world;

pub(crate) use trials::run;

/// Long enough for anything that happens by itself on a busy machine, such as a login after two minutes of silence; a
/// condition that holds ends the wait at once.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);

/// The same for `kubectl` and Helm.
pub(crate) fn timeout() -> String {
    format!("--timeout={}s", PATIENCE.as_secs())
}
