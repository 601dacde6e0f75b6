//! The memory of a start: 1,000 accounts of ten instances each, all handed over at once, compared with the same accounts
//! collected one after another, which is what they need at least.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use caas_operator::collector::{Registry, Supervisor};
use caas_operator::telemetry::Metrics;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::children::{Done, ready, report};
use super::process::memory;
use super::simulated::{self, Pace};
use super::table::{Row, bytes};

const ACCOUNTS: usize = 1_000;
/// How much more memory a start may need.
const TARGET: f64 = 1.5;

pub(crate) fn rows() -> Result<Vec<Row>> {
    let cloud = simulated::Cloud::start(5, 2, Duration::ZERO)?;
    let peak = |order: &str| Done::of("starting", &[&cloud.endpoint, order])?.get("peak");
    let (peer, ours) = (peak("one by one")?, peak("all at once")?);
    Ok(vec![Row {
        measure: "peak RSS of 1,000 accounts x 10 that start at once (peer: one by one)".to_owned(),
        peer: bytes(peer),
        ours: bytes(ours),
        ratio: Some(ours / peer),
        target: format!("<= {TARGET}x"),
        met: Some(ours / peer <= TARGET),
    }])
}

/// In a child: all accounts, each collected once.
pub(crate) fn accounts(arguments: &[&str]) -> Result<()> {
    let [endpoint, order] = arguments else { anyhow::bail!("endpoint and order are needed") };
    let pace = Pace { in_flight: 32, per_second: 1_000, interval: Duration::from_secs(3600) };
    let (registry, metrics) = (Arc::new(Registry::default()), Metrics::new());
    Runtime::new()?.block_on(async {
        let clouds = Arc::new(simulated::clouds(&metrics)?);
        let (transitions, _) = mpsc::channel(1);
        let supervisor = Supervisor::new(clouds, Arc::clone(&registry), Arc::clone(&metrics), transitions);
        for number in 0..ACCOUNTS {
            supervisor.put(simulated::account(endpoint, number, pace)?);
            if *order == "one by one" {
                registry.first_cycles_ended().await;
            }
        }
        registry.first_cycles_ended().await;
        let collected = registry.states().get("Collected").copied();
        anyhow::ensure!(collected == Some(i64::try_from(ACCOUNTS)?), "{:?}", registry.states());
        report("peak", memory(std::process::id(), "VmHWM").context("the peak")?);
        tokio::task::spawn_blocking(ready).await?;
        Ok(())
    })
}
