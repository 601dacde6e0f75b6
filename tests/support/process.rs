//! The program as a process: started with an environment of its own, listened to, signalled, and ended with its test
//! whatever happens.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a test waits for anything: far longer than it takes, so a busy machine does not fail a test.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);
/// How often it checks.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Polls until there is a result.
pub(crate) async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    until_within(DEADLINE, what, ask).await
}

/// The same for what takes long.
pub(crate) async fn until_within<T>(deadline: Duration, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < deadline, "timed out waiting for: {what}");
        sleep(POLL_INTERVAL).await;
    }
}

/// The program with these arguments and an empty environment.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_caas-operator"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) async fn finished(command: Command) -> Output {
    let mut command = tokio::process::Command::from(command);
    let output = command.kill_on_drop(true).output();
    tokio::time::timeout(DEADLINE, output).await.expect("it ends").expect("it starts")
}

/// The output that a process has written so far.
struct Written {
    all: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Written {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let all = Arc::<Mutex<Vec<u8>>>::default();
        let read = Arc::clone(&all);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 8192];
            while let Ok(length @ 1..) = pipe.read(&mut piece) {
                read.lock().unwrap().extend_from_slice(&piece[..length]);
            }
        });
        Self { all, reader }
    }

    /// Whether nothing more can come.
    fn is_closed(&self) -> bool {
        self.reader.is_finished()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.all.lock().unwrap()).into_owned()
    }
}

/// A running process. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    out: Written,
    err: Written,
}

impl Process {
    /// Starts a command in a process group of its own.
    pub(crate) fn start(command: Command) -> Self {
        Self::start_with_stderr(command, Stdio::piped())
    }

    /// The same with another standard error, which is read only if it is a pipe.
    pub(crate) fn start_with_stderr(mut command: Command, stderr: Stdio) -> Self {
        let mut child = command.process_group(0).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let out = Written::of(child.stdout.take().unwrap());
        let err = child.stderr.take().map_or_else(|| Written::of(std::io::empty()), Written::of);
        Self { child, out, err }
    }

    /// All of standard output so far.
    pub(crate) fn out(&self) -> String {
        self.out.text()
    }

    /// All of standard error so far.
    pub(crate) fn err(&self) -> String {
        self.err.text()
    }

    /// Waits until the process has written what the closure looks for in its outputs (first standard output, then
    /// standard error). Fails at once where the process has ended.
    pub(crate) async fn says<T>(&mut self, what: &str, find: impl Fn(&str, &str) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let ended = self.has_ended();
            if let Some(found) = find(&self.out(), &self.err()) {
                return found;
            }
            let (out, err) = (self.out(), self.err());
            assert!(ended.is_none(), "{what}: it ended with {ended:?}\n{out}\n{err}");
            assert!(begun.elapsed() < DEADLINE, "timed out waiting for: {what}\n{out}\n{err}");
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// How it ended, once it has ended and its output has been read.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap().filter(|_| self.out.is_closed() && self.err.is_closed())
    }

    /// Waits for the end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.has_ended() {
                return status;
            }
            assert!(begun.elapsed() < DEADLINE, "it does not end\n{}\n{}", self.out(), self.err());
            sleep(POLL_INTERVAL).await;
        }
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its peak memory so far, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        memory(&self.child.id().to_string(), "VmHWM:")
    }

    /// Whether it or one of its children still runs.
    pub(crate) fn left_something_running(&self) -> bool {
        let group = self.child.id().to_string();
        let stats = std::fs::read_dir("/proc").unwrap().flatten();
        stats.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok()).any(|stat| {
            // The name is in brackets and may hold anything; after it come state, parent and group.
            let group_of = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(2));
            group_of == Some(&group)
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of a process' status in `/proc`, in bytes: `VmHWM:`, say.
pub(crate) fn memory(process: &str, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let kibibytes = status.lines().find_map(|text| text.strip_prefix(line)?.split_whitespace().next());
    kibibytes.unwrap().parse::<u64>().unwrap() * 1024
}
