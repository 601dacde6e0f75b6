//! etcd, kube-apiserver and kube-controller-manager, running. Knows when they start and stop; their flags are in
//! [`super::programs`], what clients need in [`super::cluster`].

use std::net::Ipv4Addr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, DeleteParams};
use tokio::sync::OnceCell;

use super::audit::POLICY;
use super::cluster::Cluster;
use super::ports::free_port;
use super::process::Process;
use super::programs::{self, ETCD_DATA, Ports};
use super::scratch::Scratch;

/// Some 5 s on two free cores; the rest is for a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(300);
const GRACE: Duration = Duration::from_secs(15);

/// The first of the addresses that the API server gives to Services, and so that of `kubernetes`.
const SERVICE_ADDRESS: &str = "10.96.0.1";

static SHARED: OnceCell<Result<ControlPlane, String>> = OnceCell::const_new();

/// A control plane; gone with all its processes and files when dropped, or with the test process.
pub(crate) struct ControlPlane {
    cluster: Cluster,
    ports: Ports,
    etcd: Process,
    api_server: Option<Process>,
    controller_manager: Option<Process>,
}

/// etcd's data as it was; for [`ControlPlane::etcd_restore`] of the same control plane.
pub(crate) struct Snapshot {
    data: PathBuf,
}

impl ControlPlane {
    /// The control plane of this test binary, started by the first test that asks, with the project's CRDs and ServiceMonitors.
    /// It is shared, so nobody can stop it or take a CRD away: for that there is [`ControlPlane::own`].
    ///
    /// # Panics
    /// Where it did not start, in every test that asks.
    pub(crate) async fn shared() -> &'static Self {
        let start = async || -> anyhow::Result<Self> {
            let plane = Self::own().await?;
            plane.install_our_crds().await?;
            plane.install_service_monitors().await?;
            Ok(plane)
        };
        let shared = SHARED.get_or_init(async || start().await.map_err(|error| format!("{error:#}"))).await;
        match shared {
            Ok(plane) => plane,
            Err(error) => panic!("the control plane did not start: {error}"),
        }
    }

    /// A new control plane without any CRD, for a test that stops, restarts or restores it.
    pub(crate) async fn own() -> anyhow::Result<Self> {
        Self::own_at(Ipv4Addr::LOCALHOST).await
    }

    /// The same at an address of the machine's, from which Pods can reach it as the Service `kubernetes`.
    pub(crate) async fn own_at(address: Ipv4Addr) -> anyhow::Result<Self> {
        install_tls_provider();
        let mut attempt = 1;
        loop {
            match Self::start(address).await {
                // Another process was quicker to take a port that was free.
                Err(error) if attempt < 4 && format!("{error:#}").contains("address already in use") => {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn start(address: Ipv4Addr) -> anyhow::Result<Self> {
        let scratch = Scratch::new()?;
        let ports = Ports { address, etcd: free_port()?, api_server: free_port()? };
        let url = format!("https://{address}:{}", ports.api_server);
        let names = ["localhost", SERVICE_ADDRESS, "kubernetes.default.svc"].map(str::to_owned);
        let cluster =
            Cluster::new(Arc::clone(&scratch), url, &[&names[..], &[address.to_string()]].concat())?;
        std::fs::write(scratch.file("audit-policy.json"), POLICY)?;
        let etcd = Process::start(&scratch, &programs::etcd(&scratch, ports))?;
        let mut plane = Self { cluster, ports, etcd, api_server: None, controller_manager: None };
        plane.start_api_server().await?;
        plane.start_controllers().await?;
        Ok(plane)
    }

    /// What clients need; the control plane itself lends all of it.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Starts the API server, where it does not run, and waits until it is ready.
    pub(crate) async fn start_api_server(&mut self) -> anyhow::Result<()> {
        if self.api_server.is_none() {
            let scratch = self.cluster.scratch();
            self.api_server = Some(Process::start(scratch, &programs::api_server(scratch, self.ports))?);
        }
        self.ready().await
    }

    /// Stops the API server as an upgrade does: SIGTERM, watches closed.
    pub(crate) async fn stop_api_server(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.api_server.take() {
            process.terminate(GRACE).await?;
        }
        Ok(())
    }

    /// Ends the API server as a crash does: SIGKILL.
    pub(crate) async fn kill_api_server(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.api_server.take() {
            process.kill().await?;
        }
        Ok(())
    }

    /// Stops and starts the API server.
    pub(crate) async fn restart_api_server(&mut self) -> anyhow::Result<()> {
        self.stop_api_server().await?;
        self.start_api_server().await
    }

    /// The API server holds still: connections stay, and new ones are taken by the kernel, but nothing is answered.
    pub(crate) async fn freeze_api_server(&mut self) -> anyhow::Result<()> {
        match &mut self.api_server {
            Some(process) => process.freeze().await,
            None => Ok(()),
        }
    }

    /// It goes on.
    pub(crate) fn thaw_api_server(&mut self) {
        if let Some(process) = &mut self.api_server {
            process.thaw();
        }
    }

    /// Stops the controllers for good: what is left for the garbage collector stays.
    pub(crate) async fn stop_controllers(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.controller_manager.take() {
            process.terminate(GRACE).await?;
        }
        Ok(())
    }

    /// Copies etcd's data while etcd holds still: what a SIGKILL at that moment would have left. Clients notice nothing.
    pub(crate) async fn etcd_snapshot(&mut self) -> anyhow::Result<Snapshot> {
        let scratch = Arc::clone(self.cluster.scratch());
        let data = scratch.file(&self.cluster.unique("snapshot"));
        self.etcd.freeze().await?;
        let copied = copy_folder(&scratch.file(ETCD_DATA), &data);
        self.etcd.thaw();
        copied.map(|()| Snapshot { data })
    }

    /// Takes everything down and brings it up with the older data, as after a disaster: resourceVersions go back, and what
    /// was written since is gone.
    pub(crate) async fn etcd_restore(&mut self, snapshot: &Snapshot) -> anyhow::Result<()> {
        self.controller_manager = None;
        self.stop_api_server().await?;
        self.etcd.kill().await?;
        let scratch = Arc::clone(self.cluster.scratch());
        std::fs::remove_dir_all(scratch.file(ETCD_DATA))?;
        copy_folder(&snapshot.data, &scratch.file(ETCD_DATA))?;
        self.etcd = Process::start(&scratch, &programs::etcd(&scratch, self.ports))?;
        self.start_api_server().await?;
        self.start_controllers().await
    }

    /// Names, process ids and resident memory in KiB of the servers that run.
    pub(crate) fn processes(&self) -> anyhow::Result<Vec<(&'static str, u32, u64)>> {
        let named = [
            ("etcd", Some(&self.etcd)),
            ("kube-apiserver", self.api_server.as_ref()),
            ("kube-controller-manager", self.controller_manager.as_ref()),
        ];
        let running = named.into_iter().filter_map(|(name, process)| Some((name, process?)));
        running.map(|(name, process)| Ok((name, process.pid()?, process.resident_kib()?))).collect()
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let http = self.cluster.http_client()?;
        let url = format!("{}/readyz", self.cluster.url());
        let end = Instant::now() + READY_WITHIN;
        loop {
            let api_server = self.api_server.as_mut().context("the API server was not started")?;
            for process in [&mut self.etcd, &mut *api_server] {
                if let Some(code) = process.exited()? {
                    bail!("a server ended with code {code}\n{}", process.log_tail(30));
                }
            }
            let answer = http.get(&url).timeout(Duration::from_secs(5)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if Instant::now() > end {
                let logs = [self.etcd.log_tail(30), api_server.log_tail(30)].join("\n");
                bail!("the API server was not ready within {READY_WITHIN:?}\n{logs}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts the controllers and waits until they work, since an API server that goes away while they start ends them: they
    /// have made the `ServiceAccount` of a namespace, where one from before them was taken away.
    async fn start_controllers(&mut self) -> anyhow::Result<()> {
        let scratch = self.cluster.scratch();
        let process = Process::start(scratch, &programs::controller_manager(scratch))?;
        let manager = self.controller_manager.insert(process);
        let accounts: Api<ServiceAccount> = Api::namespaced(self.cluster.client().await?, "default");
        match accounts.delete("default", &DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error.into()),
        }
        let end = Instant::now() + READY_WITHIN;
        while accounts.get_opt("default").await?.is_none() {
            let ended = manager.exited()?;
            if ended.is_some() || Instant::now() > end {
                bail!("the controller manager does nothing (exit code {ended:?})\n{}", manager.log_tail(30));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

impl Deref for ControlPlane {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

/// Once a process: with none installed the first TLS connection panics.
fn install_tls_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // It only fails where one is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
