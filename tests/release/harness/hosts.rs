//! Entries in `/etc/hosts`, which is private to the test's namespace.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, ensure};

/// The names that there are.
pub(crate) struct Hosts {
    file: PathBuf,
    names: Mutex<BTreeMap<Ipv4Addr, Vec<String>>>,
}

impl Hosts {
    /// Mounts `/etc/hosts` for all processes of the namespace, and removes all name servers.
    pub(crate) fn begin(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join("hosts");
        let hosts = Self { file, names: Mutex::default() };
        hosts.add(Ipv4Addr::LOCALHOST, &["localhost".to_owned()])?;
        mount_over(&hosts.file, Path::new("/etc/hosts"))?;
        let nobody = folder.join("resolv.conf");
        fs::write(&nobody, "")?;
        if Path::new("/etc/resolv.conf").exists() {
            mount_over(&nobody, Path::new("/etc/resolv.conf"))?;
        }
        Ok(hosts)
    }

    /// Names an address.
    pub(crate) fn add(&self, address: Ipv4Addr, names: &[String]) -> anyhow::Result<()> {
        self.change(|all| drop(all.insert(address, names.to_vec())))
    }

    /// Forgets it.
    pub(crate) fn remove(&self, address: Ipv4Addr) -> anyhow::Result<()> {
        self.change(|all| drop(all.remove(&address)))
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Ipv4Addr, Vec<String>>)) -> anyhow::Result<()> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut names);
        let mut text = String::new();
        for (address, names) in names.iter() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{address} {}", names.join(" "));
        }
        // The file itself is mounted, so it is written in place; never empty for a reader in between.
        let mut file = File::options().create(true).truncate(false).write(true).open(&self.file)?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len().try_into()?)?;
        Ok(())
    }
}

/// Bind-mounts one file over another.
pub(crate) fn mount_over(source: &Path, target: &Path) -> anyhow::Result<()> {
    let output =
        Command::new("mount").arg("--bind").args([source, target]).output().context("starting mount")?;
    ensure!(
        output.status.success(),
        "mount over {}: {}",
        target.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// An empty folder at `target`, in memory.
pub(crate) fn mount_empty(target: &Path) -> anyhow::Result<()> {
    let output = Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(target).output()?;
    ensure!(output.status.success(), "mount: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
