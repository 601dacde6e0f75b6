//! A real Prometheus that discovers the accounts at the Service, as docs/prometheus.md has it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::service::Service;
use crate::harness::cluster::Cluster;
use crate::harness::process::{Process, Program};
use crate::harness::until;
use crate::servers::server;

/// Started and asked; killed when dropped.
pub(super) struct Prometheus {
    url: String,
    http: reqwest::Client,
    /// Where it writes why scrapes failed.
    failures: PathBuf,
    _process: Process,
}

impl Prometheus {
    /// One that asks for its targets each second, and opens a new connection for each scrape where it can.
    pub(super) fn start(cluster: &Cluster, service: &Service) -> anyhow::Result<Self> {
        let name = cluster.unique("prometheus");
        let folder = cluster.scratch().file(&name);
        std::fs::create_dir_all(&folder)?;
        let failures = folder.join("failed-scrapes.json");
        let configuration = format!(
            "global: {{scrape_failure_log_file: '{}'}}\nscrape_configs:\n- job_name: caas\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  enable_http2: false\n  \
             relabel_configs:\n  - {{target_label: __scrape_interval__, replacement: 1s}}\n  \
             - {{target_label: __scrape_timeout__, replacement: 1s}}\n  \
             http_sd_configs:\n  - {{url: 'http://{}/sd', refresh_interval: 1s}}\n",
            failures.display(),
            service.address()
        );
        std::fs::write(folder.join("prometheus.yaml"), configuration)?;
        let port = crate::harness::free_port()?;
        let program = Program {
            name,
            path: server("prometheus"),
            args: vec![
                format!("--config.file={}/prometheus.yaml", folder.display()),
                format!("--storage.tsdb.path={}/data", folder.display()),
                format!("--web.listen-address=127.0.0.1:{port}"),
            ],
            env: Vec::new(),
        };
        let process = Process::start(cluster.scratch(), &program)?;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        Ok(Self { url: format!("http://127.0.0.1:{port}"), http, failures, _process: process })
    }

    /// The values of a query, by account.
    pub(super) async fn query(&self, query: &str) -> anyhow::Result<Vec<(String, f64)>> {
        let request = self.http.get(format!("{}/api/v1/query", self.url)).query(&[("query", query)]);
        let answer: Value = serde_json::from_str(&request.send().await?.text().await?)?;
        let result = answer["data"]["result"].as_array().with_context(|| answer.to_string())?;
        let value = |series: &Value| {
            let account = series["metric"]["instance"].as_str().unwrap_or_default().to_owned();
            Ok((account, series["value"][1].as_str().context("a value")?.parse()?))
        };
        result.iter().map(value).collect()
    }

    /// The value of a query of one series; 0 where there is none.
    pub(super) async fn one(&self, query: &str) -> anyhow::Result<f64> {
        let values = self.query(query).await?;
        ensure!(values.len() <= 1, "{query}: {values:?}");
        Ok(values.first().map_or(0.0, |(_, value)| *value))
    }

    /// Its own words on each scrape that failed, one a line; none where it has not written any yet.
    pub(super) fn failed_scrapes(&self) -> String {
        std::fs::read_to_string(&self.failures).unwrap_or_default()
    }

    /// Waits until so many accounts have been scraped, with this outcome of `up` at least: 0 where scrapes may fail.
    pub(super) async fn until_scraped(&self, accounts: usize, up: u8) {
        until(crate::fixture::DEADLINE, "all accounts to have been scraped", async || {
            let scraped = self.query(&format!("max_over_time(up[10m]) >= {up}")).await?;
            ensure!(scraped.len() == accounts, "{scraped:?}");
            Ok(())
        })
        .await;
    }
}
