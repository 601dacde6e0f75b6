//! The API server is away, for all replicas or for one.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;

use crate::harness::{Calls, ControlPlane, Fault, Proxy, Times, until};
use crate::operator_fixture::DEADLINE;
use crate::replicas::figures::{Figures, row};
use crate::replicas::group::{EXPIRY, Group, INTERVAL, Price, Start, passed};

/// How long the API server is away: several times as long as a Lease is valid.
const AWAY: Duration = Duration::from_secs(60);

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn while_the_api_server_is_away_for_all_each_goes_on_and_nothing_moves() -> anyhow::Result<()> {
    row("5, API server stopped", async || {
        let mut plane = ControlPlane::own().await?;
        plane.install_our_crds().await?;
        plane.install_service_monitors().await?;
        let replicas = ["a", "b", "c"].map(|name| (name, Start::default())).into();
        let group = Group::with(&plane, "replicas-away", INTERVAL, replicas).await?;
        let (before, moves, at) = (group.until_shared().await, group.moves().await?, Instant::now());
        plane.stop_api_server().await?;
        passed(AWAY).await;
        ensure!(group.owners().await? == before, "accounts have moved");
        plane.start_api_server().await?;
        // Until long after each could take another for dead.
        passed(2 * EXPIRY).await;
        ensure!(group.until_shared().await == before, "accounts have moved");
        let mut figures = Figures::default();
        figures.count("moves", group.moves().await? - moves, 0);
        figures.time("gap", group.longest_gap(group.accounts(), at), INTERVAL);
        figures.count("cycles in an interval", group.most_cycles(at), 2);
        group.seen(&mut figures, at, Price::NONE).await?;
        Ok(figures)
    })
    .await
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_accounts_of_one_that_is_cut_off_are_taken_over_and_it_stops_when_it_sees_so()
-> anyhow::Result<()> {
    row("4, one cut off", async || {
        let plane = ControlPlane::shared().await;
        let proxy = Proxy::start(plane).await?;
        let by_proxy = Start { kubeconfig: Some(proxy.kubeconfig(&plane.admin()?)?), ..Start::default() };
        let replicas = vec![("a", Start::default()), ("b", by_proxy), ("c", Start::default())];
        let group = Group::with(plane, "replicas-cut", INTERVAL, replicas).await?;
        let before = group.until_shared().await;
        let at = Instant::now();
        proxy.inject(Calls::all(), Fault::Cut, Times::Always);
        proxy.cut_connections();
        until(DEADLINE, "the others to collect all accounts", async || {
            let collected = group.collected().await?;
            let missing = before
                .keys()
                .find(|account| !collected["a"].contains(*account) && !collected["c"].contains(*account));
            ensure!(missing.is_none(), "{missing:?} is not");
            Ok(())
        })
        .await;
        let taken_over = at.elapsed();
        let collected = group.collected().await?;
        for (account, _) in before.iter().filter(|(_, owner)| **owner == "b") {
            ensure!(collected["b"].contains(account), "{account}: it does not go on without the API server");
        }
        // Both ask for a while, as they do until it sees that.
        passed(2 * INTERVAL).await;
        proxy.heal();
        let healed = Instant::now();
        until(DEADLINE, "it to stop", async || {
            let collected = &group.collected().await?["b"];
            ensure!(collected.is_empty(), "it collects {collected:?}");
            Ok(())
        })
        .await;
        let stopped = healed.elapsed();
        group.until_owned_as(&before).await;
        let mut figures = Figures::default();
        figures.time("taken over after", taken_over, Duration::from_secs(20));
        // The retry of a round, and the backoff of the client.
        figures.time("stops after", stopped, Duration::from_secs(4));
        figures.time("gap", group.longest_gap(group.accounts(), at), 2 * INTERVAL);
        figures.note("cycles in an interval", group.most_cycles(at) as f64, "");
        // Both are asked in turn while both collect; the one that is cut off answers what the other has.
        group.seen(&mut figures, at, Price { failed: None, older: Some(0) }).await?;
        Ok(figures)
    })
    .await
}
