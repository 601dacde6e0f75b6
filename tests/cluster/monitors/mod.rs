//! The ServiceMonitor of an account: what is in it, that it stays so, and what is said where it cannot be.

mod content;
mod definitions;
mod discovery;
mod owners;
mod refused;
mod switched_off;

use anyhow::{Context, ensure};
use kube::api::DynamicObject;

use crate::harness::{ControlPlane, until};
use crate::stage::{PATIENCE, Stage};

async fn stage(hint: &str) -> anyhow::Result<Stage> {
    Stage::set(ControlPlane::shared().await.namespace(hint).await?).await
}

/// The ServiceMonitor of `acme`, once it is as `check` wants it.
async fn monitor(stage: &Stage, awaited: &str, check: impl Fn(&DynamicObject) -> bool) -> DynamicObject {
    until(PATIENCE, awaited, async || {
        let stands = stage.monitors().get_opt("caas-acme").await?.context("there is none")?;
        ensure!(check(&stands), "{}", serde_json::to_string(&stands.data)?);
        Ok(stands)
    })
    .await
}

/// Waits until `acme` has no ServiceMonitor.
async fn no_monitor(stage: &Stage) {
    until(PATIENCE, "the ServiceMonitor to go", async || {
        ensure!(stage.monitors().get_opt("caas-acme").await?.is_none(), "it still stands");
        Ok(())
    })
    .await;
}
