//! The memory of an idle account: the difference between 1,000 and 11,000 accounts without services, each collected
//! once, compared with accounts that have an HTTP client each.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use caas_operator::account::Account;
use caas_operator::cloud::error::Unreachable;
use caas_operator::cloud::{Cloud, CloudError};
use caas_operator::collector::{ClientHistory, Connect};
use caas_operator::telemetry::Metrics;
use tokio::runtime::Runtime;

use super::children::{Done, ready, report};
use super::process::memory;
use super::simulated;
use super::table::{Row, bytes};

/// The most bytes that an account may cost.
const TARGET: f64 = 4096.0;

pub(crate) fn rows() -> Result<Vec<Row>> {
    let cloud = simulated::Cloud::start(0, 0, Duration::ZERO)?;
    let each = |client: &str, few: usize, many: usize| -> Result<f64> {
        let resident = |accounts: usize| {
            Done::of("idle", &[&cloud.endpoint, client, &accounts.to_string()])?.get("resident")
        };
        Ok((resident(many)? - resident(few)?) / (many - few) as f64)
    };
    let (peer, ours) = (each("own", 100, 600)?, each("shared", 1_000, 11_000)?);
    Ok(vec![Row {
        measure: "idle RSS an account (peer: a client of its own)".to_owned(),
        peer: bytes(peer),
        ours: bytes(ours),
        ratio: Some(peer / ours),
        target: "<= 4 KB".to_owned(),
        met: Some(ours <= TARGET),
    }])
}

/// Clouds that share nothing.
struct OwnClients(Arc<Metrics>);

impl Connect for OwnClients {
    fn connect(&self, account: &Account, history: &ClientHistory) -> Result<Arc<dyn Cloud>, CloudError> {
        let clouds = simulated::clouds(&self.0).map_err(|_| CloudError::from(Unreachable::Connect))?;
        clouds.connect(account, history)
    }
}

/// In a child: this many accounts, each collected once.
pub(crate) fn accounts(arguments: &[&str]) -> Result<()> {
    let [endpoint, client, count] = arguments else { anyhow::bail!("endpoint, client and count are needed") };
    let count: usize = count.parse().context("the count")?;
    let metrics = Metrics::new();
    Runtime::new()?.block_on(async {
        let clouds: Arc<dyn Connect> = match *client {
            "own" => Arc::new(OwnClients(Arc::clone(&metrics))),
            _ => Arc::new(simulated::clouds(&metrics)?),
        };
        let _running = simulated::idle_accounts(clouds, &metrics, endpoint, count).await?;
        // Idle threads for blocking work end after ten seconds; their memory is not the accounts'.
        tokio::time::sleep(Duration::from_secs(11)).await;
        report("resident", memory(std::process::id(), "VmRSS")?);
        tokio::task::spawn_blocking(ready).await?;
        Ok(())
    })
}
