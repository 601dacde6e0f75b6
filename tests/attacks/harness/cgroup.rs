//! A control group for one process, where the machine lets a test make one.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A control group with a limit of memory. Removed when it is dropped, after its process has ended.
pub(crate) struct ControlGroup(PathBuf);

impl ControlGroup {
    /// A group that may use so many bytes; `None` where this user may make no group.
    pub(crate) fn with_memory(bytes: u64) -> Option<Self> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("attack-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let roots = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        roots.into_iter().find_map(|(root, limit)| {
            let root = Path::new(root);
            // The first is there with version 1 only, the second has a limit below it with version 2 only.
            fs::metadata(root.join("cgroup.procs")).ok()?;
            let group = Self(root.join(&name));
            fs::create_dir(&group.0).ok()?;
            fs::write(group.0.join(limit), bytes.to_string()).ok()?;
            Some(group)
        })
    }

    /// Moves a process into this group. What it has allocated before stays charged to its former one.
    pub(crate) fn take(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
    }

    /// Runs a program in this group.
    pub(crate) fn command(&self, program: &OsStr) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec "$@""#]).arg(&self.0).arg(program);
        command
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // Busy while its process ends, which the test has waited for; one that stays is empty.
        let _ = fs::remove_dir(&self.0);
    }
}
