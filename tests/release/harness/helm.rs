//! The real Helm, as a person runs it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use tokio::process::Command;

use crate::control::kubeconfig::Kubeconfig;
use crate::control::kubectl::Ran;
use crate::servers::server;

/// The chart of this project.
pub(crate) fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/caas-operator")
}

/// Runs Helm with words, and values as a file.
pub(crate) async fn helm(
    kubeconfig: &Kubeconfig,
    words: &[&str],
    values: &serde_json::Value,
) -> anyhow::Result<Ran> {
    let home = kubeconfig.path().parent().context("a kubeconfig lies in a folder")?;
    let file = tempfile::NamedTempFile::with_suffix_in(".json", home)?;
    std::fs::write(file.path(), values.to_string())?;
    let takes_values = matches!(words.first(), Some(&("install" | "upgrade" | "template")));
    let mut command = Command::new(server("helm"));
    command.args(words);
    if takes_values {
        command.arg("--values").arg(file.path());
    }
    as_user(kubeconfig, &mut command, []).await.context("running helm")
}

/// Runs a program as the user of a kubeconfig, with these additional variables and none of the developer's environment.
pub(crate) async fn as_user(
    kubeconfig: &Kubeconfig,
    command: &mut Command,
    variables: impl IntoIterator<Item = (&'static str, OsString)>,
) -> anyhow::Result<Ran> {
    let home = kubeconfig.path().parent().context("a kubeconfig lies in a folder")?;
    let output = command
        .env_clear()
        .envs(variables)
        .env("HOME", home)
        .env("KUBECONFIG", kubeconfig.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    Ok(output.into())
}
