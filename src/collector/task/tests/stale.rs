//! When the last values end.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_failed_cycle_keeps_the_last_values_until_they_are_stale_and_then_they_go() {
    let fixture = Fixture::new(|cycle| (SECOND, if cycle == 0 { Ok(kibana(7.0)) } else { Err(timeout()) }));
    fixture.supervisor.put(account("uid-1"));
    let healthy = fixture.until(|snapshot| snapshot.health == Health::Collected).await;
    let collected = Instant::now();

    let failed = fixture.until(|snapshot| snapshot.health == Health::Failed(timeout())).await;
    assert_eq!(memory(&failed), Some(7.0));
    assert!(!failed.values.gauges.up);
    assert!(healthy.values.gauges.last_success.is_some());
    assert_eq!(failed.values.gauges.last_success, healthy.values.gauges.last_success);

    let stale = fixture.until(|snapshot| snapshot.values.services.is_empty()).await;
    assert!(collected.elapsed() >= 89 * SECOND, "gone after {:?}", collected.elapsed());
    assert!(collected.elapsed() <= 91 * SECOND, "gone after {:?}", collected.elapsed());
    assert_eq!(stale.health, Health::Failed(timeout()), "the account's own gauges stay");
}

#[tokio::test(start_paused = true)]
async fn between_two_failed_cycles_values_go_when_they_are_stale() {
    let minute = 60 * SECOND;
    let mut fixture =
        Fixture::new(|cycle| (SECOND, if cycle == 0 { Ok(kibana(7.0)) } else { Err(timeout()) }));
    let mut account = account("uid-1");
    account.schedule.interval = 60 * minute;
    account.schedule.stale_after = 90 * minute;
    fixture.supervisor.put(account);
    fixture.until(|snapshot| memory(snapshot) == Some(7.0)).await;
    let collected = Instant::now();

    let failed = fixture.until(|snapshot| snapshot.health == Health::Failed(timeout())).await;
    assert_eq!(memory(&failed), Some(7.0));
    let stale = fixture.until(|snapshot| snapshot.counts() == (0, 0)).await;
    assert!(collected.elapsed() >= 89 * minute, "gone after {:?}", collected.elapsed());
    assert!(collected.elapsed() <= 90 * minute + SECOND, "gone after {:?}", collected.elapsed());
    assert_eq!((fixture.clouds.started(), fixture.clouds.ended()), (2, 2), "no cycle is under way");
    assert_eq!(stale.health, Health::Failed(timeout()));
    assert_eq!(stale.collected_at, failed.collected_at, "nor does it look like one");
    // Collected; failed, which has lasted for a minute; nothing left.
    assert_eq!(fixture.count_transitions(), 3);
}

#[tokio::test(start_paused = true)]
async fn values_go_stale_even_while_a_cycle_hangs() {
    let hour = Duration::from_secs(3600);
    let mut fixture = Fixture::new(move |cycle| (if cycle == 0 { SECOND } else { hour }, Ok(kibana(7.0))));
    fixture.supervisor.put(account("uid-1"));
    fixture.until(|snapshot| memory(snapshot) == Some(7.0)).await;
    let collected = Instant::now();

    let stale = fixture.until(|snapshot| snapshot.values.services.is_empty()).await;
    assert!(collected.elapsed() <= 91 * SECOND, "gone after {:?}", collected.elapsed());
    assert!(!stale.values.gauges.up);
    assert_eq!(stale.health, Health::Overdue, "the last outcome no longer holds");
    assert_eq!(fixture.clouds.started(), 2, "the hanging cycle is still the same one");
    // Collected; overdue.
    assert_eq!(fixture.count_transitions(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_account_without_services_is_not_up_while_a_cycle_hangs() {
    let hour = Duration::from_secs(3600);
    let fixture =
        Fixture::new(move |cycle| (if cycle == 0 { SECOND } else { hour }, Ok(Collection::default())));
    fixture.supervisor.put(account("uid-1"));
    fixture.until(|snapshot| snapshot.values.gauges.up).await;
    let collected = Instant::now();

    let stale = tokio::time::timeout(hour, fixture.until(|snapshot| !snapshot.values.gauges.up)).await;
    let stale = stale.expect("before the cycle ends");
    assert!(collected.elapsed() <= 91 * SECOND, "after {:?}", collected.elapsed());
    assert_eq!(stale.health, Health::Overdue);
    fixture.until(|snapshot| snapshot.health == Health::Collected).await;
}

#[tokio::test(start_paused = true)]
async fn a_value_that_goes_stale_alone_leaves_the_account_up() {
    let hour = Duration::from_secs(3600);
    let mut silent = kibana(0.0);
    for instance in silent.services.iter_mut().flat_map(|service| service.instances.iter_mut().flatten()) {
        instance.reading = Reading::no_data();
    }
    let fixture = Fixture::new(move |cycle| match cycle {
        0 => (SECOND, Ok(kibana(7.0))),
        1 => (SECOND, Ok(silent.clone())),
        _ => (hour, Ok(kibana(7.0))),
    });
    fixture.supervisor.put(account("uid-1"));
    fixture.until(|snapshot| memory(snapshot) == Some(7.0)).await;

    let stale = fixture.until(|snapshot| memory(snapshot).is_none()).await;
    assert_eq!(fixture.clouds.started(), 3, "in the middle of a cycle");
    assert_eq!(stale.counts(), (1, 1), "its service and instance are known all the same");
    assert!(stale.values.gauges.up);
    assert_eq!(stale.health, Health::Collected);

    let gone = fixture.until(|snapshot| snapshot.counts() == (0, 0)).await;
    assert!(!gone.values.gauges.up);
    assert_eq!(gone.health, Health::Overdue);
}

#[tokio::test(start_paused = true)]
async fn a_short_stale_after_leaves_no_gap_between_cycles_in_time() {
    let fixture = Fixture::new(|_| (5 * SECOND, Ok(kibana(7.0))));
    // The second cycle comes half an interval to one and a half after the first, as the UID wants it.
    for uid in 0..20 {
        let mut account = account(&format!("uid-{uid}"));
        account.schedule.stale_after = account.schedule.interval;
        fixture.supervisor.put(account);
        fixture.until(|snapshot| memory(snapshot) == Some(7.0)).await;

        let start = Instant::now();
        while start.elapsed() < 150 * SECOND {
            let shown = fixture.snapshot().as_deref().and_then(memory);
            assert_eq!(shown, Some(7.0), "uid-{uid} after {:?}", start.elapsed());
            tokio::time::sleep(SECOND).await;
        }
    }
}
