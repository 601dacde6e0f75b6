//! One account's cycles under virtual time.

mod rendering;
mod reports;
mod stale;

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
use crate::limits::{ProcessLimits, Workers};

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
async fn a_task_that_has_not_seen_a_change_yet_publishes_and_reports_nothing_more() {
    let (registry, metrics) = (Arc::new(Registry::default()), Metrics::new());
    let clouds = FakeClouds::new(|_| (SECOND, Err(CloudError::LoginRejected)));
    let (transitions, mut reported) = mpsc::channel(1);
    let before = Arc::new(account("uid-1"));
    registry.put(Arc::clone(&before));
    let shared = Shared::new(
        ProcessLimits::default(),
        Arc::new(Connector(clouds)),
        Arc::clone(&registry),
        metrics,
        transitions,
    );
    let (_sender, desired) = watch::channel(Arc::clone(&before));
    let history = ClientHistory::default();
    let mut state = CollectorState::new(&before, &*shared.connect, &history);
    let cycles = cycles(&shared, &before, desired, &history);
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
async fn an_empty_account_is_collected_without_services() {
    let fixture = Fixture::new(|_| (SECOND, Ok(Collection::default())));
    fixture.supervisor.put(account("uid-1"));
    let snapshot = fixture.until(|_| true).await;
    assert_eq!((snapshot.health.clone(), snapshot.counts()), (Health::Collected, (0, 0)));
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
