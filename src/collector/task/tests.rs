//! One account's cycles under virtual time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::account::Names;
use crate::api::Reason;
use crate::cloud::CloudError;
use crate::cloud::Collection;
use crate::cloud::error::Unreachable;
use crate::cloud::model::{Reading, ServiceFacts};
use crate::collector::Health;
use crate::collector::fake::{
    Connector, FakeClouds, Fixture, account, id, kibana, memory, memory_of, rotated,
};
use crate::collector::rendering::RenderPool;
use crate::exposition::Renderer;
use crate::limits::Workers;

const SECOND: Duration = Duration::from_secs(1);

fn timeout() -> CloudError {
    CloudError::Unreachable(Unreachable::Timeout)
}

#[tokio::test(start_paused = true)]
async fn an_account_is_collected_at_once_and_then_each_interval() {
    let fixture = Fixture::new(|cycle| (SECOND, Ok(kibana(f64::from(u32::try_from(cycle).unwrap())))));
    let start = Instant::now();
    fixture.supervisor.put(account("uid-1"));

    fixture.until(|snapshot| memory(snapshot) == Some(0.0)).await;
    assert!(start.elapsed() < 2 * SECOND);

    fixture.until(|snapshot| memory(snapshot) == Some(10.0)).await;
    let nine_intervals = 9 * 30 * SECOND;
    assert!(start.elapsed() >= nine_intervals && start.elapsed() <= nine_intervals + 46 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_failed_cycle_keeps_the_last_values_until_they_are_stale_and_then_they_go() {
    let fixture = Fixture::new(|cycle| (SECOND, if cycle == 0 { Ok(kibana(7.0)) } else { Err(timeout()) }));
    fixture.supervisor.put(account("uid-1"));
    let well = fixture.until(|snapshot| snapshot.health == Health::Collected).await;
    let collected = Instant::now();

    let failed = fixture.until(|snapshot| snapshot.health == Health::Failed(timeout())).await;
    assert_eq!(memory(&failed), Some(7.0));
    assert!(!failed.values.gauges.up);
    assert!(well.values.gauges.last_success.is_some());
    assert_eq!(failed.values.gauges.last_success, well.values.gauges.last_success);

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
async fn a_changed_account_is_pending_until_its_own_first_cycle_has_ended() {
    let hour = Duration::from_secs(3600);
    let fixture = Fixture::new(move |cycle| match cycle {
        0 => (SECOND, Ok(kibana(7.0))),
        1 => (SECOND, Err(CloudError::LoginRejected)),
        _ => (hour, Ok(kibana(7.0))),
    });
    fixture.supervisor.put(account("uid-1"));
    fixture.until(|snapshot| snapshot.health.credentials_rejected()).await;
    let mut changed = account("uid-1");
    changed.connection.provider = rotated();
    fixture.supervisor.put(changed);

    let stale = fixture.until(|snapshot| snapshot.counts() == (0, 0)).await;
    assert_eq!(stale.health, Health::Pending, "the rotated credentials were not refused");
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

#[tokio::test(start_paused = true)]
async fn a_task_that_has_not_seen_a_change_yet_publishes_and_reports_nothing_more() {
    let (registry, metrics) = (Arc::new(Registry::default()), Metrics::new());
    let clouds = FakeClouds::new(|_| (SECOND, Err(CloudError::LoginRejected)));
    let (transitions, mut reported) = mpsc::channel(1);
    let before = Arc::new(account("uid-1"));
    registry.put(Arc::clone(&before));
    let shared = Shared::new(Arc::new(Connector(clouds)), Arc::clone(&registry), metrics, transitions);
    let (_sender, desired) = watch::channel(Arc::clone(&before));
    let mut state = CollectorState::new(&before, &*shared.connect, &ClientHistory::default());
    let cycles = cycles(&shared, &before, desired);
    cycles.cycle(&mut state).await;
    let rejected = Health::Failed(CloudError::LoginRejected);
    assert_eq!(registry.get(&id()).unwrap().reported, rejected, "so far it speaks for the account");
    assert!(reported.try_recv().is_ok());

    // A task that has just had its response when the account changes goes on to where it waits next.
    let mut changed = account("uid-1");
    changed.connection.provider = rotated();
    registry.put(Arc::new(changed));
    state.last_reported.restart();
    cycles.cycle(&mut state).await;
    let entry = registry.get(&id()).expect("the account");
    assert_eq!(entry.reported, Health::Pending, "the rotated credentials were not rejected");
    assert!(reported.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_overrun_leaves_cycles_out_counts_them_and_never_runs_two_at_once() {
    let fixture = Fixture::new(|_| (100 * SECOND, Ok(kibana(7.0))));
    fixture.supervisor.put(account("uid-1"));
    tokio::time::sleep(1000 * SECOND).await;

    assert!(fixture.clouds.started() <= fixture.clouds.ended() + 1);
    assert!((8..=9).contains(&fixture.clouds.started()), "{}", fixture.clouds.started());
    let text = fixture.metrics.render();
    let skipped = r#"caas_operator_skipped_cycles_total{account="acme",account_namespace="team-a"} "#;
    let count: u64 = text.lines().find_map(|line| line.strip_prefix(skipped)).unwrap().parse().unwrap();
    assert!((20..=27).contains(&count), "{count}");
}

#[tokio::test(start_paused = true)]
async fn only_transitions_are_reported_not_cycles() {
    let mut fixture = Fixture::new(|cycle| match cycle {
        0..=9 => (SECOND, Ok(kibana(f64::from(u32::try_from(cycle).unwrap())))),
        10..=19 => (SECOND, Err(timeout())),
        _ => (SECOND, Ok(kibana(1.0))),
    });
    fixture.supervisor.put(account("uid-1"));
    tokio::time::sleep(Duration::from_secs(30 * 40)).await;

    let reported = fixture.count_transitions();
    // Collected; failed; nothing left when the values went stale; services again; collected again, a cycle later.
    assert_eq!(reported, 5, "after {} cycles", fixture.clouds.started());
}

#[tokio::test(start_paused = true)]
async fn a_full_channel_loses_no_transition() {
    let mut fixture =
        Fixture::new(|cycle| (SECOND, if cycle < 60 { Ok(kibana(1.0)) } else { Err(timeout()) }));
    for other in 0..20 {
        let mut account = account(&format!("uid-{other}"));
        account.id = crate::account::AccountId::new("team-b", &format!("other-{other}"));
        fixture.supervisor.put(account);
    }
    fixture.supervisor.put(account("uid-acme"));
    tokio::time::sleep(Duration::from_secs(120)).await;

    let mut reported = std::collections::HashSet::new();
    while reported.len() < 21 {
        let transition = tokio::time::timeout(Duration::from_secs(600), fixture.transitions.recv()).await;
        reported.insert(transition.expect("reported in time").expect("open").id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cycle_that_panics_is_counted_and_followed_by_the_next() {
    let fixture = Fixture::new(|cycle| {
        assert!(cycle != 1, "a bug");
        (SECOND, Ok(kibana(f64::from(u32::try_from(cycle).unwrap()))))
    });
    fixture.supervisor.put(account("uid-1"));
    fixture.until(|snapshot| memory(snapshot) == Some(2.0)).await;
    assert!(fixture.metrics.render().contains(r#"reason="panic"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn more_series_than_allowed_are_reported_and_the_oldest_kept() {
    let fixture = Fixture::new(|_| (SECOND, Ok(kibana(1.0))));
    let mut account = account("uid-1");
    account.exposition.max_series = 7;
    fixture.supervisor.put(account);
    let snapshot = fixture.until(|_| true).await;
    assert_eq!(snapshot.health.reason(), Reason::TooManySeries);
    assert!(snapshot.values.gauges.up);
}

#[tokio::test(start_paused = true)]
async fn an_empty_account_is_collected_without_services() {
    let fixture = Fixture::new(|_| (SECOND, Ok(Collection::default())));
    fixture.supervisor.put(account("uid-1"));
    let snapshot = fixture.until(|_| true).await;
    assert_eq!((snapshot.health.clone(), snapshot.counts()), (Health::Collected, (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_fails_every_second_time_is_reported_once_and_its_metrics_show_each_failure() {
    let mut fixture =
        Fixture::new(|cycle| (SECOND, if cycle % 2 == 0 { Ok(kibana(7.0)) } else { Err(timeout()) }));
    fixture.supervisor.put(account("uid-1"));
    for _ in 0..10 {
        let failed = fixture.until(|snapshot| !snapshot.values.gauges.up).await;
        assert_eq!(failed.health, Health::Failed(timeout()), "what is served is not damped");
        assert_eq!(fixture.reported(), Some(Health::Collected));
        fixture.until(|snapshot| snapshot.values.gauges.up).await;
    }
    assert_eq!(fixture.count_transitions(), 1, "after {} cycles", fixture.clouds.started());
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_lasts_is_reported_after_a_minute_however_far_the_next_cycle_is() {
    let fixture = Fixture::new(|cycle| (SECOND, if cycle == 0 { Ok(kibana(7.0)) } else { Err(timeout()) }));
    let mut account = account("uid-1");
    account.schedule.interval = 3600 * SECOND;
    account.schedule.stale_after = 10_000 * SECOND;
    fixture.supervisor.put(account);
    fixture.until(|snapshot| !snapshot.values.gauges.up).await;
    let failed = Instant::now();
    while fixture.reported() == Some(Health::Collected) && failed.elapsed() < 120 * SECOND {
        tokio::time::sleep(SECOND / 10).await;
    }
    assert_eq!(fixture.reported(), Some(Health::Failed(timeout())));
    assert!((59 * SECOND..=61 * SECOND).contains(&failed.elapsed()), "after {:?}", failed.elapsed());
}

/// Renders as usual, but panics while `broken` and there are services whose values changed: the memory is not 7.
fn breakable(broken: &Arc<AtomicBool>) -> RenderPool {
    let broken = Arc::clone(broken);
    RenderPool::with(Workers::new(1), move |renderer: &mut Renderer, values, options| {
        let memory = values.services.first().and_then(memory_of);
        let has_new = memory.is_some_and(|bytes| bytes.to_bits() != 7_f64.to_bits());
        assert!(!(broken.load(Ordering::SeqCst) && has_new), "a bug");
        renderer.render(values, options)
    })
}

#[tokio::test(start_paused = true)]
async fn an_account_whose_values_cannot_be_rendered_is_down_keeps_its_last_ones_until_stale_and_heals() {
    let broken = Arc::new(AtomicBool::new(true));
    let fixture = Fixture::rendering(breakable(&broken), |cycle| {
        (SECOND, Ok(kibana(if cycle == 0 { 7.0 } else { 8.0 })))
    });
    fixture.supervisor.put(account("uid-1"));
    let well = fixture.until(|snapshot| snapshot.values.gauges.up).await;
    let collected = Instant::now();

    let failed = fixture.until(|snapshot| !snapshot.values.gauges.up).await;
    assert_eq!((failed.health.clone(), memory(&failed)), (Health::Panicked, Some(7.0)));
    assert_eq!(failed.values.gauges.last_success, well.values.gauges.last_success);
    assert!(fixture.metrics.render().contains(r#"reason="panic"} 1"#), "{}", fixture.metrics.render());

    let stale = fixture.until(|snapshot| snapshot.counts() == (0, 0)).await;
    let after = collected.elapsed();
    assert!((90 * SECOND..=(90 + 30 + 2) * SECOND).contains(&after), "gone after {after:?}");
    assert_eq!(stale.health, Health::Panicked);
    assert_eq!(fixture.reported(), Some(Health::Panicked));

    broken.store(false, Ordering::SeqCst);
    let well = fixture.until(|snapshot| snapshot.values.gauges.up).await;
    assert_eq!((well.health.clone(), memory(&well)), (Health::Collected, Some(8.0)));
}

#[tokio::test(start_paused = true)]
async fn first_cycles_start_a_few_at_a_time_and_clouds_that_hang_do_not_hold_the_others_up() {
    let hour = 3600 * SECOND;
    let fixture = Fixture::new(move |_| (hour, Ok(kibana(7.0))));
    let accounts = |from: u32, to: u32| {
        for number in from..to {
            let mut account = account(&format!("uid-{number}"));
            account.id = crate::account::AccountId::new("team-a", &format!("account-{number}"));
            fixture.supervisor.put(account);
        }
    };
    accounts(0, 500);
    tokio::time::sleep(SECOND).await;
    assert_eq!(fixture.clouds.started(), 48);
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(fixture.clouds.started(), 96);
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(fixture.clouds.started(), 500, "all of them, though none has ended");
    assert_eq!(fixture.clouds.ended(), 0);
}

#[tokio::test(start_paused = true)]
async fn another_exposition_is_rendered_at_once_without_another_cycle() {
    let fixture = Fixture::new(|_| (SECOND, Ok(kibana(7.0))));
    fixture.supervisor.put(account("uid-1"));
    fixture.until(|snapshot| snapshot.values.gauges.up && snapshot.bodies.legacy.is_none()).await;
    let change = Instant::now();

    let mut both = account("uid-1");
    both.exposition.names = Names::Both;
    assert!(fixture.supervisor.put(both.clone()));
    fixture.until(|snapshot| snapshot.bodies.legacy.is_some()).await;
    both.exposition.max_series = 7;
    fixture.supervisor.put(both);
    fixture.until(|snapshot| snapshot.health.reason() == Reason::TooManySeries).await;

    assert!(change.elapsed() < SECOND, "{:?}", change.elapsed());
    assert_eq!(
        fixture.reported().unwrap().reason(),
        Reason::TooManySeries,
        "a user's change is answered at once"
    );
    assert_eq!(fixture.clouds.started(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_exposition_that_changes_before_the_first_collection_publishes_nothing_yet() {
    let fixture = Fixture::new(|_| (20 * SECOND, Ok(kibana(7.0))));
    fixture.supervisor.put(account("uid-1"));
    tokio::time::sleep(SECOND).await;
    let mut both = account("uid-1");
    both.exposition.names = Names::Both;
    fixture.supervisor.put(both);
    tokio::time::sleep(SECOND).await;
    assert!(fixture.snapshot().is_none(), "nothing was collected, so there is nothing to expose");

    let first = fixture.until(|_| true).await;
    assert!(first.values.gauges.up && first.bodies.legacy.is_some());
    assert_eq!(fixture.clouds.started(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_services_that_only_an_id_tells_apart_are_reported_by_their_name() {
    let mut twice = kibana(1.0);
    let mut second = kibana(2.0).services.remove(0);
    let facts =
        |id: &str| ServiceFacts { name: "kibana".into(), id: Some(id.into()), ..ServiceFacts::default() };
    twice.services[0].facts = Arc::new(facts("1"));
    second.facts = Arc::new(facts("2"));
    twice.services.push(second);
    let fixture = Fixture::new(move |_| (SECOND, Ok(twice.clone())));
    fixture.supervisor.put(account("uid-1"));
    let snapshot = fixture.until(|_| true).await;
    assert!(snapshot.values.gauges.up);
    let reported = fixture.reported().unwrap();
    assert_eq!(reported.reason(), Reason::Collected);
    assert!(reported.message().contains("\"kibana\""), "{}", reported.message());
}
