//! The CPU time of deleting an account: 500 of 4,000 accounts, compared with 500 of 500 in the same run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use caas_operator::account::AccountId;
use caas_operator::telemetry::Metrics;

use super::children::{Done, report};
use super::process::thread_cpu_seconds;
use super::simulated;
use super::table::Row;

/// How many accounts are deleted.
const DELETED: usize = 500;
/// How much more an account among many may cost.
const TARGET: f64 = 1.5;

pub(crate) fn rows() -> Result<Vec<Row>> {
    let cloud = simulated::Cloud::start(0, 0, Duration::ZERO)?;
    let each =
        |accounts: usize| Done::of("deleting", &[&cloud.endpoint, &accounts.to_string()])?.get("seconds");
    let (few, many) = (each(DELETED)?, each(4_000)?);
    let micros = |seconds: f64| format!("{:.1} us", seconds * 1e6);
    Ok(vec![Row {
        measure: "CPU to delete an account among 4,000 (peer: among 500)".to_owned(),
        peer: micros(few),
        ours: micros(many),
        ratio: Some(many / few),
        target: format!("<= {TARGET}x"),
        met: Some(many / few <= TARGET),
    }])
}

/// In a child: the CPU time of deleting an account, once all have been collected. A single thread runs all but the
/// rendering, so its CPU time is the whole.
pub(crate) fn accounts(arguments: &[&str]) -> Result<()> {
    let [endpoint, count] = arguments else { anyhow::bail!("endpoint and count are needed") };
    let count: usize = count.parse().context("the count")?;
    let metrics = Metrics::new();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let clouds = Arc::new(simulated::clouds(&metrics)?);
        let (supervisor, registry) = simulated::idle_accounts(clouds, &metrics, endpoint, count).await?;
        let deleted: Vec<AccountId> = registry.ids().into_iter().take(DELETED).collect();
        let before = thread_cpu_seconds()?;
        for id in &deleted {
            supervisor.remove(id);
            // Its task ends, and with it the account's own series.
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        report("seconds", (thread_cpu_seconds()? - before) / deleted.len() as f64);
        let left = metrics.render().matches("caas_operator_api_requests_total{").count();
        anyhow::ensure!(left == 2 * (count - DELETED), "{left} series of requests are left");
        tokio::task::spawn_blocking(super::children::ready).await?;
        Ok(())
    })
}
