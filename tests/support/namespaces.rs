//! A program in namespaces of its own: network, processes, mounts. Linux, util-linux, iproute2.

use std::io;
use std::process::{Command, Output};

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

/// The first step of everything that runs inside, as a trial: says in a sentence what to install or to allow where it fails.
pub(crate) fn possible() -> Result<(), String> {
    missing(unshare().args(["ip", "link", "set", "lo", "up"]).output()).map_or(Ok(()), Err)
}

/// What the trial shows to be missing.
pub(crate) fn missing(trial: io::Result<Output>) -> Option<String> {
    let output = match trial {
        Ok(output) if output.status.success() => return None,
        Ok(output) => output,
        Err(error) => return Some(format!("install util-linux: setpriv cannot be started ({error})")),
    };
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Some(if said.contains("failed to execute unshare") {
        format!("install util-linux: there is no unshare ({said})")
    } else if said.contains("failed to execute ip") {
        format!("install iproute2: there is no ip ({said})")
    } else {
        format!(
            "allow namespaces: run as root, or let users make them (sysctl user.max_user_namespaces, \
             kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns); a container needs \
             CAP_SYS_ADMIN and a seccomp profile that allows unshare and mount ({said})"
        )
    })
}
