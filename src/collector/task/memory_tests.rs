//! Accounts whose values do not fit into the memory that all share, under virtual time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::account::Account;
use crate::cloud::Collection;
use crate::cloud::model::ServiceFacts;
use crate::collector::Health;
use crate::collector::fake::{self, Fixture, kibana};
use crate::collector::history::SERVICE_BYTES;
use crate::limits::{Charge, MemoryBudget, ProcessLimits};

const SECOND: Duration = Duration::from_secs(1);
/// What all accounts share in these tests.
const BUDGET: usize = 1 << 20;

fn limits() -> ProcessLimits {
    ProcessLimits { memory: MemoryBudget::new(BUDGET), ..ProcessLimits::default() }
}

/// An account that may have any number of series.
fn account() -> Account {
    let mut account = fake::account("uid-1");
    account.exposition.max_series = 1_000_000;
    account
}

/// So many services with an instance each, which take about 2 KiB each.
fn services(count: usize) -> Collection {
    let service = kibana(7.0).services.remove(0);
    let named = |number| {
        let facts = ServiceFacts { name: format!("service-{number}"), ..ServiceFacts::default() };
        crate::cloud::model::Service { facts: Arc::new(facts), ..service.clone() }
    };
    Collection { services: (0..count).map(named).collect(), ..Collection::default() }
}

/// Another namespace that holds so much.
fn other_namespace(limits: &ProcessLimits, bytes: usize) -> Charge {
    let mut charge = limits.memory.holder("team-b", "other").charge();
    charge.resize(bytes).unwrap();
    charge
}

#[tokio::test(start_paused = true)]
async fn an_account_that_does_not_fit_keeps_nothing_and_says_how_much_it_needed() {
    let limits = limits();
    let fixture = Fixture::within(limits.clone(), |_| (SECOND, Ok(services(5_000))));
    let other = other_namespace(&limits, BUDGET / 4);
    fixture.supervisor.put(account());

    let cut = fixture.until(|snapshot| matches!(snapshot.health, Health::TooLarge(_))).await;

    let Health::TooLarge(over) = &cut.health else { unreachable!() };
    assert!(over.budget == BUDGET && over.needed > BUDGET, "{over:?}");
    assert!(cut.values.services.is_empty() && !cut.values.gauges.up);
    assert!(cut.health.message().contains("of the 1 MiB"), "{}", cut.health.message());
    assert_eq!(limits.memory.held(), other.bytes(), "only the other namespace holds something");
    assert!(limits.memory.holder("team-b", "other").is_cut().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_keeps_between_cycles_is_charged_and_dropped_with_the_values() {
    let limits = limits();
    let fixture = Fixture::within(limits.clone(), |_| (SECOND, Ok(services(10))));
    fixture.clouds.kept.store(BUDGET / 2, Ordering::SeqCst);
    fixture.supervisor.put(account());
    fixture.until(|snapshot| snapshot.health == Health::Collected).await;
    assert!(limits.memory.held() > BUDGET / 2, "{} bytes", limits.memory.held());

    let other = other_namespace(&limits, BUDGET / 2);
    fixture.until(|snapshot| matches!(snapshot.health, Health::TooLarge(_))).await;
    assert_eq!(fixture.clouds.kept.load(Ordering::SeqCst), 0);
    assert_eq!(limits.memory.held(), other.bytes());
}

#[tokio::test(start_paused = true)]
async fn values_go_at_once_where_a_smaller_namespace_needs_the_memory_and_come_back_when_there_is_room() {
    let limits = limits();
    let fixture = Fixture::within(limits.clone(), |_| (SECOND, Ok(services(350))));
    fixture.supervisor.put(account());
    fixture.until(|snapshot| snapshot.health == Health::Collected).await;
    let held = limits.memory.held();
    assert!(held > BUDGET / 2 && held < BUDGET, "350 services with an instance each take {held} bytes");

    let other = other_namespace(&limits, BUDGET / 2);
    let start = Instant::now();
    let cut = fixture.until(|snapshot| matches!(snapshot.health, Health::TooLarge(_))).await;
    assert!(start.elapsed() < SECOND, "not only with the next cycle: {:?}", start.elapsed());
    assert!(cut.values.services.is_empty());
    assert_eq!(limits.memory.held(), BUDGET / 2);

    let cycles = fixture.clouds.started();
    sleep(5 * 30 * SECOND).await;
    assert_eq!(fixture.clouds.started(), cycles, "what would not fit is not asked for");

    drop(other);
    let start = Instant::now();
    fixture.until(|snapshot| snapshot.health == Health::Collected).await;
    assert!(start.elapsed() <= 32 * SECOND, "with the next cycle: {:?}", start.elapsed());
    // Compressed bodies of other times differ by some bytes.
    assert!(limits.memory.held().abs_diff(held) < 1_000, "{} bytes, not {held}", limits.memory.held());
}

#[tokio::test(start_paused = true)]
async fn a_cycle_that_waits_for_a_slow_cloud_is_dropped_where_its_account_is_cut() {
    let limits = limits();
    let hour = Duration::from_secs(3600);
    let fixture = Fixture::within(limits.clone(), move |cycle| {
        (if cycle == 0 { SECOND } else { hour }, Ok(services(350)))
    });
    fixture.supervisor.put(account());
    fixture.until(|snapshot| snapshot.health == Health::Collected).await;
    while fixture.clouds.started() < 2 {
        sleep(SECOND).await;
    }
    let _other = other_namespace(&limits, BUDGET / 2);
    fixture.until(|snapshot| matches!(snapshot.health, Health::TooLarge(_))).await;
    sleep(hour + 60 * SECOND).await;
    assert_eq!(fixture.clouds.ended(), 1, "the cycle under way was dropped");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_removed_gives_its_memory_back() {
    let limits = limits();
    let fixture = Fixture::within(limits.clone(), |_| (SECOND, Ok(services(100))));
    let account = self::account();
    let id = account.id.clone();
    fixture.supervisor.put(account);
    fixture.until(|snapshot| snapshot.health == Health::Collected).await;
    fixture.supervisor.remove(&id);
    fixture.supervisor.stop().await;
    assert_eq!(limits.memory.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_hour_of_services_is_charged_and_may_be_left_out() {
    let held = async |without_history: bool| {
        let limits = ProcessLimits { without_history, ..limits() };
        let fixture = Fixture::within(limits.clone(), |_| (SECOND, Ok(services(100))));
        fixture.supervisor.put(account());
        let snapshot = fixture.until(|snapshot| snapshot.health == Health::Collected).await;
        assert_eq!(snapshot.history.bytes(), if without_history { 0 } else { 100 * SERVICE_BYTES });
        limits.memory.held()
    };
    let more = held(false).await - held(true).await;
    // Times in the bodies compress a little better or worse.
    assert!(more.abs_diff(100 * SERVICE_BYTES) < 1_000, "{more} bytes");
}
