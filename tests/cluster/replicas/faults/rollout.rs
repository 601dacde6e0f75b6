//! Replicas come and go in an orderly way.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams};
use tokio::time::Instant;

use crate::harness::until;
use crate::operator_fixture::DEADLINE;
use crate::replicas::figures::{Figures, row};
use crate::replicas::group::{GRACE, Group, INTERVAL, Owners, Price};

/// Longer than a hand-over.
const USUAL_INTERVAL: Duration = Duration::from_secs(10);

/// How long a new owner leaves an account to a live one.
const HANDOVER: Duration = Duration::from_secs(6);

/// The holders of the group's Leases.
async fn holders(group: &Group) -> anyhow::Result<Vec<String>> {
    let leases: Api<Lease> = group.namespace.api();
    let listed =
        leases.list(&ListParams::default().labels("caas-operator.io/replicas-of=caas-operator")).await?;
    Ok(listed.into_iter().filter_map(|lease| lease.spec?.holder_identity).collect())
}

/// How often each account has moved.
#[derive(Default)]
struct Moves(BTreeMap<String, u64>);

impl Moves {
    /// Counts those that are elsewhere now.
    fn count(&mut self, before: &Owners, now: &Owners) {
        for (account, _) in before.iter().filter(|(account, owner)| now[*account] != **owner) {
            *self.0.entry(account.clone()).or_default() += 1;
        }
    }

    fn most(&self) -> u64 {
        self.0.values().copied().max().unwrap_or(0)
    }

    fn all(&self) -> u64 {
        self.0.values().sum()
    }
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_rollout_and_other_numbers_of_replicas_cost_no_scrape_and_no_cycle() -> anyhow::Result<()> {
    row("3 and 9, rollout and 3 to 5 to 2", async || {
        let mut group = Group::of_three("replicas-rollout", USUAL_INTERVAL).await?;
        let at = Instant::now();
        // With one pod more at a time.
        for (new, old) in [("d", "a"), ("e", "b"), ("f", "c")] {
            group.start(new).await?;
            group.delete(&[old]).await?;
        }
        let of_three = group.until_shared().await;
        let mut moves = Moves::default();
        for name in ["g", "h"] {
            group.start(name).await?;
        }
        let of_five = group.until_shared().await;
        moves.count(&of_three, &of_five);
        group.delete(&["d", "e", "f"]).await?;
        let of_two = group.until_shared().await;
        moves.count(&of_five, &of_two);
        ensure!(holders(&group).await? == ["g", "h"], "Leases are left");

        let mut figures = Figures::default();
        figures.time("gap", group.longest_gap(group.accounts(), at), USUAL_INTERVAL + HANDOVER);
        figures.count("moves of one account in 3 to 5 to 2", moves.most(), 2);
        figures.note("moves of all in it", moves.all() as f64, "");
        figures.count("cycles in an interval", group.most_cycles(at), 2);
        group.seen(&mut figures, at, Price::NONE).await?;
        Ok(figures)
    })
    .await
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn one_that_leaves_goes_on_answering_until_others_have_taken_over_and_one_alone_does_not_wait()
-> anyhow::Result<()> {
    let mut group = Group::of_three("replicas-leave", INTERVAL).await?;
    let owners = group.until_shared().await;
    let (account, _) = owners.iter().find(|(_, owner)| **owner == "a").context("an account of a")?;
    let mut leaving = group.take("a")?;
    leaving.signal("TERM");
    until(DEADLINE, "the others to know", async || {
        let left = holders(&group).await?;
        ensure!(left == ["b", "c"], "{left:?}");
        Ok(())
    })
    .await;
    assert_eq!(leaving.health("/readyz").await?.0, 503);
    until(DEADLINE, "the others to have taken over", async || {
        match leaving.scrape(&group.path(account)).await {
            Ok((code, body)) => assert!(code == 200 && body.contains("caas_account_up"), "{code} {body}"),
            Err(error) => ensure!(leaving.exited()?.is_some(), "{error:#}"),
        }
        group.owners().await.map(drop)
    })
    .await;
    let code = until(GRACE, "the end", async || leaving.exited()?.context("it still runs")).await;
    assert_eq!(code, 0);

    group.kill("b").await?;
    group.until_shared().await;
    let from = Instant::now();
    group.delete(&["c"]).await?;
    assert!(
        from.elapsed() < Duration::from_secs(8),
        "{:?} although nobody is left to ask it",
        from.elapsed()
    );
    assert!(holders(&group).await?.is_empty());
    Ok(())
}
