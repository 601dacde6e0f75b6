//! A replica is killed, restarted or held still.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;

use super::fixture::{Group, INTERVAL, SLACK, passed};
use crate::harness::until;
use crate::operator_fixture::DEADLINE;

/// How long a Lease is valid, and the most by which its last renewal is seen late.
const EXPIRY: Duration = Duration::from_secs(15 + 3);

/// Within this time an account begins one cycle.
const LESS_THAN_AN_INTERVAL: Duration = Duration::from_secs(4);

/// How long a replica is held still: longer than its Lease is valid.
const PAUSE: Duration = Duration::from_secs(25);

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_accounts_of_a_killed_replica_are_collected_again_and_no_other_moves() -> anyhow::Result<()> {
    let mut group = Group::of_three("replicas-killed").await?;
    let before = group.until_shared().await;
    let mut killed = group.replicas.remove("b").expect("it was started");
    let at = Instant::now();
    killed.kill().await?;
    let after = group.until_shared().await;
    for (account, owner) in &before {
        let gap = group.longest_gap(account, at);
        eprintln!("{account} of {owner}: {gap:?}");
        if *owner == "b" {
            assert!(gap <= EXPIRY + INTERVAL + SLACK, "{account}: {gap:?} without a cycle");
        } else {
            assert_eq!(after[account], *owner, "{account} moved");
            assert!(gap <= INTERVAL + SLACK, "{account}: {gap:?} without a cycle");
        }
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_replica_that_crashes_and_starts_again_takes_up_its_own_lease_and_nothing_moves()
-> anyhow::Result<()> {
    let mut group = Group::of_three("replicas-crash").await?;
    let (before, moves) = (group.until_shared().await, group.moves().await?);
    let mut crashed = group.replicas.remove("b").expect("it was started");
    let at = Instant::now();
    crashed.kill().await?;
    let of_others = group.moves().await?;
    group.start("b", None).await?;
    assert_eq!(group.until_shared().await, before);
    assert_eq!(group.moves().await?, of_others, "of {moves} before");
    for account in before.keys() {
        let gap = group.longest_gap(account, at);
        assert!(gap <= 2 * INTERVAL + SLACK, "{account}: {gap:?} without a cycle");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_replica_that_was_held_still_stops_what_others_have_taken_over() -> anyhow::Result<()> {
    let mut group = Group::of_three("replicas-paused").await?;
    let before = group.until_shared().await;
    group.replica("b")?.freeze().await?;
    let at = Instant::now();
    passed(PAUSE).await;
    let thawed = Instant::now();
    group.replica("b")?.thaw();
    // It was taken for dead, and joins again.
    until(DEADLINE, "each account to be where it was", async || {
        let owners = group.owners().await?;
        ensure!(owners == before, "{owners:?}");
        Ok(())
    })
    .await;
    for (account, owner) in &before {
        let gap = group.longest_gap(account, at);
        let bound = if *owner == "b" { EXPIRY + INTERVAL + SLACK } else { INTERVAL + SLACK };
        assert!(gap <= bound, "{account}: {gap:?} without a cycle");
        // One of the new owner, one of the old one that was under way or due, and one of the hand-over back.
        let cycles = group.most_cycles(account, LESS_THAN_AN_INTERVAL, thawed);
        assert!(cycles <= 3, "{account}: {cycles} cycles within an interval");
    }
    Ok(())
}
