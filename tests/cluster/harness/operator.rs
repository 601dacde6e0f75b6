//! The operator's real binary, running against a control plane. Knows its command line and its HTTP, nothing of its insides.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::cluster::Cluster;
use super::kubeconfig::Kubeconfig;
use super::ports::free_port;
use super::process::{Process, Program};

/// Some 0.2 s on two free cores; the rest is for a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// How to start the operator; the default is the administrator's kubeconfig, all namespaces, clouds on loopback allowed.
#[derive(Clone, Debug, Default)]
pub(crate) struct OperatorOptions {
    /// `--namespace` for each; empty: all.
    pub(crate) namespaces: Vec<String>,
    /// As whom it runs and by which way; none: as the administrator.
    pub(crate) kubeconfig: Option<Kubeconfig>,
    /// Further arguments.
    pub(crate) args: Vec<String>,
    /// Its environment, `KUBECONFIG`, `KUBERNETES_SERVICE_HOST`, `RUST_LOG` and `PATH` aside. An entry of those names replaces
    /// ours.
    pub(crate) env: Vec<(String, String)>,
}

/// A running operator; killed when dropped. Its log is shown where the test fails.
pub(crate) struct Operator {
    process: Process,
    port: u16,
    health_port: u16,
    http: reqwest::Client,
}

impl Operator {
    /// Starts it and waits for `/readyz`.
    pub(crate) async fn start(cluster: &Cluster, options: OperatorOptions) -> anyhow::Result<Self> {
        let mut operator = Self::spawn(cluster, options)?;
        operator.ready().await?;
        Ok(operator)
    }

    /// Starts it and does not wait, for a test of how it starts.
    pub(crate) fn spawn(cluster: &Cluster, options: OperatorOptions) -> anyhow::Result<Self> {
        let (port, health_port) = (free_port()?, free_port()?);
        let kubeconfig = match options.kubeconfig {
            Some(kubeconfig) => kubeconfig,
            None => cluster.admin()?,
        };
        let mut args = vec![
            "run".to_owned(),
            format!("--listen=127.0.0.1:{port}"),
            format!("--listen-health=127.0.0.1:{health_port}"),
            "--allow-http".to_owned(),
            "--allow-cidr=127.0.0.0/8".to_owned(),
        ];
        args.extend(options.namespaces.iter().map(|namespace| format!("--namespace={namespace}")));
        args.extend(options.args);
        let mut env = vec![
            ("KUBECONFIG".to_owned(), kubeconfig.path().display().to_string()),
            ("RUST_LOG".to_owned(), "info,caas_operator=debug".to_owned()),
            // As in a pod, where the kubelet sets it.
            ("KUBERNETES_SERVICE_HOST".to_owned(), "127.0.0.1".to_owned()),
        ];
        env.extend(options.env);
        // Names another build to test: an optimized one.
        let path = std::env::var_os("CAAS_TEST_PROGRAM")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_caas-operator")), PathBuf::from);
        let program = Program { name: cluster.unique("operator"), path, args, env };
        let process = Process::start(cluster.scratch(), &program)?;
        let http = reqwest::Client::builder().no_proxy().timeout(READY_WITHIN).build()?;
        Ok(Self { process, port, health_port, http })
    }

    /// Waits for `/readyz`; fails with the end of its log where it ends instead.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + READY_WITHIN;
        loop {
            let seen = match self.health("/readyz").await {
                Ok((200, _)) => return Ok(()),
                Ok((code, body)) => format!("/readyz says {code} {body}"),
                Err(error) => format!("/readyz: {error:#}"),
            };
            if let Some(code) = self.process.exited()? {
                bail!(
                    "the operator ended with code {code} before it was ready\n{}",
                    self.process.log_tail(60)
                );
            }
            if Instant::now() > end {
                bail!(
                    "the operator was not ready within {READY_WITHIN:?}: {seen}\n{}",
                    self.process.log_tail(60)
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where accounts are scraped: `http://127.0.0.1:<port>`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// The URL of a path at the port for probes.
    pub(crate) fn health_url(&self, path: &str) -> String {
        format!("http://{}:{}{path}", Ipv4Addr::LOCALHOST, self.health_port)
    }

    /// `GET` on the port for scrapes, such as `/accounts/team-a/acme/metrics`: code and body.
    pub(crate) async fn scrape(&self, path: &str) -> anyhow::Result<(u16, String)> {
        self.get(self.port, path).await
    }

    /// `GET` on the port for probes: code and body.
    pub(crate) async fn health(&self, path: &str) -> anyhow::Result<(u16, String)> {
        self.get(self.health_port, path).await
    }

    async fn get(&self, port: u16, path: &str) -> anyhow::Result<(u16, String)> {
        let answer = self.http.get(format!("http://127.0.0.1:{port}{path}")).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Everything it has logged.
    pub(crate) fn logs(&self) -> String {
        self.process.log()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.process.pid()
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> anyhow::Result<u64> {
        self.process.resident_kib()
    }

    /// The most that it was so far, in KiB.
    pub(crate) fn peak_resident_kib(&self) -> anyhow::Result<u64> {
        self.process.peak_resident_kib()
    }

    /// The exit code, where it has ended.
    pub(crate) fn exited(&mut self) -> anyhow::Result<Option<i32>> {
        self.process.exited()
    }

    /// Sends a signal by its name without `SIG`, such as `STOP`, and does not wait.
    pub(crate) fn signal(&mut self, signal: &str) {
        self.process.signal(signal);
    }

    /// It holds still, its connections open: nothing is answered or renewed.
    pub(crate) async fn freeze(&mut self) -> anyhow::Result<()> {
        self.process.freeze().await
    }

    /// It goes on.
    pub(crate) fn thaw(&mut self) {
        self.process.thaw();
    }

    /// SIGTERM; returns the exit code, or fails where it has not ended within `grace`.
    pub(crate) async fn stop(&mut self, grace: Duration) -> anyhow::Result<i32> {
        let code = self.process.terminate(grace).await?;
        if code == 137 {
            bail!("the operator did not end within {grace:?} after SIGTERM\n{}", self.process.log_tail(60));
        }
        Ok(code)
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill().await.map(drop)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // The test runner shows what a test printed where it failed, and only there.
        eprintln!("{}", self.process.log_tail(80));
    }
}
