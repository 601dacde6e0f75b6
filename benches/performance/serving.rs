//! A million series served: the time of a scrape and the memory, compared with the `prometheus` crate on the same listener.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::routing::get;
use caas_operator::account::Account;
use caas_operator::cloud::{Cloud, CloudError, Collection, ServiceFilter};
use caas_operator::collector::{ClientHistory, Connect, Registry, Supervisor};
use caas_operator::replicas::peers::Peers;
use caas_operator::server;
use caas_operator::telemetry::Metrics;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::FutureExt;
use futures::future::{BoxFuture, pending};
use http::header::CONTENT_ENCODING;
use prometheus::{Encoder, TextEncoder};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::children::{Done, ready, report};
use super::http::Connection;
use super::process::memory;
use super::series;
use super::simulated::{self, Pace};
use super::table::{Row, best, bytes, time};

/// Cycles before the measurement, so that old and new values are in memory at once, as in a long-running process.
const CYCLES: usize = 3;

pub(crate) fn rows() -> Result<Vec<Row>> {
    let (ours_time, ours_memory) = scraped("serving-ours", "/accounts/bench/account-0/metrics", 20)?;
    let (peer_time, peer_memory) = scraped("serving-peer", "/metrics", 3)?;
    let ratio = peer_memory / ours_memory;
    Ok(vec![
        Row::at_least(
            "a scrape of 1 M series, gzip",
            time(peer_time),
            time(ours_time),
            peer_time / ours_time,
            500.0,
        ),
        Row::at_least("RSS, 1 M series served", bytes(peer_memory), bytes(ours_memory), ratio, 10.0),
    ])
}

/// The time of a scrape, and the child's peak memory.
fn scraped(work: &str, path: &str, times: usize) -> Result<(f64, f64)> {
    let child = Done::of(work, &[])?;
    // A port is a small whole number.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let port = child.get("port")? as u16;
    let mut connection = Connection::to(([127, 0, 0, 1], port).into())?;
    let mut taken = Vec::new();
    for _ in 0..times {
        let started = Instant::now();
        let body = connection.get(path, "Accept-Encoding: gzip\r\n")?;
        taken.push(started.elapsed().as_secs_f64());
        ensure!(
            body.starts_with(&[0x1f, 0x8b]) && body.len() > 1_000_000,
            "the response does not have a million series"
        );
    }
    Ok((best(&taken), memory(child.id(), "VmHWM")?))
}

/// A cloud that returns the same in each of [`CYCLES`] cycles, and never answers after them.
struct Large(AtomicUsize);

impl Cloud for Large {
    fn collect<'a>(&'a self, _: &'a ServiceFilter) -> BoxFuture<'a, Result<Collection, CloudError>> {
        if self.0.fetch_add(1, Ordering::Relaxed) < CYCLES {
            async { Ok(series::collection()) }.boxed()
        } else {
            pending().boxed()
        }
    }
}

struct LargeClouds;

impl Connect for LargeClouds {
    fn connect(&self, _: &Account, _: &ClientHistory) -> Result<Arc<dyn Cloud>, CloudError> {
        Ok(Arc::new(Large(AtomicUsize::new(0))))
    }
}

/// In a child: an account of a million series, collected, rendered and served.
pub(crate) fn ours() -> Result<()> {
    let pace = Pace { in_flight: 1, per_second: 1, interval: Duration::from_millis(100) };
    let account = simulated::account("https://caas.example.com/v1/", 0, pace)?;
    let (registry, metrics) = (Arc::new(Registry::default()), Metrics::new());
    let runtime = Runtime::new()?;
    runtime.block_on(async {
        let (transitions, _) = mpsc::channel(1);
        let supervisor =
            Supervisor::new(Arc::new(LargeClouds), Arc::clone(&registry), Arc::clone(&metrics), transitions);
        supervisor.put(account);
        let cycles = || metrics.renders("text");
        while cycles() < CYCLES as u64 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let context = server::Context {
            registry,
            metrics: Arc::clone(&metrics),
            append_account: None,
            allowed_hosts: server::AllowedHosts::default(),
            page: server::PageOptions::default(),
            peers: Peers::none(),
        };
        serve(server::router(context)).await
    })
}

/// In a child: the same series in the `prometheus` crate, encoded and compressed for each scrape.
pub(crate) fn peer() -> Result<()> {
    let registry = Arc::new(series::registry(&series::values())?);
    let scrape = move || {
        let registry = Arc::clone(&registry);
        async move {
            let work = move || -> Result<Vec<u8>> {
                let mut gzip = GzEncoder::new(Vec::new(), Compression::new(1));
                let mut text = Vec::new();
                TextEncoder::new().encode(&registry.gather(), &mut text)?;
                gzip.write_all(&text)?;
                Ok(gzip.finish()?)
            };
            let body = tokio::task::spawn_blocking(work).await.ok().and_then(Result::ok);
            ([(CONTENT_ENCODING, "gzip")], body.unwrap_or_default())
        }
    };
    Runtime::new()?.block_on(serve(Router::new().route("/metrics", get(scrape))))
}

/// Serves until the parent lets the child end.
async fn serve(router: Router) -> Result<()> {
    let bound = server::bind(([127, 0, 0, 1], 0).into(), "--listen").await.context("a port")?;
    report("port", f64::from(bound.addr().port()));
    let stop = CancellationToken::new();
    let serving = tokio::spawn(bound.serve(router, stop.clone()));
    tokio::task::spawn_blocking(ready).await?;
    stop.cancel();
    Ok(serving.await?)
}
