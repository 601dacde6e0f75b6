//! A watch is cut, refused, too old or silent: what it missed is found all the same.

use std::time::Duration;

use anyhow::ensure;
use caas_operator::simulator::{Fault as CloudFault, FaultKind};
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;
use tokio::time::Instant;

use super::{Given, gaps, given, seen};
use crate::fixture::{ACCOUNTS, DEADLINE, MONITORS};
use crate::harness::{Calls, Fault, Proxy, Times, until};

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn what_happened_while_nobody_could_watch_is_found_by_a_new_list() -> anyhow::Result<()> {
    let Given { fixture, proxy, operator } = given("gone").await?;
    for name in ["acme", "doomed"] {
        fixture.account(name).await?;
        fixture.until_ready(name).await;
    }
    proxy.inject(Calls::all(), Fault::Cut, Times::Always);
    proxy.cut_connections();

    fixture.delete("doomed").await?;
    fixture.account("later").await?;
    fixture.monitors().delete("caas-acme", &DeleteParams::default()).await?;
    fixture.until_cycles(4).await;
    fixture.until_scraped(&operator, "doomed", 200).await;
    proxy.heal();
    let watches = Calls::new("watch", "*");
    let lists = Calls::new("list", "*");
    let before = proxy.count(&lists);
    // Both ways in which the API server says that a version is too old: as an event, and as the answer.
    proxy.inject(Calls::new("watch", ACCOUNTS), Fault::watch_gone(), Times::Next(1));
    proxy.inject(Calls::new("watch", MONITORS), Fault::gone(), Times::Next(1));

    fixture.until_scraped(&operator, "doomed", 404).await;
    fixture.until_ready("later").await;
    until(DEADLINE, "the deleted ServiceMonitor to come again", async || {
        Ok(fixture.monitors().get("caas-acme").await.map(drop)?)
    })
    .await;
    seen(&proxy, &lists, before + 2).await;
    fixture.until_cycles(4).await;
    assert!(proxy.count(&lists) <= before + 4, "{:?}", proxy.seen(&lists));
    assert!(proxy.open_watches(&watches) >= 2);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_watch_that_is_answered_with_410_lists_again() -> anyhow::Result<()> {
    let Given { fixture, proxy, operator } = given("answered-gone").await?;
    for name in ["acme", "doomed"] {
        fixture.account(name).await?;
        fixture.until_ready(name).await;
    }
    let kinds = [ACCOUNTS, MONITORS].map(|kind| (fixture.calls("watch", kind), fixture.calls("list", kind)));
    for (watches, _) in &kinds {
        proxy.inject(watches.clone(), Fault::gone(), Times::Always);
    }
    let before = kinds.each_ref().map(|(watches, lists)| (proxy.count(watches), proxy.count(lists)));
    proxy.cut_connections();

    // No watch delivers these.
    fixture.delete("doomed").await?;
    fixture.account("later").await?;
    fixture.monitors().delete("caas-acme", &DeleteParams::default()).await?;
    fixture.until_scraped(&operator, "doomed", 404).await;
    fixture.until_ready("later").await;
    until(DEADLINE, "the deleted ServiceMonitor to come again", async || {
        Ok(fixture.monitors().get("caas-acme").await.map(drop)?)
    })
    .await;
    // As long as it lasts it is a list a watch, with a wait before each.
    for ((watches, lists), (watched, listed)) in kinds.iter().zip(before) {
        seen(&proxy, watches, watched + 4).await;
        assert!(proxy.count(lists) - listed <= proxy.count(watches) - watched, "{:?}", proxy.seen(lists));
        let waits: Duration = gaps(&proxy, watches)[watched..watched + 3].iter().sum();
        assert!(waits > Duration::from_secs(2), "{waits:?}");
    }

    proxy.heal();
    fixture.delete("later").await?;
    fixture.until_scraped(&operator, "later", 404).await;
    until(DEADLINE, "a watch of each kind", async || {
        for (watches, _) in &kinds {
            ensure!(proxy.open_watches(watches) == 1, "none among {watches:?}");
        }
        Ok(())
    })
    .await;
    let lists = Calls::new("list", "*");
    let healed = proxy.count(&lists);
    fixture.until_cycles(2).await;
    assert_eq!(proxy.count(&lists), healed);
    Ok(())
}

/// In which ways a watch may miss that an account was deleted and made again.
#[derive(Clone, Copy, Debug)]
enum Missed {
    /// It begins anew with a list, which has only the second object.
    Listed,
    /// It goes on with a change of the second object.
    Changed,
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn made_again_while_nobody_watched_an_account_starts_from_nothing() -> anyhow::Result<()> {
    for missed in [Missed::Listed, Missed::Changed] {
        println!("{missed:?}");
        let Given { fixture, proxy, operator } = given("made-again").await?;
        // Its ServiceMonitor would be removed with the first object, and the removal reported.
        let spec = json!({"collection": {"requestTimeout": "5m"}, "serviceMonitor": {"mode": "Never"}});
        fixture.account_with("acme", spec.clone()).await?;
        fixture.until_ready("acme").await;
        stall(&proxy, ACCOUNTS).await;
        let before = fixture.accounts().get("acme").await?;
        fixture.delete("acme").await?;
        fixture.account_with("acme", spec).await?;
        let again = fixture.accounts().get("acme").await?;
        assert_ne!(again.uid(), before.uid());

        // The new object waits for its Secret, and then for its cloud: whatever is served meanwhile is of the old one.
        proxy.inject(fixture.call("get", "secrets", "acme"), Fault::Hold, Times::Always);
        fixture.cloud.set_fault(CloudFault::new(FaultKind::Hang))?;
        let fault = match missed {
            Missed::Listed => Fault::watch_gone(),
            Missed::Changed => Fault::WatchModified(serde_json::to_value(&again)?),
        };
        proxy.inject(fixture.calls("watch", ACCOUNTS), fault, Times::Next(1));
        proxy.cut_connections();
        fixture.until_nothing_left(&operator, "acme").await;
        proxy.heal();
        fixture.until_scraped(&operator, "acme", 503).await;
        fixture.cloud.clear_faults();
        fixture.patch("acme", json!({"spec": {"collection": {"requestTimeout": "10s"}}})).await?;
        fixture.until_ready("acme").await;
        fixture.until_scraped(&operator, "acme", 200).await;
    }
    Ok(())
}

/// Silences the watch of a kind, which may just be ending by itself to begin anew.
async fn stall(proxy: &Proxy, kind: &str) {
    until(DEADLINE, &format!("a watch of {kind} to silence"), async || {
        ensure!(proxy.stall(&Calls::new("watch", kind)) == 1, "none is open");
        Ok(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_watch_that_falls_silent_is_noticed_within_a_bounded_time() -> anyhow::Result<()> {
    let Given { fixture, proxy, operator } = given("silent").await?;
    for name in ["acme", "doomed"] {
        fixture.account(name).await?;
        fixture.until_ready(name).await;
    }
    let mut silenced = Vec::new();
    for kind in [ACCOUNTS, MONITORS] {
        stall(&proxy, kind).await;
        let watches = Calls::new("watch", kind);
        let before = proxy.count(&watches);
        silenced.push((watches, before, Instant::now()));
    }
    fixture.delete("doomed").await?;
    fixture.monitors().delete("caas-acme", &DeleteParams::default()).await?;
    fixture.account("later").await?;

    fixture.until_scraped(&operator, "doomed", 404).await;
    fixture.until_ready("later").await;
    until(DEADLINE, "the deleted ServiceMonitor to come again", async || {
        Ok(fixture.monitors().get("caas-acme").await.map(drop)?)
    })
    .await;
    // A watch is given up after its minute and a quarter. One without a bound of its own would last for five.
    for (watches, before, since) in silenced {
        let took = proxy.seen(&watches)[before].at - since;
        println!("noticed after {took:?}");
        assert!(took < Duration::from_secs(200), "{took:?}");
    }
    Ok(())
}
