//! One account's loop under virtual time.

use super::*;
use crate::cloud::error::Unreachable;
use crate::cloud::model::Reading;
use crate::cloud::{Collection, Credentials};
use crate::collector::fake::{FakeClouds, House, Shared, account, id, kibana, memory};

const SECOND: Duration = Duration::from_secs(1);

fn timeout() -> CloudError {
    CloudError::Unreachable(Unreachable::Timeout)
}

#[tokio::test(start_paused = true)]
async fn an_account_is_collected_at_once_and_then_each_interval() {
    let house = House::new(|cycle| (SECOND, Ok(kibana(f64::from(u32::try_from(cycle).unwrap())))));
    let start = Instant::now();
    house.supervisor.put(account("uid-1"));

    house.until(|snapshot| memory(snapshot) == Some(0.0)).await;
    assert!(start.elapsed() < 2 * SECOND);

    house.until(|snapshot| memory(snapshot) == Some(10.0)).await;
    let nine_intervals = 9 * 30 * SECOND;
    assert!(start.elapsed() >= nine_intervals && start.elapsed() <= nine_intervals + 46 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_failed_cycle_keeps_the_last_values_until_they_are_stale_and_then_they_go() {
    let house = House::new(|cycle| (SECOND, if cycle == 0 { Ok(kibana(7.0)) } else { Err(timeout()) }));
    house.supervisor.put(account("uid-1"));
    let well = house.until(|snapshot| snapshot.health == Health::Collected).await;
    let collected = Instant::now();

    let failed = house.until(|snapshot| snapshot.health == Health::Failed(timeout())).await;
    assert_eq!(memory(&failed), Some(7.0));
    assert!(!failed.values.gauges.up);
    assert!(well.values.gauges.last_success.is_some());
    assert_eq!(failed.values.gauges.last_success, well.values.gauges.last_success);

    let stale = house.until(|snapshot| snapshot.values.services.is_empty()).await;
    assert!(collected.elapsed() >= 89 * SECOND, "gone after {:?}", collected.elapsed());
    assert!(collected.elapsed() <= 91 * SECOND, "gone after {:?}", collected.elapsed());
    assert_eq!(stale.health, Health::Failed(timeout()), "the account's own gauges stay");
}

#[tokio::test(start_paused = true)]
async fn between_two_failed_cycles_values_go_when_they_are_stale() {
    let minute = 60 * SECOND;
    let mut house = House::new(|cycle| (SECOND, if cycle == 0 { Ok(kibana(7.0)) } else { Err(timeout()) }));
    let mut account = account("uid-1");
    account.schedule.interval = 60 * minute;
    account.schedule.stale_after = 90 * minute;
    house.supervisor.put(account);
    house.until(|snapshot| memory(snapshot) == Some(7.0)).await;
    let collected = Instant::now();

    let failed = house.until(|snapshot| snapshot.health == Health::Failed(timeout())).await;
    assert_eq!(memory(&failed), Some(7.0));
    let stale = house.until(|snapshot| snapshot.counts() == (0, 0)).await;
    assert!(collected.elapsed() >= 89 * minute, "gone after {:?}", collected.elapsed());
    assert!(collected.elapsed() <= 90 * minute + SECOND, "gone after {:?}", collected.elapsed());
    assert_eq!((house.clouds.started(), house.clouds.ended()), (2, 2), "no cycle is under way");
    assert_eq!(stale.health, Health::Failed(timeout()));
    assert_eq!(stale.collected_at, failed.collected_at, "nor does it look like one");
    // Collected; failed; nothing left.
    for _ in 0..3 {
        house.transitions.try_recv().expect("told of");
    }
}

#[tokio::test(start_paused = true)]
async fn values_go_stale_even_while_a_cycle_hangs() {
    let hour = Duration::from_secs(3600);
    let mut house = House::new(move |cycle| (if cycle == 0 { SECOND } else { hour }, Ok(kibana(7.0))));
    house.supervisor.put(account("uid-1"));
    house.until(|snapshot| memory(snapshot) == Some(7.0)).await;
    let collected = Instant::now();

    let stale = house.until(|snapshot| snapshot.values.services.is_empty()).await;
    assert!(collected.elapsed() <= 91 * SECOND, "gone after {:?}", collected.elapsed());
    assert!(!stale.values.gauges.up);
    assert_eq!(stale.health, Health::Overdue, "what holds no longer is not said any more");
    assert_eq!(house.clouds.started(), 2, "the hanging cycle is still the same one");
    // Collected, and what came of it since.
    for _ in 0..2 {
        house.transitions.try_recv().expect("told of");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_without_services_is_not_up_while_a_cycle_hangs() {
    let hour = Duration::from_secs(3600);
    let house = House::new(move |cycle| (if cycle == 0 { SECOND } else { hour }, Ok(Collection::default())));
    house.supervisor.put(account("uid-1"));
    house.until(|snapshot| snapshot.values.gauges.up).await;
    let collected = Instant::now();

    let stale = tokio::time::timeout(hour, house.until(|snapshot| !snapshot.values.gauges.up)).await;
    let stale = stale.expect("before the cycle ends");
    assert!(collected.elapsed() <= 91 * SECOND, "after {:?}", collected.elapsed());
    assert_eq!(stale.health, Health::Overdue);
    house.until(|snapshot| snapshot.health == Health::Collected).await;
}

#[tokio::test(start_paused = true)]
async fn a_value_that_goes_stale_alone_leaves_the_account_up() {
    let hour = Duration::from_secs(3600);
    let mut silent = kibana(0.0);
    for instance in silent.services.iter_mut().flat_map(|service| service.instances.iter_mut().flatten()) {
        instance.reading = Reading::no_data();
    }
    let house = House::new(move |cycle| match cycle {
        0 => (SECOND, Ok(kibana(7.0))),
        1 => (SECOND, Ok(silent.clone())),
        _ => (hour, Ok(kibana(7.0))),
    });
    house.supervisor.put(account("uid-1"));
    house.until(|snapshot| memory(snapshot) == Some(7.0)).await;

    let stale = house.until(|snapshot| memory(snapshot).is_none()).await;
    assert_eq!(house.clouds.started(), 3, "in the middle of a cycle");
    assert_eq!(stale.counts(), (1, 1), "its service and instance are known all the same");
    assert!(stale.values.gauges.up);
    assert_eq!(stale.health, Health::Collected);

    let gone = house.until(|snapshot| snapshot.counts() == (0, 0)).await;
    assert!(!gone.values.gauges.up);
    assert_eq!(gone.health, Health::Overdue);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_of_a_changed_account_before_its_own_first_cycle_has_ended() {
    let hour = Duration::from_secs(3600);
    let house = House::new(move |cycle| match cycle {
        0 => (SECOND, Ok(kibana(7.0))),
        1 => (SECOND, Err(CloudError::LoginRejected)),
        _ => (hour, Ok(kibana(7.0))),
    });
    house.supervisor.put(account("uid-1"));
    house.until(|snapshot| snapshot.health.credentials_rejected()).await;
    let mut changed = account("uid-1");
    changed.connection.credentials = Credentials::Token("rotated".into());
    house.supervisor.put(changed);

    let stale = house.until(|snapshot| snapshot.counts() == (0, 0)).await;
    assert_eq!(stale.health, Health::Pending, "the rotated credentials were not refused");
}

#[tokio::test(start_paused = true)]
async fn a_short_stale_after_leaves_no_gap_between_cycles_in_time() {
    let house = House::new(|_| (5 * SECOND, Ok(kibana(7.0))));
    // The second cycle comes half an interval to one and a half after the first, as the UID wants it.
    for uid in 0..20 {
        let mut account = account(&format!("uid-{uid}"));
        account.schedule.stale_after = account.schedule.interval;
        house.supervisor.put(account);
        house.until(|snapshot| memory(snapshot) == Some(7.0)).await;

        let start = Instant::now();
        while start.elapsed() < 150 * SECOND {
            let shown = house.snapshot().as_deref().and_then(memory);
            assert_eq!(shown, Some(7.0), "uid-{uid} after {:?}", start.elapsed());
            tokio::time::sleep(SECOND).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_was_replaced_publishes_nothing_more() {
    let (registry, metrics) = (Arc::new(Registry::default()), Metrics::new());
    let clouds = FakeClouds::new(|_| (SECOND, Err(CloudError::LoginRejected)));
    let (transitions, mut told) = mpsc::channel(1);
    let replaced = Arc::new(account("uid-1"));
    registry.put(Arc::clone(&replaced));
    let task = Task {
        account: Arc::clone(&replaced),
        connect: Arc::new(Shared(clouds)),
        registry: Arc::clone(&registry),
        meter: metrics.account("team-a", "acme"),
        transitions,
        cancel: CancellationToken::new(),
    };
    let cloud = task.connect.connect(&replaced).expect("a cloud");
    let mut memory = Memory::new(&replaced);
    task.cycle(Ok(&*cloud), &mut memory).await;
    assert!(registry.get(&id()).is_some_and(|entry| entry.is_current), "so far it speaks for the account");
    assert!(told.try_recv().is_ok());

    // A task that has just had its answer when it is cancelled goes on to where it waits next.
    let mut rotated = account("uid-1");
    rotated.connection.credentials = Credentials::Token("rotated".into());
    registry.put(Arc::new(rotated));
    memory.told.health = Health::Pending;
    task.cycle(Ok(&*cloud), &mut memory).await;
    let entry = registry.get(&id()).expect("the account");
    assert!(!entry.is_current, "what it shows is from before the change");
    assert!(told.try_recv().is_err(), "and is not told as news");
}

#[tokio::test(start_paused = true)]
async fn an_overrun_leaves_cycles_out_counts_them_and_never_runs_two_at_once() {
    let house = House::new(|_| (100 * SECOND, Ok(kibana(7.0))));
    house.supervisor.put(account("uid-1"));
    tokio::time::sleep(1000 * SECOND).await;

    assert!(house.clouds.started() <= house.clouds.ended() + 1);
    assert!((8..=9).contains(&house.clouds.started()), "{}", house.clouds.started());
    let text = house.metrics.render();
    let skipped = r#"caas_operator_skipped_cycles_total{account="acme",account_namespace="team-a"} "#;
    let count: u64 = text.lines().find_map(|line| line.strip_prefix(skipped)).unwrap().parse().unwrap();
    assert!((20..=27).contains(&count), "{count}");
}

#[tokio::test(start_paused = true)]
async fn only_transitions_are_told_not_cycles() {
    let mut house = House::new(|cycle| match cycle {
        0..=9 => (SECOND, Ok(kibana(f64::from(u32::try_from(cycle).unwrap())))),
        10..=19 => (SECOND, Err(timeout())),
        _ => (SECOND, Ok(kibana(1.0))),
    });
    house.supervisor.put(account("uid-1"));
    tokio::time::sleep(Duration::from_secs(30 * 40)).await;

    let mut told = 0;
    while house.transitions.try_recv().is_ok() {
        told += 1;
    }
    // Collected; failed; the counts fell to zero when the values went stale; collected again.
    assert_eq!(told, 4, "after {} cycles", house.clouds.started());
}

#[tokio::test(start_paused = true)]
async fn a_full_channel_loses_no_transition() {
    let mut house = House::new(|cycle| (SECOND, if cycle < 60 { Ok(kibana(1.0)) } else { Err(timeout()) }));
    for other in 0..20 {
        let mut account = account(&format!("uid-{other}"));
        account.id = crate::account::AccountId::new("team-b", &format!("other-{other}"));
        house.supervisor.put(account);
    }
    house.supervisor.put(account("uid-acme"));
    tokio::time::sleep(Duration::from_secs(120)).await;

    let mut told = std::collections::HashSet::new();
    while told.len() < 21 {
        let transition = tokio::time::timeout(Duration::from_secs(600), house.transitions.recv()).await;
        told.insert(transition.expect("told in time").expect("open").id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cycle_that_panics_is_counted_and_followed_by_the_next() {
    let house = House::new(|cycle| {
        assert!(cycle != 1, "a bug");
        (SECOND, Ok(kibana(f64::from(u32::try_from(cycle).unwrap()))))
    });
    house.supervisor.put(account("uid-1"));
    house.until(|snapshot| memory(snapshot) == Some(2.0)).await;
    assert!(house.metrics.render().contains(r#"reason="panic"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn more_series_than_allowed_are_said_and_the_oldest_kept() {
    let house = House::new(|_| (SECOND, Ok(kibana(1.0))));
    let mut account = account("uid-1");
    account.exposition.max_series = 7;
    house.supervisor.put(account);
    let snapshot = house.until(|_| true).await;
    assert_eq!(snapshot.health.reason(), "TooManySeries");
    assert!(snapshot.values.gauges.up);
}

#[tokio::test(start_paused = true)]
async fn an_empty_account_is_collected_without_services() {
    let house = House::new(|_| (SECOND, Ok(Collection::default())));
    house.supervisor.put(account("uid-1"));
    let snapshot = house.until(|_| true).await;
    assert_eq!((snapshot.health.clone(), snapshot.counts()), (Health::Collected, (0, 0)));
}
