//! The control plane's servers and their flags. Knows where files lie, nothing of when a server starts or stops.

use std::net::Ipv4Addr;

use super::process::Program;
use super::scratch::Scratch;
use crate::servers::server;

/// Where one control plane listens; its servers keep it over restarts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// The API server's address. On loopback it is in no Service, since Endpoints refuse such addresses.
    pub(crate) address: Ipv4Addr,
    /// etcd's port on loopback, for its clients.
    pub(crate) etcd: u16,
    /// The API server's port.
    pub(crate) api_server: u16,
}

/// etcd's data in the folder.
pub(crate) const ETCD_DATA: &str = "etcd";

/// The controllers that the tests rely on; each one left out is memory and calls saved.
const CONTROLLERS: [&str; 11] = [
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
    "deployment-controller",
    "replicaset-controller",
    "endpointslice-controller",
    "endpoints-controller",
    "disruption-controller",
    "pod-garbage-collector-controller",
];

/// etcd of one member. Its data may be lost when the machine fails, not when it is killed.
pub(crate) fn etcd(scratch: &Scratch, ports: Ports) -> Program {
    let url = format!("http://127.0.0.1:{}", ports.etcd);
    let args = vec![
        format!("--data-dir={}", scratch.file(ETCD_DATA).display()),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    Program { name: "etcd".to_owned(), path: server("etcd"), args, env: Vec::new() }
}

/// The API server: tokens and RBAC, everything audited.
pub(crate) fn api_server(scratch: &Scratch, ports: Ports) -> Program {
    let file = |name: &str| scratch.file(name).display().to_string();
    let args = vec![
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        format!("--bind-address={}", ports.address),
        format!("--advertise-address={}", ports.address),
        format!("--secure-port={}", ports.api_server),
        format!("--cert-dir={}", file("certs")),
        format!("--tls-cert-file={}", file("server.crt")),
        format!("--tls-private-key-file={}", file("server.key")),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        format!("--endpoint-reconciler-type={}", if ports.address.is_loopback() { "none" } else { "lease" }),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("service-account.pub")),
        format!("--service-account-signing-key-file={}", file("service-account.key")),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        "--allow-privileged".to_owned(),
        // Without it a stopping API server waits a minute for its watchers to leave.
        "--shutdown-watch-termination-grace-period=1s".to_owned(),
        format!("--audit-policy-file={}", file("audit-policy.json")),
        format!("--audit-log-path={}", file("audit.log")),
        // MiB: one file, never rotated, so that a table of it is whole.
        "--audit-log-maxsize=100000".to_owned(),
    ];
    Program { name: "kube-apiserver".to_owned(), path: server("kube-apiserver"), args, env: Vec::new() }
}

/// The controller manager, without a port.
pub(crate) fn controller_manager(scratch: &Scratch) -> Program {
    let file = |name: &str| scratch.file(name).display().to_string();
    let args = vec![
        format!("--kubeconfig={}", file("system-kube-controller-manager.kubeconfig")),
        "--secure-port=0".to_owned(),
        "--leader-elect=false".to_owned(),
        format!("--root-ca-file={}", file("ca.crt")),
        format!("--controllers={}", CONTROLLERS.join(",")),
        // The default of 20 calls a second is meant for a cluster that lasts longer than a test.
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
    ];
    let path = server("kube-controller-manager");
    Program { name: "kube-controller-manager".to_owned(), path, args, env: Vec::new() }
}
