//! Child processes: each does one piece of work, prints what it found as lines of `name value`, then `ready`, and
//! lives until its standard input ends.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, stdin};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// The first argument of this program as a child.
pub(crate) const MARK: &str = "child-process";
const READY: &str = "ready";

/// A child that has done its work; ends when dropped.
pub(crate) struct Done {
    child: Child,
    found: HashMap<String, f64>,
}

impl Done {
    /// Runs a piece of work to its end.
    pub(crate) fn of(work: &str, arguments: &[&str]) -> Result<Self> {
        let program = std::env::current_exe().context("the path of this program")?;
        Self::run(Command::new(program).args([MARK, work]).args(arguments)).with_context(|| work.to_owned())
    }

    /// Runs another program that prints the same kind of lines, without `ready`.
    pub(crate) fn run(command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("a child")?;
        let output = BufReader::new(child.stdout.take().context("its output")?);
        let mut found = HashMap::new();
        for line in output.lines() {
            let line = line.context("its output")?;
            if line == READY {
                return Ok(Self { child, found });
            }
            if let Some((name, value)) = line.split_once(' ') {
                found.insert(name.to_owned(), value.parse().with_context(|| line.clone())?);
            }
        }
        let status = child.wait().context("its end")?;
        if !status.success() {
            bail!("a child failed: {status}");
        }
        Ok(Self { child, found })
    }

    /// What the child found under this name.
    pub(crate) fn get(&self, name: &str) -> Result<f64> {
        self.found.get(name).copied().with_context(|| format!("the child says nothing of {name}"))
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        // Its input ends, and so does the child; an error would mean that it is gone already.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// In the child: says what it found.
pub(crate) fn found(name: &str, value: f64) {
    println!("{name} {value}");
}

/// In the child: the work is done; blocks until the parent lets it end.
pub(crate) fn ready() {
    println!("{READY}");
    let _ = stdin().read_to_end(&mut Vec::new());
}
