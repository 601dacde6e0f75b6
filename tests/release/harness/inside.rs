//! Runs this program again in its own namespaces: network, processes, mounts. Knows nothing of the tests.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context;

use crate::namespaces::{is_root, unshare};

/// Tells the program inside which environment it runs.
const WORLD: &str = "CAAS_TEST_WORLD";

/// Tells it whether it is the machine's root, who may become any user.
const ROOT: &str = "CAAS_TEST_ROOT";

/// The environment that this process runs in, if it is inside.
pub(crate) fn world() -> Option<String> {
    std::env::var(WORLD).ok()
}

/// Whether processes may run as another user.
pub(crate) fn may_change_users() -> bool {
    std::env::var_os(ROOT).is_some()
}

/// Starts this program inside, with the same arguments, and waits for it. Everything it started ends with it.
pub(crate) fn enter(world: &str) -> anyhow::Result<ExitCode> {
    let mut unshare = unshare();
    if is_root() {
        unshare.env(ROOT, "yes");
    }
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let status = unshare
        .arg(std::env::current_exe()?)
        .args(args)
        .env(WORLD, world)
        // In memory there, and gone with the world.
        .env("TMPDIR", "/run")
        .status()
        .context("starting setpriv and unshare (util-linux)")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
