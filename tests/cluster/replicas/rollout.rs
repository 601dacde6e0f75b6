//! Replicas come and go in an orderly way.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams};
use tokio::time::Instant;

use super::fixture::{Group, INTERVAL, SLACK};
use crate::harness::until;
use crate::operator_fixture::DEADLINE;

/// Kubernetes' own time from SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(30);

/// How long a new owner leaves an account to a live one.
const HANDOVER: Duration = Duration::from_secs(6);

/// Within this time an account begins one cycle.
const LESS_THAN_AN_INTERVAL: Duration = Duration::from_secs(4);

/// The holders of the group's Leases.
async fn holders(group: &Group) -> anyhow::Result<Vec<String>> {
    let leases: Api<Lease> = group.namespace.api();
    let listed =
        leases.list(&ListParams::default().labels("caas-operator.io/replicas-of=caas-operator")).await?;
    Ok(listed.into_iter().filter_map(|lease| lease.spec?.holder_identity).collect())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn three_replicas_become_five_and_then_two_and_no_cycle_is_lost() -> anyhow::Result<()> {
    let mut group = Group::of_three("replicas-rollout").await?;
    let (mut owners, at) = (group.until_shared().await, Instant::now());
    let mut moved: Vec<String> = Vec::new();
    for name in ["d", "e"] {
        group.start(name, None).await?;
    }
    let mut settle = async |group: &Group| {
        let now = group.until_shared().await;
        let others = owners.iter().filter(|(account, owner)| now[*account] != **owner);
        moved.extend(others.map(|(account, _)| account.clone()));
        owners = now;
    };
    settle(&group).await;
    for name in ["a", "b", "c"] {
        group.replica(name)?.signal("TERM");
    }
    let mut leaving: Vec<_> = ["a", "b", "c"].iter().filter_map(|name| group.replicas.remove(name)).collect();
    settle(&group).await;
    for operator in &mut leaving {
        let code = until(GRACE, "the end", async || operator.exited()?.context("it still runs")).await;
        assert_eq!(code, 0);
    }
    assert_eq!(holders(&group).await?, ["d", "e"]);
    for account in group.accounts() {
        let gap = group.longest_gap(account, at);
        let times = moved.iter().filter(|moved| *moved == account).count();
        eprintln!("{account}: {times} moves, {gap:?} without a cycle at most");
        assert!(gap <= INTERVAL + HANDOVER + SLACK, "{account}: {gap:?} without a cycle");
        assert!(times <= 2, "{account} moved {times} times");
        let cycles = group.most_cycles(account, LESS_THAN_AN_INTERVAL, at);
        assert!(cycles <= 2, "{account}: {cycles} cycles within an interval");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn one_that_leaves_goes_on_answering_until_others_have_taken_over_and_one_alone_does_not_wait()
-> anyhow::Result<()> {
    let mut group = Group::of_three("replicas-leave").await?;
    let owners = group.until_shared().await;
    let account = owners.iter().find(|(_, owner)| **owner == "a").context("an account of a")?.0.clone();
    let path = format!("/accounts/{}/{account}/metrics", group.namespace.name());
    let mut leaving = group.replicas.remove("a").context("it was started")?;
    leaving.signal("TERM");
    until(DEADLINE, "the others to know", async || {
        let left = holders(&group).await?;
        ensure!(left == ["b", "c"], "{left:?}");
        Ok(())
    })
    .await;
    assert_eq!(leaving.health("/readyz").await?.0, 503);
    group.until_shared().await;
    let (code, body) = leaving.scrape(&path).await?;
    assert!(code == 200 && body.contains("caas_account_up"), "{code} {body}");
    let code = until(GRACE, "the end", async || leaving.exited()?.context("it still runs")).await;
    assert_eq!(code, 0);

    group.replica("b")?.kill().await?;
    group.replicas.remove("b");
    group.until_shared().await;
    let from = Instant::now();
    assert_eq!(group.replica("c")?.stop(GRACE).await?, 0);
    assert!(
        from.elapsed() < Duration::from_secs(8),
        "{:?} although nobody is left to ask it",
        from.elapsed()
    );
    assert!(holders(&group).await?.is_empty());
    Ok(())
}
