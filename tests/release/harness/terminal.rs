//! A person at a shell who types a page's blocks, one after another, in a copy of the project's folder. Variables live from
//! one block to the next, what `read` asks for is the password of every cloud here, and what runs in the foreground is ended by
//! Ctrl-C. Knows nothing of what the commands do.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::PATIENCE;
use super::public_clouds::PASSWORD;
use super::world::World;
use crate::control::kubectl::Ran;
use crate::control::until;
use crate::servers::server;

/// What pages refer to by a path.
const PROJECT: [&str; 5] = ["charts", "crds", "docs", "examples", "Cargo.toml"];

/// Runs a file of commands: a failure ends it, as does a variable that is not set.
const TYPED: &str = r#"set -aeuo pipefail
if [ -e "$0/variables" ]; then . "$0/variables"; fi
. "$1""#;

/// After that: every variable is kept for the next. What runs until Ctrl-C keeps none, as it ends after others that do.
const KEPT: &str = r#"
export -p >"$0/variables""#;

/// Builds the program and runs it; here it is built.
const BUILDS: &str = "cargo run --release --";

/// See the module.
pub(crate) struct Terminal {
    home: TempDir,
    foreground: Vec<Foreground>,
    typed: usize,
}

/// What runs until Ctrl-C.
struct Foreground {
    child: Child,
    output: PathBuf,
}

impl Terminal {
    /// A new one: no variables, no files but the project's.
    pub(crate) fn open(world: &World) -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let (folder, programs) = (home.path().join("caas-operator"), home.path().join("bin"));
        fs::create_dir(&folder)?;
        fs::create_dir(&programs)?;
        for name in PROJECT {
            symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), folder.join(name))?;
        }
        for name in ["helm", "kubectl", "promtool"] {
            symlink(server(name), programs.join(name))?;
        }
        symlink(env!("CARGO_BIN_EXE_caas-operator"), programs.join("caas-operator"))?;
        fs::copy(world.plane.admin()?.path(), home.path().join("kubeconfig"))?;
        // As many as any block asks for.
        fs::write(home.path().join("keyboard"), format!("{PASSWORD}\n").repeat(8))?;
        Ok(Self { home, foreground: Vec::new(), typed: 0 })
    }

    /// Types a block and waits for its end. Behind a program that has just been started in another terminal it is typed until it
    /// succeeds, as by a person who was too quick.
    pub(crate) async fn types(&mut self, block: &str) -> anyhow::Result<()> {
        let ran = self.once(block).await?;
        if ran.ok {
            return Ok(());
        }
        ensure!(!self.foreground.is_empty(), "{}{}", ran.stdout, ran.stderr);
        let again = self.command(block)?;
        until(PATIENCE, block.trim(), async || {
            let ran = run(self.shell(&[TYPED, KEPT].concat(), &again)).await?;
            ensure!(ran.ok, "{}{}", ran.stdout, ran.stderr);
            Ok(())
        })
        .await;
        Ok(())
    }

    /// Starts what runs until Ctrl-C, which ends what ran before, and waits until it has said something.
    pub(crate) async fn starts(&mut self, block: &str) -> anyhow::Result<()> {
        self.interrupts().await?;
        let file = self.command(block)?;
        let output = file.with_extension("output");
        let (out, err) = (File::create(&output)?, File::options().append(true).open(&output)?);
        let child = self.shell(TYPED, &file).stdout(out).stderr(err).process_group(0).spawn()?;
        self.foreground.push(Foreground { child, output: output.clone() });
        until(PATIENCE, "a first line", async || {
            let said = fs::read_to_string(&output)?;
            ensure!(said.contains('\n'), "nothing");
            Ok(())
        })
        .await;
        Ok(())
    }

    /// Ctrl-C: whatever runs has to end well.
    pub(crate) async fn interrupts(&mut self) -> anyhow::Result<()> {
        for mut running in self.foreground.drain(..) {
            let said = || fs::read_to_string(&running.output).unwrap_or_default();
            let Some(group) = running.child.id() else { bail!("it ended by itself:\n{}", said()) };
            if let Some(status) = running.child.try_wait()? {
                bail!("it ended by itself with {status}:\n{}", said());
            }
            let sent = Command::new("kill").args(["-INT", "--", &format!("-{group}")]).status().await?;
            ensure!(sent.success(), "kill: {sent}");
            let status =
                tokio::time::timeout(PATIENCE, running.child.wait()).await.context("it does not end")??;
            ensure!(status.success(), "it ended with {status} after Ctrl-C:\n{}", said());
        }
        Ok(())
    }

    async fn once(&mut self, block: &str) -> anyhow::Result<Ran> {
        let file = self.command(block)?;
        run(self.shell(&[TYPED, KEPT].concat(), &file)).await
    }

    /// A file with the block.
    fn command(&mut self, block: &str) -> anyhow::Result<PathBuf> {
        self.typed += 1;
        let file = self.home.path().join(format!("block-{}.sh", self.typed));
        fs::write(&file, block.replace(BUILDS, "caas-operator"))?;
        Ok(file)
    }

    fn shell(&self, script: &str, file: &Path) -> Command {
        let home = self.home.path();
        let mut command = Command::new("bash");
        command
            .args(["-c", script])
            .args([home, file])
            .current_dir(home.join("caas-operator"))
            .env_clear()
            .env("HOME", home)
            .env("KUBECONFIG", home.join("kubeconfig"))
            .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", home.join("bin").display()))
            .stdin(File::open(home.join("keyboard")).map_or_else(|_| Stdio::null(), Stdio::from))
            .kill_on_drop(true);
        command
    }
}

/// Longer than any block takes.
const LONGEST: Duration = Duration::from_secs(600);

async fn run(mut command: Command) -> anyhow::Result<Ran> {
    let output = tokio::time::timeout(LONGEST, command.output()).await.context("it does not end")??;
    Ok(output.into())
}
