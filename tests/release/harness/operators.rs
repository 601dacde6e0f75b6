//! The real Prometheus Operator, beside the cluster rather than in it.

use anyhow::Context;
use tokio::net::TcpStream;

use super::PATIENCE;
use crate::control::crds;
use crate::control::process::{Process, Program};
use crate::control::{ControlPlane, until};
use crate::servers::server;

/// It has no flag for a kubeconfig, so it uses the administrator's rights through `kubectl proxy`.
const PROXY_PORT: u16 = 8001;

/// Prometheus Operator, running.
pub(crate) struct PrometheusOperator {
    _proxy: Process,
    _operator: Process,
}

/// What it needs to run a Prometheus. Its other four CRDs are not used here, and it runs without them.
const CRDS: [&str; 6] =
    ["prometheuses", "servicemonitors", "podmonitors", "probes", "scrapeconfigs", "prometheusrules"];

/// Installs its CRDs.
pub(crate) async fn install_definitions(plane: &ControlPlane) -> anyhow::Result<()> {
    let client = plane.client().await?;
    for crd in CRDS {
        let file = format!("monitoring.coreos.com_{crd}.yaml");
        crds::install(&client, &server("prometheus-operator-crds").join(file)).await?;
    }
    Ok(())
}

impl PrometheusOperator {
    /// Starts it; its CRDs are there.
    pub(crate) async fn start(plane: &ControlPlane) -> anyhow::Result<Self> {
        let start = |name: &str, args: Vec<String>, env: Vec<(String, String)>| {
            let binary = if name == "kubectl-proxy" { "kubectl" } else { name };
            let program = Program { name: name.to_owned(), path: server(binary), args, env };
            Process::start(plane.scratch(), &program).with_context(|| format!("starting {name}"))
        };
        let kubeconfig = plane.admin()?.path().display().to_string();
        let proxy = vec!["proxy".to_owned(), format!("--port={PROXY_PORT}")];
        let operator = vec![
            format!("-apiserver=http://127.0.0.1:{PROXY_PORT}"),
            "-prometheus-config-reloader=none".to_owned(),
            "-web.listen-address=127.0.0.1:8002".to_owned(),
        ];
        let proxy = start("kubectl-proxy", proxy, vec![("KUBECONFIG".to_owned(), kubeconfig)])?;
        // It ends where it does not find the API server.
        until(PATIENCE, "kubectl proxy to listen", async || {
            Ok(TcpStream::connect(("127.0.0.1", PROXY_PORT)).await.map(drop)?)
        })
        .await;
        Ok(Self { _proxy: proxy, _operator: start("prometheus-operator", operator, Vec::new())? })
    }
}
