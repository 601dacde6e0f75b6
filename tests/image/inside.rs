//! A test once more, in namespaces of its own. Knows nothing of what it tests.

use std::process::Command;

use crate::namespaces::{is_root, unshare};

/// Tells the test inside that it is, and whether it is the machine's root, who may be any user.
const INSIDE: &str = "CAAS_TEST_INSIDE";

/// Whether processes may be given another user.
pub(crate) fn may_change_users() -> bool {
    std::env::var(INSIDE).as_deref() == Ok("root")
}

/// Runs `test` inside; outside, starts the test of this full name there, waits for it, and sees that it left no temporary
/// file.
pub(crate) fn run(name: &str, test: impl Future<Output = ()>) {
    if std::env::var_os(INSIDE).is_some() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
        assert!(up.expect("ip (iproute2) is installed").success());
        tokio::runtime::Runtime::new().unwrap().block_on(test);
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let output = unshare()
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--ignored", "--nocapture"])
        .env(INSIDE, if is_root() { "root" } else { "user" })
        .env("TMPDIR", temporary.path())
        .output()
        .expect("setpriv and unshare (util-linux) are installed");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
