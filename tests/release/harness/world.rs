//! Everything that a release's tests need, once per process, started in the right order.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Context;
use serde_json::{Value, json};

use super::cloud::{self, Cloud};
use super::helm::{chart, helm};
use super::hosts::{Hosts, mount_empty, mount_over};
use super::once::Once;
use super::operators::{PrometheusOperator, install_definitions};
use super::pod::Surroundings;
use super::prometheus::{self, Prometheus};
use super::shell::typed;
use super::{kubelet, network, pushes, services, timeout};
use crate::control::ControlPlane;
use crate::control::kubectl::Ran;

/// Namespace of the release.
pub(crate) const NAMESPACE: &str = "caas-system";

/// A cluster with a node, a network and a cloud.
pub(crate) struct World {
    /// The control plane.
    pub(crate) plane: ControlPlane,
    /// Names.
    pub(crate) hosts: Arc<Hosts>,
    /// The cloud at `caas.example.com`, with users `acme`, `globex` and `initech`.
    pub(crate) cloud: Cloud,
    complaints: Arc<Mutex<Vec<String>>>,
    operator: Once<PrometheusOperator>,
    prometheus: Once<Prometheus>,
    release: Once<()>,
}

impl World {
    /// The environment of this process, started by the first test that needs it.
    pub(crate) async fn here() -> &'static Self {
        static HERE: Once<World> = Once::new();
        HERE.get("the world", Self::start).await
    }

    async fn start() -> anyhow::Result<Self> {
        let binary = own_places()?;
        network::begin().await?;
        let plane = ControlPlane::own_at(network::NODE).await?;
        let hosts = Arc::new(Hosts::begin(plane.scratch().path())?);
        services::start(plane.client().await?, Arc::clone(&hosts)).await?;
        let client = plane.client().await?;
        let complaints = Arc::default();
        let scratch = Arc::clone(plane.scratch());
        let node = Surroundings { client, scratch, binary, complaints: Arc::clone(&complaints) };
        kubelet::start(node).await?;
        let users = vec![cloud::user("acme", 5), cloud::user("globex", 3), cloud::user("initech", 2)];
        let cloud = Cloud::start(&hosts, "caas", 10, users).await?;
        // A Pod that does not pass `restricted` is refused in the operator's namespace.
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
        plane.apply(&namespace.to_string()).await?;
        Ok(Self {
            plane,
            hosts,
            cloud,
            complaints,
            operator: Once::new(),
            prometheus: Once::new(),
            release: Once::new(),
        })
    }

    /// Prometheus Operator and its CRDs, started by the first call.
    pub(crate) async fn with_prometheus_operator(&self) {
        let start = async || {
            install_definitions(&self.plane).await?;
            prometheus::install_rights(self).await?;
            PrometheusOperator::start(&self.plane).await
        };
        self.operator.get("Prometheus Operator", start).await;
    }

    /// The Prometheus that selects all ServiceMonitors and rules.
    pub(crate) async fn prometheus(&self) -> &Prometheus {
        let start = async || {
            self.with_prometheus_operator().await;
            prometheus::install(self, "all", json!({})).await?;
            Prometheus::run(self, "all", 0).await
        };
        self.prometheus.get("Prometheus", start).await
    }

    /// The release as most people install it, from the first call on, and the Prometheus that scrapes it. It pushes as well, so
    /// that what is counted of pushes is there.
    pub(crate) async fn released(&self) -> &Prometheus {
        let prometheus = self.prometheus().await;
        self.release
            .get("the release", async || {
                let values = json!({
                    "clouds": {"allowedCIDRs": [cloud::NETWORK]},
                    "log": {"level": "info,caas_operator=debug", "format": "text"},
                    "serviceMonitor": {"enabled": true, "interval": "5s", "scrapeTimeout": "5s",
                        "labels": {"shards": "two"}},
                    "prometheusRule": {"enabled": true, "alerts": {
                        "CaasAccountNotCollected": {"for": "0s"},
                        "CaasCredentialsRejected": {"for": "0s"},
                    }},
                    "dashboards": {"enabled": true},
                    "otlp": {"endpoint": pushes::take().await?, "interval": "5s"},
                });
                self.deploy("install", "caas-operator", NAMESPACE, &chart(), &values).await;
                Ok(())
            })
            .await;
        prometheus
    }

    /// Helm as the administrator, with values for what installs, upgrades or renders.
    pub(crate) async fn helm(&self, words: &[&str], values: &Value) -> Ran {
        let admin = self.plane.admin().expect("the administrator's kubeconfig");
        helm(&admin, words, values).await.expect("helm")
    }

    /// Runs commands of a page as the administrator in a folder.
    pub(crate) async fn typed(&self, commands: &str, folder: &Path) -> Ran {
        let admin = self.plane.admin().expect("the administrator's kubeconfig");
        typed(&admin, commands, folder).await.expect("a shell")
    }

    /// `helm install` or `helm upgrade` of a chart's folder as a release, waiting for its Pod.
    ///
    /// # Panics
    /// If it fails, with what Kubernetes and the operator report.
    pub(crate) async fn deploy(
        &self,
        verb: &str,
        release: &str,
        namespace: &str,
        chart: &Path,
        values: &Value,
    ) {
        let chart = chart.display().to_string();
        let timeout = timeout();
        let mut words = vec![verb, release, &chart, "--namespace", namespace, "--wait", &timeout];
        if verb == "install" {
            words.push("--create-namespace");
        }
        let ran = self.helm(&words, values).await;
        if !ran.ok {
            let objects =
                ["get", "deployments,replicasets,pods,events", "-o", "wide", "--namespace", namespace];
            let shown = self.plane.kubectl(&objects).await.map(|ran| ran.stdout).unwrap_or_default();
            panic!("helm {verb}: {}{}\n{shown}\n{}", ran.stdout, ran.stderr, self.log("caas-operator"));
        }
    }

    /// The files of a `ServiceAccount`, and where a program looks for them.
    pub(crate) async fn service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> anyhow::Result<(PathBuf, String)> {
        let folder = self.plane.scratch().file(&self.plane.unique("service-account"));
        fs::create_dir_all(&folder)?;
        let token = self.plane.kubectl(&["--namespace", namespace, "create", "token", name]).await?;
        fs::write(folder.join("token"), token.expect_ok().trim())?;
        fs::write(folder.join("ca.crt"), &self.plane.keys().ca)?;
        fs::write(folder.join("namespace"), namespace)?;
        Ok((folder, "/var/run/secrets/kubernetes.io/serviceaccount".to_owned()))
    }

    /// Asserts that no container exited by itself or failed its liveness probe, and that each exited with 0 on SIGTERM.
    ///
    /// # Panics
    /// If one did.
    pub(crate) fn no_complaints(&self) {
        let complaints = self.complaints.lock().expect("complaints");
        assert!(complaints.is_empty(), "{complaints:?}");
    }

    /// The end of the log of all programs that have a word in their names.
    pub(crate) fn log(&self, word: &str) -> String {
        let mut logs = String::new();
        for entry in fs::read_dir(self.plane.scratch().path()).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if name.contains(word) && path.extension().is_some_and(|extension| extension == "log") {
                let log = fs::read_to_string(path).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let end = lines.get(lines.len().saturating_sub(30)..).unwrap_or_default();
                logs = format!("{logs}--- {name}\n{}\n", end.join("\n"));
            }
        }
        logs
    }
}

/// A file system in memory with the operator's binary in it, readable by every
/// user. Our temporary files lie there too, so that they are removed with it.
fn own_places() -> anyhow::Result<PathBuf> {
    for place in ["/run", "/var/run"] {
        let place = Path::new(place);
        if !place.is_symlink() {
            mount_empty(place)?;
        }
    }
    let binary = PathBuf::from("/run/caas-operator");
    fs::write(&binary, "")?;
    mount_over(Path::new(env!("CARGO_BIN_EXE_caas-operator")), &binary).context("the operator's binary")?;
    Ok(binary)
}
