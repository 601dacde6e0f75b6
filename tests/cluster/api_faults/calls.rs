//! A call is refused, put off or never answered.

use std::time::Duration;

use serde_json::json;

use super::{Given, STATUS, gaps, given, seen};
use crate::fixture::{ACCOUNTS, MONITORS};
use crate::harness::{Fault, Times};

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_conflict_is_retried_on_fresh_data_and_later_each_time() -> anyhow::Result<()> {
    let Given { fixture, proxy, operator } = given("conflict").await?;
    let (statuses, monitors) = (fixture.calls("patch", STATUS), fixture.calls("patch", MONITORS));
    proxy.inject(statuses.clone(), Fault::conflict(), Times::Next(2));
    proxy.inject(monitors.clone(), Fault::conflict(), Times::Next(2));
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    fixture.until_cycles(2).await;
    // Two that were refused, and one each for what was found at first, of the collection and of the ServiceMonitor. This is
    // applied once more by each reconcile that comes before the watch has delivered it.
    let (written, applied) = (proxy.count(&statuses), proxy.count(&monitors));
    assert!((3..=6).contains(&written), "{written} writes of the status");
    assert!((3..=6).contains(&applied), "{applied} writes of the ServiceMonitor");
    fixture.until_cycles(3).await;
    assert_eq!((proxy.count(&statuses), proxy.count(&monitors)), (written, applied));

    // Without an end: after 1, 2, 4, 8 s, with a quarter more or less.
    proxy.inject(statuses.clone(), Fault::conflict(), Times::Always);
    fixture.patch("acme", json!({"spec": {"suspend": true}})).await?;
    seen(&proxy, &statuses, written + 4).await;
    let waits = gaps(&proxy, &statuses);
    let waits = &waits[waits.len() - 3..];
    // Something else may ask for one of them meanwhile, such as the ServiceMonitor that went.
    assert!(waits.iter().sum::<Duration>() > Duration::from_secs(3), "{waits:?}");
    assert!(waits[2] > Duration::from_millis(1400), "{waits:?}");
    fixture.until_scraped(&operator, "acme", 503).await;
    proxy.heal();
    fixture.until_reason("acme", "Ready", "Suspended").await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_time_that_the_api_server_asks_to_wait_is_waited() -> anyhow::Result<()> {
    let Given { fixture, proxy, operator } = given("throttled").await?;
    let wait = Duration::from_secs(6);
    let unavailable = Fault::Status { code: 503, reason: "ServiceUnavailable", retry_after: Some(6) };
    fixture.account("witness").await?;
    fixture.until_ready("witness").await;

    let secrets = fixture.call("get", "secrets", "acme");
    proxy.inject(secrets.clone(), Fault::too_many_requests(6), Times::Next(2));
    let applies = fixture.call("patch", MONITORS, "caas-acme");
    proxy.inject(applies.clone(), unavailable.clone(), Times::Next(1));
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    // Two refused and one accepted; then one refused and one accepted. Later calls got no `Retry-After`.
    for gap in [&gaps(&proxy, &secrets)[..2], &gaps(&proxy, &applies)[..1]].concat() {
        assert!((wait..wait * 5).contains(&gap), "{gap:?}");
    }

    // A watch that is refused, and one that needs a list first.
    let (watches, lists) = (fixture.calls("watch", ACCOUNTS), fixture.calls("list", ACCOUNTS));
    let before = (proxy.count(&watches), proxy.count(&lists));
    proxy.inject(watches.clone(), Fault::too_many_requests(6), Times::Next(2));
    proxy.inject(watches.clone(), Fault::watch_gone(), Times::Next(1));
    proxy.inject(lists.clone(), unavailable, Times::Next(1));
    proxy.cut_connections();
    seen(&proxy, &watches, before.0 + 4).await;
    let waits = [&gaps(&proxy, &watches)[before.0..before.0 + 2], &gaps(&proxy, &lists)[before.1..=before.1]];
    for gap in waits.concat() {
        assert!(gap >= wait, "{gap:?}");
    }
    fixture.patch("acme", json!({"spec": {"suspend": true}})).await?;
    fixture.until_reason("acme", "Ready", "Suspended").await;
    fixture.until_scraped(&operator, "witness", 200).await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_call_that_is_never_answered_ends_at_its_deadline_and_stops_nobody_else() -> anyhow::Result<()> {
    let Given { fixture, proxy, operator: _operator } = given("hanging").await?;
    let hanging = fixture.call("get", "secrets", "acme");
    proxy.inject(hanging.clone(), Fault::Hang, Times::Next(1));
    fixture.account("acme").await?;
    seen(&proxy, &hanging, 1).await;
    fixture.account("witness").await?;
    fixture.until_ready("witness").await;
    fixture.until_ready("acme").await;
    let gap = gaps(&proxy, &hanging)[0];
    // Without it the client would wait for a minute and a quarter.
    assert!((Duration::from_secs(10)..Duration::from_secs(60)).contains(&gap), "{gap:?}");
    Ok(())
}
