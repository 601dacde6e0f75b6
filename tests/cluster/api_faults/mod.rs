//! The API server fails, refuses, hangs or is away: collection goes on, nothing storms, and reconciles resume by themselves.
//! What the real one does not do on demand, a proxy in front of it does.

mod calls;
mod deletions;
mod outages;
mod watches;

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;

use crate::fixture::{DEADLINE, Fixture};
use crate::harness::{Calls, ControlPlane, Operator, OperatorOptions, Proxy, until};

const STATUS: &str = "caasaccounts.caas-operator.io/status";

/// An operator of one namespace, with a proxy between it and the API server.
struct Given {
    fixture: Fixture,
    proxy: Proxy,
    operator: Operator,
}

async fn given(hint: &str) -> anyhow::Result<Given> {
    let plane = ControlPlane::shared().await;
    let fixture = Fixture::new(plane.namespace(hint).await?).await?;
    let proxy = Proxy::start(plane).await?;
    let kubeconfig = Some(proxy.kubeconfig(&plane.admin()?)?);
    let operator = Operator::start(plane, OperatorOptions { kubeconfig, ..fixture.options() }).await?;
    Ok(Given { fixture, proxy, operator })
}

/// Waits until the proxy has seen so many calls.
async fn seen(proxy: &Proxy, calls: &Calls, times: usize) {
    until(DEADLINE, &format!("{times} of {calls:?}"), async || {
        let seen = proxy.count(calls);
        ensure!(seen >= times, "{seen} so far");
        Ok(())
    })
    .await;
}

/// The time from each call to the next.
fn gaps(proxy: &Proxy, calls: &Calls) -> Vec<Duration> {
    let times: Vec<Instant> = proxy.seen(calls).iter().map(|seen| seen.at).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}
