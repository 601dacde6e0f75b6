//! Runs the commands of a page of `docs/` exactly as written there.

use std::path::Path;

use anyhow::Context;
use tokio::process::Command;

use super::helm::as_user;
use crate::control::kubeconfig::Kubeconfig;
use crate::control::kubectl::Ran;
use crate::servers::server;

/// The commands of a page's section: its indented lines.
///
/// # Panics
/// If there is no such section, or it has no commands.
pub(crate) fn commands(page: &str, section: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let page = std::fs::read_to_string(page).expect("the page");
    let (_, rest) = page.split_once(&format!("\n## {section}\n")).expect("the section");
    let section = rest.split("\n## ").next().unwrap_or_default();
    let lines: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert!(!lines.is_empty(), "no commands");
    lines.join("\n")
}

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
