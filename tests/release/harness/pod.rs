//! The lifecycle of one Pod with one container: started, probed, restarted when it exits, stopped when it is deleted.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Client, ResourceExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::container::Container;
use super::network::PodNetwork;
use super::probes::{Health, watch_health};
use super::status::{State, status};
use super::volumes::Volumes;
use crate::control::process::Process;
use crate::control::scratch::Scratch;

/// How often a container is checked.
const LOOK: Duration = Duration::from_millis(50);

/// Delay before a container that has exited is restarted.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// What every Pod needs.
pub(crate) struct Surroundings {
    pub(crate) client: Client,
    pub(crate) scratch: Arc<Scratch>,
    /// The program in the operator's image.
    pub(crate) binary: PathBuf,
    /// Failures on this node that Kubernetes would hide by a restart.
    pub(crate) complaints: Arc<Mutex<Vec<String>>>,
}

impl Surroundings {
    fn complain(&self, pod: &str, what: &str) {
        eprintln!("kubelet: Pod {pod}: {what}");
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{pod}: {what}"));
    }
}

/// A Pod on this node.
pub(crate) struct Life {
    surroundings: Arc<Surroundings>,
    pod: watch::Receiver<Pod>,
    network: PodNetwork,
    restarts: i32,
}

/// A running container with its probes.
struct Running {
    process: Process,
    health: watch::Receiver<Health>,
    probing: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.probing.abort();
    }
}

impl Life {
    /// Runs a Pod that is bound to this node; the channel delivers changes of the Pod.
    pub(crate) fn new(
        surroundings: Arc<Surroundings>,
        pod: watch::Receiver<Pod>,
        network: PodNetwork,
    ) -> Self {
        Self { surroundings, pod, network, restarts: 0 }
    }

    /// Runs until the Pod is deleted, then removes the object.
    pub(crate) async fn live(mut self) {
        if let Err(error) = self.try_live().await {
            let message = format!("{error:#}");
            self.surroundings.complain(&self.pod.borrow().name_any(), &message);
            let _ = self.tell(&State::Waiting(message), &now()).await;
            // Until somebody deletes it.
            let _ = self.pod.wait_for(|pod| pod.metadata.deletion_timestamp.is_some()).await;
        }
        if let Err(error) = self.bury().await {
            eprintln!("kubelet: Pod {}: {error:#}", self.pod.borrow().name_any());
        }
    }

    async fn try_live(&mut self) -> anyhow::Result<()> {
        loop {
            let mut running = self.start().await?;
            let started = now();
            let mut told = None;
            let ended = loop {
                let deleted = self.pod.borrow().metadata.deletion_timestamp.is_some();
                if deleted {
                    return self.stop(running).await;
                }
                let health = *running.health.borrow();
                if told != Some(health) {
                    self.tell(&State::Running(health), &started).await?;
                    told = Some(health);
                }
                if health.dead {
                    break running.process.kill().await?;
                }
                if let Some(code) = running.process.exited()? {
                    break code;
                }
                tokio::select! {
                    changed = self.pod.changed() => changed?,
                    changed = running.health.changed() => changed?,
                    () = tokio::time::sleep(LOOK) => {}
                }
            };
            let log = running.process.log_tail(20);
            let what = format!("the container ended with {ended} and starts anew\n{log}");
            self.surroundings.complain(&self.pod.borrow().name_any(), &what);
            self.restarts += 1;
            self.tell(&State::Ended(ended), &started).await?;
            tokio::time::sleep(RESTART_AFTER).await;
        }
    }

    async fn start(&self) -> anyhow::Result<Running> {
        let pod = self.pod.borrow().clone();
        let spec = pod.spec.as_ref().context("a Pod without a spec")?;
        ensure!(spec.containers.len() == 1, "this kubelet knows Pods of one container");
        let container = &spec.containers[0];
        let image = container.image.as_deref().unwrap_or_default();
        ensure!(image.contains("/caas-operator"), "there is no image {image} on this node");
        ensure!(container.command.is_none(), "this kubelet knows the image's own program only");

        let Surroundings { client, scratch, binary, .. } = &*self.surroundings;
        let name = format!("{}-{}", pod.name_any(), self.restarts);
        let volumes = Volumes::of(client.clone(), &pod, self.network.address);
        let mounts = volumes.write(container, &scratch.file(&format!("volumes-{name}"))).await?;
        let env = volumes.environment(container).await?;
        let user = spec.security_context.as_ref().and_then(|it| Some((it.run_as_user?, it.run_as_group?)));
        let program = Container {
            name,
            network: Some(self.network.name.clone()),
            user,
            mounts,
            path: binary.clone(),
            args: container.args.clone().unwrap_or_default(),
            env,
        };
        let process = Process::start(scratch, &program.program())?;
        let (tell, health) = watch::channel(Health::default());
        let (container, address) = (container.clone(), self.network.address);
        let probing = tokio::spawn(async move { watch_health(&container, address, &tell).await });
        Ok(Running { process, health, probing })
    }

    /// SIGTERM, and SIGKILL after the Pod's grace period.
    async fn stop(&self, mut running: Running) -> anyhow::Result<()> {
        let grace = self.pod.borrow().metadata.deletion_grace_period_seconds.unwrap_or(30);
        let code = running.process.terminate(Duration::from_secs(grace.try_into()?)).await?;
        ensure!(code == 0, "ended with {code} after SIGTERM\n{}", running.process.log_tail(30));
        Ok(())
    }

    async fn tell(&self, state: &State, started: &str) -> anyhow::Result<()> {
        let pod = self.pod.borrow().clone();
        let patch = status(&pod, self.network.address, state, self.restarts, started, &now());
        let result =
            self.pods().patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await;
        match result {
            // Deleted by force: the channel will say so.
            Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }

    async fn bury(&self) -> anyhow::Result<()> {
        self.network.remove().await?;
        let pod = self.pod.borrow().clone();
        let this_one = Preconditions { uid: pod.uid(), resource_version: None };
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(this_one),
            ..DeleteParams::default()
        };
        match self.pods().delete(&pod.name_any(), &params).await {
            Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }

    fn pods(&self) -> Api<Pod> {
        let namespace = self.pod.borrow().namespace().unwrap_or_default();
        Api::namespaced(self.surroundings.client.clone(), &namespace)
    }
}

fn now() -> String {
    jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).expect("a time").to_string()
}
