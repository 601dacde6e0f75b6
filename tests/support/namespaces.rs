//! A program in namespaces of its own: network, processes, mounts. Linux, util-linux.

use std::process::Command;

/// Whether this process is the machine's root, rather than a user.
pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// The beginning of a command whose further arguments run inside. What runs there is killed with this process, however
/// that ends.
pub(crate) fn unshare() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare"]);
    command.args(["--net", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]);
    if !is_root() {
        command.arg("--map-root-user");
    }
    command
}
