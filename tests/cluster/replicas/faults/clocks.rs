//! Wall clocks are wrong.

use anyhow::{Context, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::Api;
use tokio::time::Instant;

use crate::harness::ControlPlane;
use crate::replicas::clock::shifted;
use crate::replicas::figures::{Figures, row};
use crate::replicas::group::{EXPIRY, Group, INTERVAL, Price, Start, passed};

/// Five hours: much more than any time in the rules of the replicas.
const WRONG: i64 = 5 * 3600;

/// By how many seconds the clock of the holder of this Lease is wrong, as far as its renewals tell.
async fn clock_of(group: &Group, replica: &str) -> anyhow::Result<i64> {
    let leases: Api<Lease> = group.namespace.api();
    let lease = leases.get(&format!("caas-operator-{replica}")).await?;
    let renewed = lease.spec.and_then(|spec| spec.renew_time).context("it was renewed")?;
    Ok(renewed.0.as_second() - Timestamp::now().as_second())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn wall_clocks_that_are_wrong_by_hours_move_no_account_and_hide_no_death() -> anyhow::Result<()> {
    row("7, wrong wall clocks", async || {
        let plane = ControlPlane::shared().await;
        let mut replicas = vec![("a", Start::default())];
        for (name, seconds) in [("b", WRONG), ("c", -WRONG)] {
            replicas.push((name, Start { env: shifted(plane, seconds)?, ..Start::default() }));
        }
        let mut group = Group::with(plane, "replicas-clocks", INTERVAL, replicas).await?;
        for (name, seconds) in [("a", 0), ("b", WRONG), ("c", -WRONG)] {
            let by = clock_of(&group, name).await?;
            ensure!((by - seconds).abs() < 600, "the clock of {name} is wrong by {by} s");
        }
        let (before, moves, at) = (group.until_shared().await, group.moves().await?, Instant::now());
        // Until long after each could take another for dead.
        passed(2 * EXPIRY).await;
        ensure!(group.until_shared().await == before, "accounts have moved");
        let mut figures = Figures::default();
        figures.count("moves", group.moves().await? - moves, 0);
        figures.time("gap", group.longest_gap(group.accounts(), at), INTERVAL);
        group.seen(&mut figures, at, Price::NONE).await?;

        let killed = Instant::now();
        group.kill("b").await?;
        group.until_shared().await;
        let gap = group.longest_gap(group.accounts(), killed);
        figures.time("gap after SIGKILL", gap, EXPIRY + INTERVAL);
        Ok(figures)
    })
    .await
}
