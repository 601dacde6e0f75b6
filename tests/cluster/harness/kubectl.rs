//! `kubectl` as a person runs it.

use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::Context;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::kubeconfig::Kubeconfig;
use crate::servers::server;

/// Far longer than any command here takes, so that a busy machine fails no test.
const LIMIT: Duration = Duration::from_secs(300);

/// What `kubectl`, or another program that people run, printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Exit code 0.
    pub(crate) ok: bool,
    /// What it printed.
    pub(crate) stdout: String,
    /// What it complained of.
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            ok: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// What it printed.
    ///
    /// # Panics
    /// Where it failed, with what it complained of.
    pub(crate) fn expect_ok(self) -> String {
        assert!(self.ok, "it failed: {}{}", self.stderr, self.stdout);
        self.stdout
    }
}

/// Runs `kubectl` with a kubeconfig and, for `-f -`, something on its standard input.
///
/// # Panics
/// Where it cannot be started, or does not end.
pub(crate) async fn kubectl(kubeconfig: &Kubeconfig, args: &[&str], input: &str) -> Ran {
    let run = run(kubeconfig, args, input);
    let output = timeout(LIMIT, run).await.unwrap_or_else(|_| panic!("kubectl {args:?} took over {LIMIT:?}"));
    output.unwrap_or_else(|error| panic!("kubectl {args:?}: {error:#}")).into()
}

async fn run(kubeconfig: &Kubeconfig, args: &[&str], input: &str) -> anyhow::Result<Output> {
    let home = kubeconfig.path().parent().context("a kubeconfig lies in a folder")?;
    let mut command = Command::new(server("kubectl"));
    command
        .arg("--kubeconfig")
        .arg(kubeconfig.path())
        .args(args)
        // Its discovery cache goes with the control plane's folder, and nobody's own settings come in.
        .env_clear()
        .env("HOME", home)
        // `kubectl diff` runs diff.
        .env("PATH", "/usr/bin:/bin");
    ended(command, input).await
}

/// Runs a command to its end with this on its standard input.
pub(crate) async fn ended(mut command: Command, input: &str) -> anyhow::Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("standard input is a pipe")?;
    let write = async {
        // Where it ends without reading its input, its own words say more than the closed pipe.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), write);
    Ok(output?)
}
