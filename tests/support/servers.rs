//! Paths of the real servers that some tests run; `make servers` builds them.

use std::path::PathBuf;

/// The binaries in envtest's folder, which `KUBEBUILDER_ASSETS` names.
const ENVTEST: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];

/// The binary of a real server or tool, such as `promtool`, or the folder `prometheus-operator-crds`.
///
/// Looked for in the folder that `KUBEBUILDER_ASSETS` names where envtest brings it, else in the one that `CAAS_TEST_SERVERS`
/// names, else in `target/servers` of the project.
pub(crate) fn server(name: &str) -> PathBuf {
    let envtest = std::env::var_os("KUBEBUILDER_ASSETS").filter(|_| ENVTEST.contains(&name));
    let folder = envtest
        .or_else(|| std::env::var_os("CAAS_TEST_SERVERS"))
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/servers"), PathBuf::from);
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: build it with `make servers`", path.display());
    path
}
