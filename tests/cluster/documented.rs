//! Commands of the installation's page, run as they stand there.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;
use tokio::process::Command;

use crate::blocks::commands;
use crate::harness::ControlPlane;
use crate::harness::kubectl::Ran;
use crate::servers::server;

/// Runs commands as a person at a shell in the project's folder does.
async fn shell(plane: &ControlPlane, commands: &str) -> anyhow::Result<Ran> {
    let kubeconfig = plane.admin()?;
    let folders =
        ["kubectl", "helm"].map(|tool| server(tool).parent().map(Path::to_path_buf).unwrap_or_default());
    let path = format!("{}:{}:/usr/bin:/bin", folders[0].display(), folders[1].display());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", commands])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PATH", path)
        .env("KUBECONFIG", kubeconfig.path())
        .env("HOME", kubeconfig.path().parent().unwrap_or(Path::new("/")))
        .output()
        .await?;
    Ok(output.into())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_commands_for_selected_namespaces_install_all_that_the_operator_needs_there() -> anyhow::Result<()>
{
    let plane = ControlPlane::own().await?;
    let mut blocks = commands("docs/install.md", "For selected namespaces only")?.into_iter();
    let commands = blocks.find(|block| block.contains("helm template")).context("no helm template")?;

    let ran = shell(&plane, &commands).await?;

    assert!(ran.ok, "{commands}{}{}", ran.stdout, ran.stderr);
    let words = ["get", "deployments,services,serviceaccounts,roles,rolebindings", "--all-namespaces"];
    let words = [&words[..], &["-l", "app.kubernetes.io/part-of=caas-operator", "-o", "json"]].concat();
    let list: Value = serde_json::from_str(&plane.kubectl(&words).await?.expect_ok())?;
    let mut found: Vec<_> = list["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| format!("{} {}", it["kind"], it["metadata"]["namespace"]).replace('"', ""))
        .collect();
    found.sort();
    let expected = [
        "Deployment caas-system",
        "Role caas-system",
        "Role team-a",
        "Role team-b",
        "RoleBinding caas-system",
        "RoleBinding team-a",
        "RoleBinding team-b",
        "Service caas-system",
        "ServiceAccount caas-system",
    ];
    assert_eq!(found, expected);
    let words = ["get", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/part-of=caas-operator"];
    assert_eq!(plane.kubectl(&words).await?.expect_ok(), "");

    // What was made there already stays as it is.
    let again = shell(&plane, &commands.replace("kubectl create namespace", "kubectl get namespace")).await?;
    assert!(again.ok, "{}", again.stderr);
    Ok(())
}
