//! Requests a second over 10,000 instances, compared with `wrk` on the same simulated cloud.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use caas_operator::collector::{ClientHistory, Connect};
use caas_operator::telemetry::Metrics;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::children::{Done, report};
use super::http::Connection;
use super::simulated::{self, Cloud, PASSWORD, Pace, USER};
use super::table::Row;

const MEASURE: &str = "requests a second, 10,000 instances";
const TARGET: f64 = 0.45;
/// The most requests that the process has in flight, and wrk too.
const IN_FLIGHT: usize = 256;

pub(crate) fn rows() -> Result<Vec<Row>> {
    let cloud = Cloud::start(2000, 5, Duration::ZERO)?;
    let ours = Done::of("throughput", &[&cloud.endpoint])?.get("rate")?;
    let shown = |rate: f64| format!("{rate:.0}/s");
    Ok(vec![match wrk(&cloud)? {
        Some(peer) => Row::at_least(MEASURE, shown(peer), shown(ours), ours / peer, TARGET),
        None => Row::without_peer(MEASURE, "wrk", shown(ours), &format!(">= {TARGET}x")),
    }])
}

/// The rate of wrk, which requests one instance's measurements; `None` without wrk.
fn wrk(cloud: &Cloud) -> Result<Option<f64>> {
    if Command::new("wrk").arg("--version").output().is_err() {
        return Ok(None);
    }
    let mut connection = Connection::to(cloud.address()?)?;
    let form = format!("username={USER}&password={PASSWORD}");
    let login: Value = serde_json::from_slice(&connection.post("/v1/generate-api-token/", &form)?)?;
    let authorization = format!("Authorization: Token {}", login["token"].as_str().context("a token")?);
    let page = connection.get(&format!("/v1/services/{USER}/?page=1"), &format!("{authorization}\r\n"))?;
    let page: Value = serde_json::from_slice(&page)?;
    let service = &page["results"][0];
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a name");
    let (name, instance) = (text(&service["service_name"])?, text(&service["instances"][0]["uuid"])?);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let url = format!(
        "{}services/{USER}/{name}/instances/{instance}/metrics?start_time={}&end_time={}&point_per_period=1m",
        cloud.endpoint,
        now - 130,
        now - 30,
    );
    let connections = IN_FLIGHT.to_string();
    let output = Command::new("wrk")
        .args(["-t2", "-c", &connections, "-d5s", "-H", &authorization, &url])
        .output()
        .context("wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    let rate = rate.and_then(|rate| rate.trim().parse().ok());
    Ok(Some(rate.with_context(|| format!("wrk says: {text}"))?))
}

/// In a child: whole cycles, without a limit on requests a second.
pub(crate) fn cycle(arguments: &[&str]) -> Result<()> {
    let [endpoint] = arguments else { anyhow::bail!("an endpoint is needed") };
    let pace = Pace { in_flight: IN_FLIGHT, per_second: u32::MAX, interval: Duration::from_secs(30) };
    let account = simulated::account(endpoint, 0, pace)?;
    let metrics = Metrics::new();
    let cloud = simulated::clouds(&metrics)?.connect(&account, &ClientHistory::default())?;
    let work = async move {
        cloud.collect(&account.selection).await?;
        let meter = metrics.account(&account.id.namespace, &account.id.name);
        let requests = || meter.api_requests();
        let (before, started) = (requests(), Instant::now());
        for _ in 0..3 {
            let collection = cloud.collect(&account.selection).await?;
            ensure!(collection.failures().0 == 0, "a cycle had failures");
        }
        report("rate", (requests() - before) as f64 / started.elapsed().as_secs_f64());
        Ok(())
    };
    // A spawned task, as an account's is.
    Runtime::new()?.block_on(async { tokio::spawn(work).await? })
}
