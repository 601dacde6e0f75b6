//! Runs a test again in its own namespaces. Knows nothing of what it tests.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Output};

use crate::namespaces::{is_root, missing, possible, unshare};

/// Tells the test that it runs inside, and whether it is the machine's root, who may become any user.
const INSIDE: &str = "CAAS_TEST_INSIDE";

/// Whether processes may run as another user.
pub(crate) fn may_change_users() -> bool {
    std::env::var(INSIDE).as_deref() == Ok("root")
}

/// Runs `test` inside; outside, starts the test of this full name there, waits for it, and checks that it left no temporary
/// file.
pub(crate) fn run(name: &str, test: impl Future<Output = ()>) {
    if std::env::var_os(INSIDE).is_some() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
        assert!(up.unwrap().success());
        tokio::runtime::Runtime::new().unwrap().block_on(test);
        return;
    }
    if let Err(missing) = possible() {
        panic!("this test needs namespaces of its own: {missing}");
    }
    let temporary = tempfile::tempdir().unwrap();
    let output = unshare()
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--ignored", "--nocapture"])
        .env(INSIDE, if is_root() { "root" } else { "user" })
        .env("TMPDIR", temporary.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_missing_permission_for_namespaces_is_reported_in_a_sentence() {
    let trial = |code: i32, says: &str| {
        let status = ExitStatus::from_raw(code << 8);
        missing(Ok(Output { status, stdout: Vec::new(), stderr: format!("{says}\n").into_bytes() }))
    };
    let cases = [
        (
            "setpriv: failed to execute unshare: No such file or directory",
            "install util-linux: there is no unshare",
        ),
        ("unshare: failed to execute ip: No such file or directory", "install iproute2"),
        ("unshare: unshare failed: Operation not permitted", "allow namespaces: run as root, or"),
        (
            "unshare: write failed /proc/self/uid_map: Operation not permitted",
            "allow namespaces: run as root, or",
        ),
        ("unshare: mount /proc failed: Permission denied", "allow namespaces: run as root, or"),
    ];
    for (says, expected) in cases {
        let missing = trial(1, says).unwrap();
        assert!(
            missing.starts_with(expected) && missing.ends_with(&format!("({says})")),
            "{says}: {missing}"
        );
    }
    let no_setpriv = missing(Err(io::ErrorKind::NotFound.into())).unwrap();
    assert!(no_setpriv.starts_with("install util-linux: setpriv"), "{no_setpriv}");
    assert_eq!(trial(0, "a word of warning"), None);
}
