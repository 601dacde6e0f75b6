//! A folder that goes when its last user has ended, however the test process ends. Knows nothing of what lies in it.
//!
//! A keeper (`sh`) reads a pipe whose other end is held by the test process and by the supervisor of each process that
//! works in the folder. The kernel closes an end when its holder dies, by SIGKILL too; with the last one the keeper
//! wakes and removes the folder. No signal handler, no `unsafe`, and nothing for a test to remember.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::Context;

const KEEPER: &str = r#"cat >/dev/null; rm -rf "$1""#;

/// See the module. Held in an `Arc` by every process that works in it.
pub(crate) struct Scratch {
    path: PathBuf,
    keeper: Child,
    hold: Option<OwnedFd>,
}

impl Scratch {
    /// Makes the folder, below the system's temporary one.
    pub(crate) fn new() -> anyhow::Result<Arc<Self>> {
        let path = tempfile::Builder::new().prefix("caas-operator-test-").tempdir()?.keep();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // In a process group of its own: Ctrl-C at the terminal ends the tests, and the keeper cleans up after them.
            .process_group(0)
            .spawn()
            .context("starting sh, which keeps the temporary folder")?;
        let hold = keeper.stdin.take().map(OwnedFd::from);
        Ok(Arc::new(Self { path, keeper, hold }))
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Keeps the folder for as long as the process lives that gets this as a standard stream.
    pub(crate) fn hold(&self) -> anyhow::Result<Stdio> {
        let hold = self.hold.as_ref().context("the folder's pipe is closed")?;
        Ok(Stdio::from(hold.try_clone()?))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.hold.take());
        // Each process holds an `Arc` of this, so none is left, and the keeper ends as soon as the folder is gone.
        let _ = self.keeper.wait();
    }
}
