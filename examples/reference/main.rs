//! Writes the reference pages in `docs/` from the code: `cargo run --example reference -- cli|metrics|resource`.
//!
//! An example rather than a command, so that the program that people run does not carry it.

mod cli;
mod metrics;
mod resource;
mod table;

use std::io::{Write, stdout};

use anyhow::{Result, bail};
use caas_operator::cloud::Providers;

fn main() -> Result<()> {
    let page = match std::env::args().nth(1).as_deref() {
        Some("cli") => cli::page(),
        Some("metrics") => metrics::page(),
        Some("resource") => resource::page(Providers::ALL)?,
        _ => bail!("say which page: cli, metrics or resource"),
    };
    // To write is all that this program does, and a closed pipe is an error like others.
    stdout().write_all(page.as_bytes())?;
    Ok(())
}
