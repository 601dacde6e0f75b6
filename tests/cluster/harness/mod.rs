//! A real Kubernetes control plane for the tests, and what they do with it. Knows nothing of the operator's insides: it
//! sees the operator as a program, a custom resource and HTTP.
//!
//! - [`ControlPlane`]: etcd, kube-apiserver and kube-controller-manager; `shared()` once a test binary, `own()` for tests
//!   that stop, restart or restore them
//! - [`cluster::Cluster`]: what a client of a control plane needs: kubeconfigs, clients, `kubectl`, namespaces, CRDs
//! - [`Namespace`]: a test's own
//! - [`Operator`]: the real binary, running
//! - [`Proxy`]: the API server with faults on demand
//! - [`audit::AuditLog`]: who requested what from the API server
//! - [`until`]: waits for a condition, and says what it last saw
//!
//! Everything started here ends with the test process however that ends; see [`scratch`] and [`process`].
//! It needs `sh`, and Linux for what it reads from `/proc`.

// A library for the tests beside it: not every part is used by every set of tests.
#![allow(dead_code, unused_imports)]

pub(crate) mod audit;
pub(crate) mod cluster;
mod control_plane;
pub(crate) mod crds;
mod faults;
mod keys;
pub(crate) mod kubeconfig;
pub(crate) mod kubectl;
mod namespace;
mod operator;
mod ports;
pub(crate) mod process;
mod programs;
mod proxy;
mod request;
pub(crate) mod scratch;
mod until;

pub(crate) use control_plane::ControlPlane;
pub(crate) use faults::{Calls, Fault, Times};
pub(crate) use kubeconfig::Kubeconfig;
pub(crate) use namespace::Namespace;
pub(crate) use operator::{Operator, OperatorOptions};
pub(crate) use ports::free_port;
pub(crate) use proxy::Proxy;
pub(crate) use until::{SOON, until};
