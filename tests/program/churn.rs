//! F21 to F23: clocks that jump, and clouds that change all the time.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caas_operator::collector::registry::Snapshot;
use caas_operator::simulator::{AccountSettings, Alauda, Clock, Running, Settings, Simulator};

use crate::collected::{Collected, INTERVAL, PASSWORD, families, provider_with, samples};
use crate::process::{memory, until};

/// The machine's time in whole seconds.
fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A cloud with a clock that the test sets, initially to the current time.
async fn cloud_with_clock(services: usize, instances: usize, churn: f64) -> (Running, Arc<AtomicI64>) {
    let time = Arc::new(AtomicI64::new(now()));
    let shown = Arc::clone(&time);
    #[allow(clippy::cast_precision_loss)] // seconds of this century
    let clock = Clock::new(move || shown.load(Ordering::SeqCst) as f64);
    let password = Some(PASSWORD.to_owned());
    let user = AccountSettings { password, services, instances, ..AccountSettings::new("acme") };
    let settings = Settings {
        accounts: vec![user],
        churn,
        clock,
        ..Alauda { page_size: 50, ..Alauda::default() }.into()
    };
    (Simulator::start(settings).await.unwrap(), time)
}

/// Only the difference of the clocks matters, so the cloud's clock is moved; ours is the machine's.
#[tokio::test]
async fn a_clock_that_jumps_does_not_change_the_schedule_and_loses_data_only_while_it_is_wrong() {
    let (cloud, time) = cloud_with_clock(4, 2, 0.0).await;
    let collected = Collected::of(cloud, |_| {});
    assert_eq!(samples(&*collected.until_reason("Collected").await), 8);
    for jump in [-7 * 86_400, 7 * 86_400] {
        time.store(now() + jump, Ordering::SeqCst);
        if jump < 0 {
            // Our window is in the cloud's future, which has no data.
            collected.until("old values go stale", |snapshot| samples(snapshot) == 0).await;
        }
        collected.cloud.reset_counts();
        let begun = tokio::time::Instant::now();
        collected.runtime.cycles("acme", 20).await;
        let (cycles, took) = (collected.cloud.counts()["services_page"], begun.elapsed());
        let expected = took.as_secs_f64() / INTERVAL.as_secs_f64();
        #[allow(clippy::cast_precision_loss)] // some tens
        let cycles = cycles as f64;
        assert!(cycles <= expected + 2.0, "{cycles} cycles in {took:?}: skipped cycles are not made up for");
        assert_eq!(collected.until("a cycle", |_| true).await.health.reason().as_str(), "Collected");
        time.store(now(), Ordering::SeqCst);
        collected.until("the data is back", |snapshot| samples(snapshot) == 8).await;
    }
    collected.stop().await;
}

/// The instances that exist at a time: from the identifier to the start in whole seconds.
fn existing(cloud: &Running, time: f64) -> BTreeMap<String, i64> {
    let world = cloud.world("acme").unwrap();
    let instances =
        world.services(time).flat_map(|service| service.instances().collect::<Vec<_>>().into_iter());
    instances.map(|one| (one.uuid.clone(), seconds(one.started_at(time)))).collect()
}

fn seconds(time: f64) -> i64 {
    #[allow(clippy::cast_possible_truncation)] // seconds of this century
    let whole = time.floor() as i64;
    whole
}

/// A family's values by instance identifier.
fn values(snapshot: &Snapshot, name: &str) -> BTreeMap<String, f64> {
    let family = families(snapshot).into_iter().find(|family| family.name == name);
    let samples = family.map_or_else(Vec::new, |family| family.samples);
    samples.into_iter().map(|sample| (sample.labels["instance_id"].clone(), sample.value)).collect()
}

/// The instances that the body exposes: from the identifier to the start in whole seconds.
fn exposed(snapshot: &Snapshot) -> BTreeMap<String, i64> {
    let starts = values(snapshot, "caas_instance_start_time_seconds");
    starts.into_iter().map(|(id, start)| (id, seconds(start))).collect()
}

/// An account of a cloud in which everything changes.
async fn churning(services: usize, instances: usize, window: Duration) -> (Collected, Arc<AtomicI64>) {
    let (cloud, time) = cloud_with_clock(services, instances, 1.0).await;
    let endpoint = cloud.url();
    let collected = Collected::of(cloud, move |account| {
        account.connection.provider = provider_with(&endpoint, PASSWORD, window, Duration::ZERO);
        account.schedule.interval = Duration::from_millis(20);
        // Everything that disappears must do so because of the list, not because it is old.
        account.schedule.stale_after = Duration::from_secs(3600);
    });
    (collected, time)
}

#[tokio::test]
async fn a_redeployed_renamed_or_restarted_instance_is_a_new_series_and_the_old_one_ends() {
    const STEP: i64 = 600;
    const STEPS: i64 = 10;
    let window = Duration::from_secs(2 * (STEP * STEPS).unsigned_abs());
    let (collected, time) = churning(12, 2, window).await;
    let begin = now() - STEP * STEPS;
    let (mut seen, mut before) = (BTreeSet::new(), BTreeMap::new());
    let mut resets = 0;
    for step in 0..STEPS {
        time.store(begin + step * STEP, Ordering::SeqCst);
        #[allow(clippy::cast_precision_loss)] // seconds of this century
        let there = existing(&collected.cloud, (begin + step * STEP) as f64);
        let snapshot = collected.until("it exposes what exists", |snapshot| exposed(snapshot) == there).await;
        assert!(samples(&snapshot) > 0);
        for family in families(&snapshot) {
            for id in family.samples.iter().filter_map(|sample| sample.labels.get("instance_id")) {
                assert!(there.contains_key(id), "{} has a series of {id}, which is gone", family.name);
            }
        }
        let now = values(&snapshot, "caas_instance_cpu_usage_seconds_total");
        for (id, usage) in &now {
            let Some((started, used)) = before.get(id) else { continue };
            if there[id] == *started {
                assert!(usage >= used, "{id} did not restart, and its counter fell from {used} to {usage}");
            } else {
                resets += usize::from(usage < used);
            }
        }
        // The newest measurements lag behind: after a restart they are from before it for a while.
        let sampled = values(&snapshot, "caas_instance_sample_timestamp_seconds");
        let known = now.into_iter().filter(|(id, _)| seconds(sampled[id]) >= there[id]);
        before = known.map(|(id, usage)| (id.clone(), (there[&id], usage))).collect();
        seen.extend(there.into_keys());
    }
    assert!(seen.len() > 40, "{} instances came and went", seen.len());
    assert!(resets > 0, "a counter that begins again after a restart is exposed as it is");
    collected.stop().await;
}

/// Set if the test below runs in a process of its own, so that it measures only its own memory.
const ALONE: &str = "CAAS_TEST_ALONE";
/// Cycles before memory is measured, and again after.
const CYCLES: i64 = 100;
/// Seconds from one to the next, in which half of all services change.
const STEP: i64 = 450;
/// The allocator's tolerance.
const MOST_GROWTH: u64 = 2 << 20;

#[tokio::test]
async fn memory_stays_flat_while_services_come_and_go() {
    if std::env::var_os(ALONE).is_none() {
        let name = "churn::memory_stays_flat_while_services_come_and_go";
        let mut alone = Command::new(std::env::current_exe().unwrap());
        alone.args([name, "--exact", "--nocapture"]).env(ALONE, "1");
        let output = crate::process::finished(alone).await;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        print!("{said}");
        return;
    }
    // The cloud is ahead of us and has no data of what came after our time: names and numbers of services and
    // instances are what could pile up.
    let (collected, time) = churning(40, 1, Duration::from_secs(100)).await;
    let mut at_first = 0;
    for half in 1..=2 {
        for _ in 0..CYCLES {
            time.fetch_add(STEP, Ordering::SeqCst);
            let pages = collected.cloud.counts()["services_page"];
            until("a cycle at the new time", async || {
                (collected.cloud.counts()["services_page"] > pages).then_some(())
            })
            .await;
        }
        // The simulated cloud keeps the newest requests, which is none of our growth.
        collected.cloud.reset_counts();
        let memory = memory("self", "VmRSS:");
        println!("after {} hours of churn: {} KiB", half * CYCLES * STEP / 3600, memory >> 10);
        if half == 1 {
            at_first = memory;
        } else {
            assert!(memory < at_first + MOST_GROWTH, "{} KiB became {} KiB", at_first >> 10, memory >> 10);
        }
    }
    let own = collected.runtime.own();
    assert!(own.lines().count() < 300, "the own metrics do not grow either: {own}");
    collected.stop().await;
}
