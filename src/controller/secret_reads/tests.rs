//! Reads under virtual time, as reconciles make them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use futures::future::join_all;
use serde_json::json;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

const ONE: NonZeroU32 = NonZeroU32::MIN;

fn throttled() -> ApiError {
    let status = kube::core::Status::failure("later", "TooManyRequests").with_code(429);
    ApiError::Kube(Box::new(kube::Error::Api(status.boxed())))
}

/// The most of 201 reads that are under way at once.
async fn at_once(concurrency: &ReadConcurrency) -> usize {
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let read = || async {
        most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        tokio::time::sleep(SECOND).await;
        now.fetch_sub(1, Ordering::Relaxed);
        // It is neither an answer nor a 429, so it changes no limit.
        Err::<(), _>(ApiError::Deadline(SECOND))
    };
    // One namespace has a third of them only.
    let namespaces = ["team-a", "team-b", "team-c"];
    join_all((0..201).map(|number| concurrency.run(namespaces[number % 3], read))).await;
    most.into_inner()
}

#[tokio::test(start_paused = true)]
async fn at_most_32_reads_are_under_way_half_as_many_after_a_429_and_one_more_after_each_answer() {
    let concurrency = ReadConcurrency::default();
    assert_eq!(at_once(&concurrency).await, 32);
    for limit in [16, 8, 4, 2, 1, 1] {
        concurrency.run("team-a", async || Err::<(), _>(throttled())).await.unwrap_err();
        assert_eq!(at_once(&concurrency).await, limit);
    }
    for limit in 2..=40 {
        concurrency.run("team-a", async || Ok(())).await.unwrap();
        assert_eq!(at_once(&concurrency).await, limit.min(32));
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_counts_for_reads_that_are_under_way_too_and_a_cancelled_read_returns_its_permit() {
    let concurrency = ReadConcurrency::default();
    let refused = || async {
        tokio::time::sleep(SECOND).await;
        Err::<(), _>(throttled())
    };
    // All of them are under way when the first is refused.
    let namespaces = ["team-a", "team-b", "team-c"];
    join_all((0..32).map(|number| concurrency.run(namespaces[number % 3], refused))).await;
    assert_eq!(at_once(&concurrency).await, 1);
    assert!(concurrency.run("team-a", std::future::pending::<Result<(), _>>).now_or_never().is_none());
    assert_eq!(at_once(&concurrency).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_429_that_asks_to_wait_delays_every_read_for_so_long() {
    let concurrency = ReadConcurrency::default();
    let status = json!({"status": "Failure", "code": 429, "details": {"retryAfterSeconds": 7}});
    let status: kube::core::Status = serde_json::from_value(status).unwrap();
    let refused = ApiError::Kube(Box::new(kube::Error::Api(status.boxed())));
    concurrency.run("team-a", async || Err::<(), _>(refused)).await.unwrap_err();

    let start = Instant::now();
    let began = join_all((0..40).map(|_| concurrency.run("team-a", async || Ok(start.elapsed())))).await;
    let first = began.into_iter().map(Result::unwrap).min().unwrap();
    assert!((7 * SECOND..8 * SECOND).contains(&first), "{first:?}");
    assert_eq!(
        concurrency.run("team-a", async || Ok(start.elapsed())).await.unwrap(),
        start.elapsed(),
        "once"
    );
}

/// When each account was read, from the beginning on.
type Readings = Mutex<HashMap<AccountId, Vec<Duration>>>;

/// Reads so many accounts again and again for so long, as reconciles do.
async fn live(healthy: usize, failing: usize, lasts: Duration) -> HashMap<AccountId, Vec<Duration>> {
    let (later, readings) = (LaterReads::default(), Readings::default());
    let population = |namespace: &str| Population {
        accounts: healthy + failing,
        namespaces: 2,
        neighbors: if namespace == "healthy" { healthy } else { failing },
    };
    let accounts = |kind: &'static str, count| (0..count).map(move |n| AccountId::new(kind, &n.to_string()));
    let all: Vec<AccountId> = accounts("healthy", healthy).chain(accounts("failing", failing)).collect();
    let granted: HashMap<AccountId, Arc<Notify>> =
        all.iter().map(|id| (id.clone(), Arc::new(Notify::new()))).collect();
    let start = Instant::now();
    let account = |id: AccountId| {
        let (later, readings, granted) = (&later, &readings, Arc::clone(&granted[&id]));
        let population = population(&id.namespace);
        async move {
            let mut jitter = fastrand::f64();
            loop {
                let period = period(&*id.namespace == "failing", population);
                tokio::time::sleep(period.mul_f64(jitter)).await;
                jitter = 0.9 + 0.2 * fastrand::f64();
                while !later.may_read(&id, ONE) {
                    granted.notified().await;
                }
                readings.lock().unwrap().entry(id.clone()).or_default().push(start.elapsed());
            }
        }
    };
    let (sender, mut receiver) = mpsc::channel(1);
    let deliver = async {
        while let Some(id) = receiver.recv().await {
            granted[&id].notify_one();
        }
    };
    let everything =
        async { tokio::join!(join_all(all.iter().cloned().map(account)), later.grant(sender), deliver) };
    assert!(tokio::time::timeout(lasts, everything).await.is_err());
    readings.into_inner().unwrap()
}

/// The longest time without a reading that an account of this kind went through.
fn longest_gap(readings: &HashMap<AccountId, Vec<Duration>>, kind: &str) -> Duration {
    let gaps = readings.iter().filter(|(id, _)| &*id.namespace == kind).flat_map(|(_, times)| {
        let begins = std::iter::once(Duration::ZERO).chain(times.iter().copied());
        begins.zip(times.iter().copied()).map(|(begin, end)| end.saturating_sub(begin))
    });
    gaps.max().unwrap()
}

/// How many readings there were a second.
fn rate(readings: &HashMap<AccountId, Vec<Duration>>, lasts: Duration) -> f64 {
    readings.values().flatten().count() as f64 / lasts.as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn few_accounts_are_read_each_minute_and_failing_ones_each_15_seconds() {
    let readings = live(300, 10, 600 * SECOND).await;
    assert!(longest_gap(&readings, "healthy") < 70 * SECOND);
    assert!(longest_gap(&readings, "failing") < 20 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_accounts_share_ten_reads_a_second_and_none_is_left_out() {
    let lasts = 3000 * SECOND;
    let readings = live(10_000, 20, lasts).await;
    assert_eq!(readings.len(), 10_020);
    assert!(rate(&readings, lasts) < 10.1, "{}", rate(&readings, lasts));
    assert!(longest_gap(&readings, "healthy") < 1400 * SECOND, "{:?}", longest_gap(&readings, "healthy"));
    // Their period, and the queue that forms where many healthy ones happen to be due together.
    assert!(longest_gap(&readings, "failing") < 60 * SECOND, "{:?}", longest_gap(&readings, "failing"));
}

#[tokio::test(start_paused = true)]
async fn however_many_a_namespace_has_that_fail_another_is_read_as_if_it_were_alone() {
    let readings = live(3, 1200, 600 * SECOND).await;
    assert!(longest_gap(&readings, "healthy") < 70 * SECOND, "{:?}", longest_gap(&readings, "healthy"));
    let readings = live(10_000, 3, 600 * SECOND).await;
    assert!(longest_gap(&readings, "failing") < 20 * SECOND, "{:?}", longest_gap(&readings, "failing"));
}

#[test]
fn an_account_is_read_as_seldom_as_the_accounts_of_its_namespace_make_necessary() {
    let seconds = |accounts, namespaces, neighbors| {
        period(false, Population { accounts, namespaces, neighbors }).as_secs()
    };
    assert_eq!([seconds(480, 1, 480), seconds(10_000, 1, 10_000)], [60, 1250]);
    // Few in their namespace, beside one with very many; and as many in each.
    assert_eq!([seconds(10_005, 2, 5), seconds(10_005, 2, 10_000)], [60, 1250]);
    assert_eq!(seconds(10_000, 100, 100), 1250);
}

#[tokio::test]
async fn reads_that_hang_in_one_namespace_do_not_delay_those_of_another() {
    let concurrency = ReadConcurrency::default();
    let mut hanging: Vec<_> =
        (0..1200).map(|_| concurrency.run("tenant", std::future::pending::<Result<(), _>>).boxed()).collect();
    assert!(hanging.iter_mut().all(|read| read.now_or_never().is_none()));
    assert!(concurrency.run("team-a", async || Ok(())).now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn where_too_many_fail_all_are_read_later_and_none_is_left_out() {
    let lasts = 1000 * SECOND;
    let readings = live(1000, 1000, lasts).await;
    assert_eq!(readings.len(), 2000);
    assert!(rate(&readings, lasts) < 10.1, "{}", rate(&readings, lasts));
    assert!(longest_gap(&readings, "healthy") < 500 * SECOND, "{:?}", longest_gap(&readings, "healthy"));
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_served_in_turn_by_namespace_in_order_within_one_and_an_account_that_has_gone_costs_no_read()
 {
    let later = LaterReads::default();
    let ids: Vec<AccountId> = (0..20).map(|n| AccountId::new("team-a", &n.to_string())).collect();
    let at_once = ids.iter().filter(|id| later.may_read(id, ONE)).count();
    assert_eq!(at_once, 10, "a second's reads may be made at once");
    later.remove(&ids[10]);
    let other = AccountId::new("team-b", "other");
    assert!(!later.may_read(&other, ONE));
    let (sender, mut receiver) = mpsc::channel(20);
    let start = Instant::now();
    assert!(tokio::time::timeout(SECOND, later.grant(sender)).await.is_err());
    for id in [&ids[11], &other].into_iter().chain(&ids[12..]) {
        assert_eq!(receiver.recv().await.as_ref(), Some(id));
        assert!(later.may_read(id, ONE), "{id}");
    }
    assert!(start.elapsed() <= SECOND);
    assert!(receiver.recv().await.is_none());
}
