//! How a container becomes a program: its mounts, network, user and environment. Knows nothing of Kubernetes' objects.

use std::path::{Path, PathBuf};

use super::inside::may_change_users;
use crate::control::process::Program;

/// Mounts pairs of source and target read-only, up to `--`, then becomes the program.
const MOUNT_AND_RUN: &str = r#"set -e
while [ "$1" != -- ]; do mkdir -p "$2"; mount --bind "$1" "$2"; mount -o remount,ro,bind "$2"; shift 2; done
shift
exec "$@""#;

/// A program with its environment.
pub(crate) struct Container {
    /// Names its log; unique.
    pub(crate) name: String,
    /// The network namespace, by its name; none: that of the node.
    pub(crate) network: Option<String>,
    /// User and group.
    pub(crate) user: Option<(i64, i64)>,
    /// Folders, and where they appear.
    pub(crate) mounts: Vec<(PathBuf, String)>,
    /// The binary.
    pub(crate) path: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Its environment.
    pub(crate) env: Vec<(String, String)>,
}

impl Container {
    /// The program to start: each step becomes the next, so that signals reach the last.
    pub(crate) fn program(self) -> Program {
        let mut args: Vec<String> = match &self.network {
            // It makes a mount namespace too.
            Some(network) => ["ip", "netns", "exec", network].map(str::to_owned).to_vec(),
            None => ["unshare", "--mount"].map(str::to_owned).to_vec(),
        };
        args.extend(["sh", "-c", MOUNT_AND_RUN, "container"].map(str::to_owned));
        for (source, target) in &self.mounts {
            args.extend([shown(source), target.clone()]);
        }
        args.push("--".to_owned());
        if let Some((user, group)) = self.user.filter(|_| may_change_users()) {
            args.extend(["setpriv".to_owned(), format!("--reuid={user}"), format!("--regid={group}")]);
            args.extend(
                ["--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
                    .map(str::to_owned),
            );
        }
        args.push(shown(&self.path));
        args.extend(self.args);
        Program { name: self.name, path: "env".into(), args, env: self.env }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
