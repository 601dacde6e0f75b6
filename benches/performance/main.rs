//! The program's performance, each measure as a ratio to a peer in the same run: `cargo bench`, or `cargo bench -- WORD…`
//! for the groups whose names begin with one of the words.
//!
//! Times vary with the machine and its load; ratios vary much less. Nothing is asserted here. Each measurement runs in a
//! child process of this program, whose memory and CPU time are its own.

mod children;
mod collecting;
mod deleting;
mod http;
mod idle;
mod process;
mod rendering;
mod series;
mod serving;
mod simulated;
mod starting;
mod table;
mod throughput;

use anyhow::{Result, bail};
use table::Row;

/// A group of rows that are measured together.
type Group = (&'static str, fn() -> Result<Vec<Row>>);

const GROUPS: [Group; 7] = [
    ("collecting", collecting::rows),
    ("throughput", throughput::rows),
    ("rendering", rendering::rows),
    ("serving", serving::rows),
    ("idle", idle::rows),
    ("deleting", deleting::rows),
    ("starting", starting::rows),
];

/// The same as the program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    // Clients are made here too, and without a provider the first one would panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [children::MARK, work, rest @ ..] = &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return child(work, rest);
    }
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|word| name.starts_with(word));
    let mut rows = Vec::new();
    for (name, measure) in GROUPS.into_iter().filter(|(name, _)| wanted(name)) {
        eprintln!("measuring: {name}");
        rows.extend(measure()?);
    }
    if rows.is_empty() {
        let names = GROUPS.map(|(name, _)| name).join(", ");
        bail!("nothing of that name; there are {names}");
    }
    print!("{}", table::markdown(&rows));
    Ok(())
}

/// The work of a child process.
fn child(work: &str, arguments: &[&str]) -> Result<()> {
    match work {
        "cycles" => collecting::cycles(arguments),
        "task" => collecting::task(arguments),
        "throughput" => throughput::cycle(arguments),
        "rendering" => rendering::both(),
        "serving-ours" => serving::ours(),
        "serving-peer" => serving::peer(),
        "idle" => idle::accounts(arguments),
        "deleting" => deleting::accounts(arguments),
        "starting" => starting::accounts(arguments),
        _ => bail!("no such work: {work}"),
    }
}
