//! The API server is away, for all replicas or for one.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;

use super::fixture::{Group, INTERVAL, SLACK, passed};
use crate::harness::{Calls, ControlPlane, Fault, Proxy, Times, until};
use crate::operator_fixture::DEADLINE;

/// How long the API server is away: several times as long as a Lease is valid.
const AWAY: Duration = Duration::from_secs(45);

/// Cuts every call through this proxy, and all that is open.
fn cut(proxy: &Proxy) {
    proxy.inject(Calls::all(), Fault::Cut, Times::Always);
    proxy.cut_connections();
}

/// Replicas `a`, `b` and `c`, all by these proxies in turn.
async fn group(hint: &str, proxies: [&Proxy; 3]) -> anyhow::Result<Group> {
    let mut group = Group::new(hint, 9).await?;
    for (name, proxy) in ["a", "b", "c"].into_iter().zip(proxies) {
        let kubeconfig = proxy.kubeconfig(&group.namespace.cluster().admin()?)?;
        group.start(name, Some(kubeconfig)).await?;
    }
    Ok(group)
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn while_the_api_server_is_away_for_all_each_goes_on_and_nothing_moves() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let proxy = Proxy::start(plane).await?;
    let group = group("replicas-away", [&proxy; 3]).await?;
    let (before, moves, at) = (group.until_shared().await, group.moves().await?, Instant::now());
    cut(&proxy);
    passed(AWAY).await;
    assert_eq!(group.owners().await?, before);
    proxy.heal();
    // Until long after each could take another for dead.
    passed(Duration::from_secs(30)).await;
    assert_eq!(group.until_shared().await, before);
    assert_eq!(group.moves().await?, moves);
    for account in group.accounts() {
        let gap = group.longest_gap(account, at);
        assert!(gap <= INTERVAL + SLACK, "{account}: {gap:?} without a cycle");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_accounts_of_one_that_is_cut_off_are_taken_over_and_it_stops_when_it_sees_so()
-> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let (proxy, own) = (Proxy::start(plane).await?, Proxy::start(plane).await?);
    let group = group("replicas-cut", [&proxy, &own, &proxy]).await?;
    let before = group.until_shared().await;
    let at = Instant::now();
    cut(&own);
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
    eprintln!("taken over after {taken_over:?}");
    assert!(taken_over <= Duration::from_secs(20) + SLACK, "{taken_over:?}");
    let collected = group.collected().await?;
    let own_before = before.iter().filter(|(_, owner)| **owner == "b").map(|(account, _)| account);
    for account in own_before {
        assert!(collected["b"].contains(account), "{account}: it does not go on without the API server");
    }
    own.heal();
    until(DEADLINE, "each account to be where it was", async || {
        let owners = group.owners().await?;
        ensure!(owners == before, "{owners:?}");
        Ok(())
    })
    .await;
    for account in group.accounts() {
        let gap = group.longest_gap(account, at);
        assert!(gap <= 2 * INTERVAL + SLACK, "{account}: {gap:?} without a cycle");
    }
    Ok(())
}
