//! Child processes: each does one piece of work, prints its results as lines of `name value`, then `ready`, and
//! runs until its standard input ends.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, stdin};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// The first argument of a child.
pub(crate) const MARK: &str = "child-process";
const READY: &str = "ready";

/// A child that has done its work; ends when dropped.
pub(crate) struct Done {
    child: Child,
    results: HashMap<String, f64>,
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
        let mut results = HashMap::new();
        for line in output.lines() {
            let line = line.context("its output")?;
            if line == READY {
                return Ok(Self { child, results });
            }
            if let Some((name, value)) = line.split_once(' ') {
                results.insert(name.to_owned(), value.parse().with_context(|| line.clone())?);
            }
        }
        let status = child.wait().context("its end")?;
        if !status.success() {
            bail!("a child failed: {status}");
        }
        Ok(Self { child, results })
    }

    /// The child's result of this name.
    pub(crate) fn get(&self, name: &str) -> Result<f64> {
        self.results.get(name).copied().with_context(|| format!("the child has no result named {name}"))
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        // The child ends with its input; an error means that it has ended already.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// In the child: prints a result.
pub(crate) fn report(name: &str, value: f64) {
    println!("{name} {value}");
}

/// In the child: says that the work is done, and blocks until the parent lets it end.
pub(crate) fn ready() {
    println!("{READY}");
    let _ = stdin().read_to_end(&mut Vec::new());
}
