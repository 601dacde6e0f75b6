//! A replica is killed, restarted or held still.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;

use crate::harness::until;
use crate::operator_fixture::DEADLINE;
use crate::replicas::figures::{Figures, row};
use crate::replicas::group::{EXPIRY, Group, INTERVAL, Price, passed};

/// How long a replica is held still: longer than its Lease is valid.
const PAUSE: Duration = Duration::from_secs(20);

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_accounts_of_a_killed_replica_are_collected_again_and_no_other_moves() -> anyhow::Result<()> {
    row("1, killed", async || {
        let mut group = Group::of_three("replicas-killed", INTERVAL).await?;
        let before = group.until_shared().await;
        let at = Instant::now();
        group.kill("b").await?;
        let after = group.until_shared().await;
        let of_b = |it: &(&String, &&str)| *it.1 == "b";
        let (lost, kept): (Vec<_>, Vec<_>) = before.iter().partition(of_b);
        let moved = kept.iter().filter(|(account, owner)| after[*account] != **owner).count();
        let mut figures = Figures::default();
        let gap = group.longest_gap(lost.iter().map(|(account, _)| account.as_str()), at);
        figures.time("gap", gap, EXPIRY + INTERVAL);
        let of_others = group.longest_gap(kept.iter().map(|(account, _)| account.as_str()), at);
        figures.time("gap of others", of_others, INTERVAL);
        figures.count("others that moved", moved as u64, 0);
        figures.count("cycles in an interval", group.most_cycles(at), 2);
        // From the last scrape before the death to the first cycle after it.
        group
            .seen(&mut figures, at, Price { failed: Some((EXPIRY + INTERVAL).as_secs()), ..Price::NONE })
            .await?;
        Ok(figures)
    })
    .await
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_replica_that_crashes_and_starts_again_takes_up_its_own_lease_and_nothing_moves()
-> anyhow::Result<()> {
    row("2, restarted", async || {
        let mut group = Group::of_three("replicas-crash", INTERVAL).await?;
        let before = group.until_shared().await;
        let at = Instant::now();
        group.kill("b").await?;
        let moves = group.moves().await?;
        group.start("b").await?;
        let after = group.until_shared().await;
        // Until long after a Lease that nobody renews would have expired.
        passed(EXPIRY + INTERVAL).await;
        ensure!(after == before, "{before:?} became {after:?}");
        let mut figures = Figures::default();
        figures.count("moves", group.moves().await? - moves, 0);
        figures.time("gap", group.longest_gap(group.accounts(), at), 2 * INTERVAL);
        figures.count("cycles in an interval", group.most_cycles(at), 2);
        group.seen(&mut figures, at, Price::SCRAPES).await?;
        Ok(figures)
    })
    .await
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_replica_that_was_held_still_stops_what_others_have_taken_over() -> anyhow::Result<()> {
    row("6, held still", async || {
        let mut group = Group::of_three("replicas-paused", INTERVAL).await?;
        let before = group.until_shared().await;
        group.replica("b")?.freeze().await?;
        let at = Instant::now();
        passed(PAUSE).await;
        group.replica("b")?.thaw();
        let thawed = Instant::now();
        // It was taken for dead. It joins again after it has stopped, and gets its accounts back.
        until(DEADLINE, "it to stop", async || {
            let collected = &group.collected().await?["b"];
            ensure!(collected.is_empty(), "it collects {collected:?}");
            Ok(())
        })
        .await;
        let stopped = thawed.elapsed();
        group.until_owned_as(&before).await;
        let mut figures = Figures::default();
        // A list and a write, and what a request may take.
        figures.time("stops after", stopped, Duration::from_secs(3));
        figures.time("gap", group.longest_gap(group.accounts(), at), EXPIRY + INTERVAL);
        // One of the new owner, one of the old one that was under way or due, and one of the hand-over back.
        figures.count("cycles in an interval", group.most_cycles(thawed), 3);
        group.seen(&mut figures, at, Price::SCRAPES).await?;
        Ok(figures)
    })
    .await
}
