//! The ServiceMonitor of an account: what is in it, that it stays so, and what is said where it cannot be.

mod content;
mod crd;
mod discovery;
mod owners;
mod refused;
mod switched_off;

use anyhow::{Context, ensure};
use kube::api::DynamicObject;

use crate::fixture::{DEADLINE, Fixture};
use crate::harness::{ControlPlane, until};

async fn fixture(hint: &str) -> anyhow::Result<Fixture> {
    Fixture::new(ControlPlane::shared().await.namespace(hint).await?).await
}

/// The ServiceMonitor of `acme`, once it is as `check` wants it.
async fn monitor(fixture: &Fixture, awaited: &str, check: impl Fn(&DynamicObject) -> bool) -> DynamicObject {
    until(DEADLINE, awaited, async || {
        let found = fixture.monitors().get_opt("caas-acme").await?.context("there is none")?;
        ensure!(check(&found), "{}", serde_json::to_string(&found.data)?);
        Ok(found)
    })
    .await
}

/// Waits until `acme` has no ServiceMonitor.
async fn no_monitor(fixture: &Fixture) {
    until(DEADLINE, "the ServiceMonitor to go", async || {
        ensure!(fixture.monitors().get_opt("caas-acme").await?.is_none(), "it still exists");
        Ok(())
    })
    .await;
}
