//! How much memory this process may use: the limit of its control group, or all memory of the machine.

use std::fs;
use std::path::{Path, PathBuf};

/// What the process may use at most, in bytes: the least limit of its control groups (version 1 or 2), or the machine's
/// memory. `None` where neither can be read, as on systems other than Linux.
pub fn available_memory() -> Option<usize> {
    available_below(Path::new("/"))
}

/// The same with the files below another root.
fn available_below(root: &Path) -> Option<usize> {
    let of_machine = fs::read_to_string(root.join("proc/meminfo")).ok().and_then(|text| total(&text));
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().filter_map(|line| limit_of(root, line));
    limits.chain(of_machine).min()
}

/// The memory of the machine as `/proc/meminfo` says it.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1 << 10)
}

/// The least limit of a control group and of those above it, from a line `number:controllers:path`.
fn limit_of(root: &Path, line: &str) -> Option<usize> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    let (mount, file) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max"),
        listed if listed.split(',').any(|one| one == "memory") => {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return None,
    };
    let mount = root.join(mount);
    let own = mount.join(path.trim_start_matches('/'));
    // In a container the path may be that of the host, and the container's own group is mounted as the root.
    let groups = own.ancestors().take_while(|group| group.starts_with(&mount));
    groups.filter_map(|group| limit_in(&group.join(file))).min()
}

/// A limit in bytes; `max` is none. Version 1 writes a number larger than any memory, which the machine's memory undercuts.
fn limit_in(file: &PathBuf) -> Option<usize> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let file = root.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        root
    }

    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:       2048 kB\nMemFree: 5 kB\n");

    #[test]
    fn the_least_limit_of_the_own_group_and_those_above_it_counts() {
        let v2 = [
            MACHINE,
            ("proc/self/cgroup", "0::/kubepods/pod1\n"),
            ("sys/fs/cgroup/memory.max", "max\n"),
            ("sys/fs/cgroup/kubepods/memory.max", "1000000\n"),
            ("sys/fs/cgroup/kubepods/pod1/memory.max", "1500000\n"),
        ];
        assert_eq!(available_below(root(&v2).path()), Some(1_000_000));

        // Seen from within a container, whose group is the root and whose path is the host's.
        let inside =
            [MACHINE, ("proc/self/cgroup", "0::/../pod1\n"), ("sys/fs/cgroup/memory.max", "900000\n")];
        assert_eq!(available_below(root(&inside).path()), Some(900_000));

        let v1 = [
            MACHINE,
            ("proc/self/cgroup", "8:pids:/a\n4:cpu,memory:/a\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "800000\n"),
        ];
        assert_eq!(available_below(root(&v1).path()), Some(800_000));
    }

    #[test]
    fn without_a_limit_the_machine_s_memory_counts_and_without_that_nothing() {
        assert_eq!(available_below(root(&[MACHINE]).path()), Some(2 << 20));
        assert_eq!(available_below(root(&[("proc/self/cgroup", "garbage")]).path()), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_memory() {
        assert!(available_memory().is_some_and(|bytes| bytes > 1 << 20));
    }
}
