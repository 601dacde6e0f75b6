//! What the chart renders stays the same when it is applied again, by any client: so Argo CD, Flux and people with kubectl see
//! an installation that is in sync, and no conflict.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::ControlPlane;
use crate::harness::kubectl::{Ran, kubectl};
use crate::servers::server;
use crate::ways::ways;

/// The namespaces that the ways to install the chart name.
const NAMESPACES: [&str; 6] = ["caas-system", "team-a", "team-b", "clouds", "123", "1e3"];

/// What the chart renders in one of the ways.
async fn rendered(way: Option<&Path>) -> anyhow::Result<String> {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/caas-operator");
    let mut helm = Command::new(server("helm"));
    helm.args(["template", "caas-operator"]).arg(chart).args(["--namespace", "caas-system"]);
    if let Some(file) = way {
        helm.arg("--values").arg(file);
    }
    Ok(Ran::from(helm.env("HELM_NO_PLUGINS", "1").output().await?).expect_ok())
}

/// The administrator's `kubectl`, for one set of manifests.
struct Manifests<'a> {
    plane: &'a ControlPlane,
    text: String,
}

impl Manifests<'_> {
    async fn kubectl(&self, words: &[&str]) -> anyhow::Result<Ran> {
        let words = [words, &["--filename", "-"]].concat();
        Ok(kubectl(&self.plane.admin()?, &words, &self.text).await)
    }

    async fn apply(&self, manager: &str) -> anyhow::Result<()> {
        let manager = format!("--field-manager={manager}");
        let ran = self.kubectl(&["apply", "--server-side", "--validate=strict", &manager]).await?;
        ensure!(ran.ok, "{}", ran.stderr);
        Ok(())
    }

    /// The version of each object, which any change raises.
    async fn versions(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let got = self.kubectl(&["get", "--output", "json"]).await?.expect_ok();
        let list: Value = serde_json::from_str(&got)?;
        let version = |object: &Value| {
            let (kind, metadata) = (object["kind"].as_str()?, &object["metadata"]);
            let name = format!("{kind} {}/{}", metadata["namespace"], metadata["name"]);
            Some((name, metadata["resourceVersion"].as_str()?.to_owned()))
        };
        list["items"]
            .as_array()
            .context("a list")?
            .iter()
            .map(|it| version(it).context("an object"))
            .collect()
    }
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn every_object_of_the_chart_stays_as_it_is_when_applied_again() -> anyhow::Result<()> {
    let mut plane = ControlPlane::own().await?;
    // Of all changes, only those by who applies are left.
    plane.stop_controllers().await?;
    plane.install_service_monitors().await?;
    plane.install_prometheus_rules().await?;
    plane.install_scrape_configs().await?;
    for namespace in NAMESPACES {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        plane.apply(&object.to_string()).await?;
    }
    let mut seen = 0;
    for way in ways() {
        let manifests = Manifests { plane: &plane, text: rendered(way.as_deref()).await? };
        manifests.apply("argocd-controller").await?;
        if manifests.text.contains("kind: CustomResourceDefinition") {
            // The API server writes its status once it serves it.
            let words = ["wait", "--for=condition=Established", "crd/caasaccounts.caas-operator.io"];
            plane.kubectl(&words).await?.expect_ok();
        }
        let first = manifests.versions().await?;

        manifests.apply("argocd-controller").await?;
        assert_eq!(manifests.versions().await?, first, "{way:?}: a second apply changes something");

        for how in [&["diff"][..], &["diff", "--server-side", "--field-manager=argocd-controller"]] {
            let ran = manifests.kubectl(how).await?;
            assert!(ran.ok && ran.stdout.is_empty(), "{way:?}: {how:?}: {}{}", ran.stdout, ran.stderr);
        }

        let other = manifests.apply("kustomize-controller").await;
        assert!(other.is_ok(), "{way:?}: another manager is in conflict: {other:?}");
        manifests.kubectl(&["delete"]).await?.expect_ok();
        seen += first.len();
    }
    println!("{seen} objects of {} ways stay as they are", ways().len());
    assert!(seen > 60, "{seen}");
    Ok(())
}
