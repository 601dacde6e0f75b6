//! A wrong wall clock for one process. A namespace of time shifts no wall clock, so a library of a few lines, which the C compiler
//! makes that the project needs anyway, is preloaded. The program under test has to load libraries, as cargo builds it for glibc,
//! which the image's does not.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::harness::cluster::Cluster;

/// The environment of a program whose wall clock is wrong by so many seconds.
pub(super) fn shifted(cluster: &Cluster, seconds: i64) -> anyhow::Result<Vec<(String, String)>> {
    let library = cluster.scratch().file(&format!("{}.so", cluster.unique("clock")));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/replicas/clock.c");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let made = Command::new(&compiler)
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([&library, &source])
        .output()
        .with_context(|| format!("starting {compiler}"))?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(vec![
        ("LD_PRELOAD".to_owned(), library.display().to_string()),
        ("CAAS_TEST_CLOCK_SECONDS".to_owned(), seconds.to_string()),
    ])
}
