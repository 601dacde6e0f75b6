//! Runs a few commands of a page in a folder of the test's choice; [`super::terminal`] runs whole pages.

use std::path::Path;

use anyhow::Context;
use tokio::process::Command;

use super::helm::as_user;
use crate::control::kubeconfig::Kubeconfig;
use crate::control::kubectl::Ran;
use crate::servers::server;

/// Runs commands in a folder, as the user of a kubeconfig; stops at the first that fails.
pub(crate) async fn typed(kubeconfig: &Kubeconfig, commands: &str, folder: &Path) -> anyhow::Result<Ran> {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    for tool in ["helm", "kubectl"] {
        let folders = server(tool).parent().map(Path::to_path_buf).into_iter();
        path = std::env::join_paths(folders.chain(std::env::split_paths(&path)))?;
    }
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", commands]).current_dir(folder);
    as_user(kubeconfig, &mut shell, [("PATH", path)]).await.context("running sh")
}
