//! Installing and removing custom resource definitions, each waited for until discovery agrees.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition as Crd;
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams};

use super::until::{SOON, until};
use crate::servers::server;

/// Prometheus Operator's ServiceMonitor.
pub(crate) fn service_monitors() -> PathBuf {
    server("prometheus-operator-crds").join("monitoring.coreos.com_servicemonitors.yaml")
}

/// Prometheus Operator's `PrometheusRule`.
pub(crate) fn prometheus_rules() -> PathBuf {
    server("prometheus-operator-crds").join("monitoring.coreos.com_prometheusrules.yaml")
}

/// Prometheus Operator's `ScrapeConfig`.
pub(crate) fn scrape_configs() -> PathBuf {
    server("prometheus-operator-crds").join("monitoring.coreos.com_scrapeconfigs.yaml")
}

/// The project's own.
pub(crate) fn ours() -> anyhow::Result<Vec<PathBuf>> {
    in_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crds"))
}

/// The files of a folder that has nothing but definitions.
pub(crate) fn in_folder(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    ensure!(!files.is_empty(), "no CRD in {}", folder.display());
    Ok(files)
}

/// Applies a CRD and waits until its objects can be listed.
pub(crate) async fn install(client: &Client, file: &Path) -> anyhow::Result<()> {
    let crd = read(file)?;
    let name = crd.metadata.name.clone().context("the CRD has no name")?;
    let crds: Api<Crd> = Api::all(client.clone());
    crds.patch(&name, &PatchParams::apply("caas-operator-tests").force(), &Patch::Apply(&crd)).await?;
    until(SOON, &format!("the CRD {name} to be served"), async || {
        let status = crds.get_status(&name).await?.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let established = conditions.iter().any(|it| it.type_ == "Established" && it.status == "True");
        ensure!(established, "conditions {conditions:?}");
        ensure!(is_served(client, &crd).await?, "established, but not in discovery");
        Ok(())
    })
    .await;
    Ok(())
}

/// Deletes a CRD with all its objects and waits until it is out of discovery.
pub(crate) async fn remove(client: &Client, file: &Path) -> anyhow::Result<()> {
    let crd = read(file)?;
    let name = crd.metadata.name.clone().context("the CRD has no name")?;
    let crds: Api<Crd> = Api::all(client.clone());
    crds.delete(&name, &DeleteParams::default()).await?;
    until(SOON, &format!("the CRD {name} to be gone"), async || {
        ensure!(crds.get_opt(&name).await?.is_none(), "it is still there");
        ensure!(!is_served(client, &crd).await?, "deleted, but still in discovery");
        Ok(())
    })
    .await;
    Ok(())
}

async fn is_served(client: &Client, crd: &Crd) -> anyhow::Result<bool> {
    for version in crd.spec.versions.iter().filter(|version| version.served) {
        let resources =
            client.list_api_group_resources(&format!("{}/{}", crd.spec.group, version.name)).await;
        match resources {
            Ok(list) if list.resources.iter().any(|it| it.name == crd.spec.names.plural) => {}
            Ok(_) => return Ok(false),
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(false),
            Err(error) => bail!(error),
        }
    }
    Ok(true)
}

fn read(file: &Path) -> anyhow::Result<Crd> {
    let yaml = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    serde_saphyr::from_str(&yaml).with_context(|| format!("parsing {}", file.display()))
}
