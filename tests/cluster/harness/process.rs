//! A real program that never outlives the test process. Knows nothing of what the program is.
//!
//! Each program has a supervisor (`sh`) which is its parent, so it may be signalled by number without a race, and which
//! reads signal names from a pipe held by the test process. When the pipe closes, because the test dropped it or
//! because the test process is gone, the program is killed.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::scratch::Scratch;
use super::until::{SOON, until};

/// `$1` log, `$2` file for the process id, then the program and its arguments. The program gets no end of any pipe.
const SUPERVISOR: &str = r#"
log=$1; pid_file=$2; shift 2
exec 3<&0 </dev/null 2>/dev/null
"$@" >>"$log" 2>&1 3<&- &
child=$!
echo "$child" >"$pid_file"
{ while read -r signal <&3; do kill -s "$signal" "$child"; done; kill -s KILL "$child"; } &
reader=$!
wait "$child"; code=$?
kill -s KILL "$reader"
exit "$code"
"#;

/// What a program is started with.
pub(crate) struct Program {
    /// Names its log file; unique in the folder.
    pub(crate) name: String,
    /// The binary.
    pub(crate) path: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Its whole environment, `PATH` aside: nothing of the developer's own reaches it.
    pub(crate) env: Vec<(String, String)>,
}

/// A running program; killed when dropped.
pub(crate) struct Process {
    name: String,
    log: PathBuf,
    pid_file: PathBuf,
    supervisor: Child,
    signals: Option<ChildStdin>,
    _scratch: Arc<Scratch>,
}

impl Process {
    /// Starts a program; its output goes to `<name>.log` in the folder.
    pub(crate) fn start(scratch: &Arc<Scratch>, program: &Program) -> anyhow::Result<Self> {
        let name = program.name.clone();
        let log = scratch.file(&format!("{name}.log"));
        let pid_file = scratch.file(&format!("{name}.pid"));
        File::options().create(true).append(true).open(&log)?;
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .args([&log, &pid_file, &program.path])
            .args(&program.args)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(program.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(scratch.hold()?)
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", program.path.display()))?;
        let signals = supervisor.stdin.take();
        Ok(Self { name, log, pid_file, supervisor, signals, _scratch: Arc::clone(scratch) })
    }

    /// Its process id, for reading `/proc`; signals go by [`Process::signal`].
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        let text = fs::read_to_string(&self.pid_file)?;
        text.trim().parse().with_context(|| format!("the process id of {}: {text:?}", self.name))
    }

    /// Resident memory in KiB, from `/proc` (Linux alone).
    pub(crate) fn resident_kib(&self) -> anyhow::Result<u64> {
        self.memory_kib("VmRSS:")
    }

    /// The most that it was so far, in KiB.
    pub(crate) fn peak_resident_kib(&self) -> anyhow::Result<u64> {
        self.memory_kib("VmHWM:")
    }

    fn memory_kib(&self, field: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let line = line.with_context(|| format!("no {field} line"))?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Sends a signal by its name without `SIG`: `TERM`, `STOP`, `CONT`… Nothing happens where the program has ended.
    pub(crate) fn signal(&mut self, signal: &str) {
        if let Some(signals) = &mut self.signals {
            // A closed pipe means that the program has ended, which is what `exited` tells.
            let _ = writeln!(signals, "{signal}");
        }
    }

    /// SIGSTOP, until each of its threads has stopped: no byte is read, written or answered until [`Process::thaw`].
    pub(crate) async fn freeze(&mut self) -> anyhow::Result<()> {
        let pid = self.pid()?;
        self.signal("STOP");
        until(SOON, &format!("{} to hold still", self.name), async || {
            let states = thread_states(pid)?;
            ensure!(states.iter().all(|state| *state == 'T'), "its threads are in {states:?}");
            Ok(())
        })
        .await;
        Ok(())
    }

    /// SIGCONT.
    pub(crate) fn thaw(&mut self) {
        self.signal("CONT");
    }

    /// The exit code once it has ended; 128 and the signal's number where a signal ended it.
    pub(crate) fn exited(&mut self) -> anyhow::Result<Option<i32>> {
        let status = self.supervisor.try_wait().with_context(|| format!("waiting for {}", self.name))?;
        Ok(status.map(|status| status.code().unwrap_or(-1)))
    }

    /// SIGTERM, and SIGKILL after `grace`. Returns the exit code, 137 where it had to be killed.
    pub(crate) async fn terminate(&mut self, grace: Duration) -> anyhow::Result<i32> {
        self.signal("TERM");
        match self.ended_within(grace).await? {
            Some(code) => Ok(code),
            None => self.kill().await,
        }
    }

    /// SIGKILL. Returns the exit code.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<i32> {
        self.signals = None;
        let code = self.ended_within(SOON).await?;
        code.with_context(|| format!("{} is still there after SIGKILL", self.name))
    }

    async fn ended_within(&mut self, limit: Duration) -> anyhow::Result<Option<i32>> {
        let end = Instant::now() + limit;
        loop {
            if let Some(code) = self.exited()? {
                return Ok(Some(code));
            }
            if Instant::now() > end {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its whole output so far, of earlier runs under the same name too.
    pub(crate) fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The last lines of its output under a headline, for a failure's message.
    pub(crate) fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        let tail = all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n");
        format!("--- the end of {}'s log ---\n{tail}\n---", self.name)
    }

    /// Where its output goes.
    pub(crate) fn log_path(&self) -> &Path {
        &self.log
    }
}

fn thread_states(pid: u32) -> anyhow::Result<Vec<char>> {
    let mut states = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = fs::read_to_string(thread?.path().join("stat"))?;
        // The name in parentheses before it may hold anything.
        let (_, rest) = stat.rsplit_once(") ").context("a thread's stat line")?;
        states.push(rest.chars().next().context("a thread's state")?);
    }
    Ok(states)
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signals = None;
        let _ = self.supervisor.wait();
    }
}
