//! The image's root file system with the program running in it. Knows no command of the program.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::authority::Authority;
use crate::binary;
use crate::inside::may_change_users;

/// Far more than it takes, so that a busy machine fails no test.
const DEADLINE: Duration = Duration::from_secs(120);

/// What the image contains, and what every container runtime adds.
pub(crate) struct Root(TempDir);

impl Root {
    /// With `resolv.conf`.
    pub(crate) fn new(authority: &Authority) -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        fs::set_permissions(root.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
        root.write("etc/ssl/certs/ca-certificates.crt", &authority.pem);
        root.write("etc/resolv.conf", "nameserver 127.0.0.1\n");
        fs::copy(binary(), root.0.path().join("caas-operator")).unwrap();
        assert_eq!(root.files(), ["caas-operator", "etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt"]);
        root
    }

    /// Adds a file.
    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// All files in it, by their paths.
    pub(crate) fn files(&self) -> Vec<String> {
        fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, root, found);
                } else {
                    found.push(path.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        let mut found = Vec::new();
        walk(self.0.path(), self.0.path(), &mut found);
        found.sort();
        found
    }

    /// The program with this root, which it cannot write to, as the image's user, and nothing in its environment but this.
    pub(crate) fn start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Program {
        let change = if may_change_users() { "--userspec=65532:65532 --groups=" } else { "" };
        let script = format!(
            "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && \
             ! touch \"$0/written\" 2>/dev/null && exec chroot {change} \"$0\" /caas-operator \"$@\""
        );
        // Mounted for the program alone: here the folder stays one that can be removed.
        let process = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script])
            .arg(self.0.path())
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Program(process)
    }
}

/// The running program; it ends with the namespaces of its test at the latest.
pub(crate) struct Program(Child);

impl Program {
    /// Requests an address until the response is as expected; shows the program's log if it never is.
    pub(crate) async fn until_answers(&mut self, url: &str, wanted: impl Fn(u16, &str) -> bool) -> String {
        let started = Instant::now();
        loop {
            let seen = match get(url).await {
                Some((code, body)) if wanted(code, &body) => return body,
                other => other,
            };
            if started.elapsed() > DEADLINE || self.0.try_wait().unwrap().is_some() {
                let _ = self.0.kill();
                let log = BufReader::new(self.0.stderr.take().unwrap());
                let lines: Vec<String> = log.lines().map_while(Result::ok).collect();
                panic!("{url} says {seen:?}; log:\n{}", lines.join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Asserts that it runs as the image's user, and that SIGTERM ends it with 0.
    pub(crate) fn exits_cleanly(mut self) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let uid = status.lines().find(|line| line.starts_with("Uid:")).unwrap();
        if may_change_users() {
            assert_eq!(uid, "Uid:\t65532\t65532\t65532\t65532");
        }
        let terminated = Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        assert!(terminated.success());
        assert!(self.0.wait().unwrap().success(), "SIGTERM ends it with 0");
    }
}

async fn get(url: &str) -> Option<(u16, String)> {
    let answer = reqwest::get(url).await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}
