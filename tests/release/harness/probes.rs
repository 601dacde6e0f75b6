//! A container's probes over HTTP, as the kubelet runs them: startup first, then liveness and readiness. Only reports their results.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// The result of a container's probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// It has started.
    pub(crate) started: bool,
    /// It is ready for requests.
    pub(crate) ready: bool,
    /// It has to be restarted.
    pub(crate) dead: bool,
}

/// One probe, ready to run.
struct Check {
    url: String,
    client: reqwest::Client,
    period: Duration,
    delay: Duration,
    failures: i32,
    successes: i32,
}

/// Runs the probes of a container that has just started, until dropped.
pub(crate) async fn watch_health(container: &Container, address: Ipv4Addr, health: &watch::Sender<Health>) {
    let check = |probe: &Option<Probe>| {
        probe.as_ref().map(|probe| Check::new(probe, container, address).expect("a probe over HTTP"))
    };
    if let Some(startup) = check(&container.startup_probe)
        && !startup.settles_on().await
    {
        health.send_modify(|health| health.dead = true);
        return;
    }
    health.send_modify(|health| health.started = true);
    let live = async {
        if let Some(liveness) = check(&container.liveness_probe) {
            liveness.until_it_fails().await;
            health.send_modify(|health| health.dead = true);
        }
    };
    let ready = async {
        match check(&container.readiness_probe) {
            Some(readiness) => {
                readiness.follow(|ready| health.send_modify(|health| health.ready = ready)).await;
            }
            None => health.send_modify(|health| health.ready = true),
        }
    };
    tokio::join!(live, ready);
}

impl Check {
    fn new(probe: &Probe, container: &Container, address: Ipv4Addr) -> anyhow::Result<Self> {
        let action = probe.http_get.as_ref().context("this kubelet knows probes over HTTP only")?;
        let port = port(action, container)?;
        let path = action.path.as_deref().unwrap_or("/");
        let seconds = |value: Option<i32>, default: u32| {
            let seconds = value.and_then(|value| u32::try_from(value).ok()).unwrap_or(default);
            Duration::from_secs(seconds.into())
        };
        Ok(Self {
            url: format!("http://{address}:{port}{path}"),
            client: reqwest::Client::builder()
                .no_proxy()
                .timeout(seconds(probe.timeout_seconds, 1))
                .build()?,
            period: seconds(probe.period_seconds, 10),
            delay: seconds(probe.initial_delay_seconds, 0),
            failures: probe.failure_threshold.unwrap_or(3),
            successes: probe.success_threshold.unwrap_or(1),
        })
    }

    /// Whether it holds before it has failed too often.
    async fn settles_on(&self) -> bool {
        let mut result = false;
        self.run(|says| {
            result = says;
            true
        })
        .await;
        result
    }

    async fn until_it_fails(&self) {
        self.run(|says| !says).await;
    }

    async fn follow(&self, mut tell: impl FnMut(bool)) {
        self.run(|says| {
            tell(says);
            false
        })
        .await;
    }

    /// Reports each change of the result, by the thresholds, until stopped.
    async fn run(&self, mut enough: impl FnMut(bool) -> bool) {
        tokio::time::sleep(self.delay).await;
        let mut ticks = interval(self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut failed, mut succeeded, mut said) = (0, 0, None);
        loop {
            ticks.tick().await;
            let answer = self.client.get(&self.url).send().await;
            let holds = answer.is_ok_and(|answer| answer.status().is_success());
            (failed, succeeded) = if holds { (0, succeeded + 1) } else { (failed + 1, 0) };
            let says = match holds {
                true if succeeded >= self.successes => true,
                false if failed >= self.failures => false,
                _ => continue,
            };
            if said != Some(says) && enough(says) {
                return;
            }
            said = Some(says);
        }
    }
}

/// A port by number, or by its name in the container.
fn port(action: &HTTPGetAction, container: &Container) -> anyhow::Result<i32> {
    match &action.port {
        IntOrString::Int(port) => Ok(*port),
        IntOrString::String(name) => {
            let ports = container.ports.as_deref().unwrap_or_default();
            match ports.iter().find(|port| port.name.as_ref() == Some(name)) {
                Some(port) => Ok(port.container_port),
                None => bail!("the container has no port {name}"),
            }
        }
    }
}
