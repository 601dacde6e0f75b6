//! Accounts whose cloud limits the requests of a token, collected under virtual time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::fake::{Fixture, account, kibana};
use super::health::Health;
use crate::cloud::CloudError;
use crate::cloud::http::{Http, Policy, PublishedLimits, RateGroup, RateLimit, RateShare};

/// A token that may send 1,000 requests an hour.
fn rate() -> RateShare {
    let group = RateGroup::new(&"https://api.example.com/".parse().unwrap(), "token");
    let limits = vec![RateLimit::per_hour(1_000)];
    Http::new(Policy::default()).rate(&PublishedLimits { group, limits, header_window: None })
}

#[tokio::test(start_paused = true)]
async fn an_account_beyond_its_limit_is_collected_less_often_and_says_so() {
    let fixture = Fixture::new(|_| (Duration::from_secs(1), Ok(kibana(1.0))));
    // 2,400 an hour at the interval of 30 s; 850 may be spent.
    fixture.limit(rate(), |_| 20);
    fixture.supervisor.put(account("uid"));
    let snapshot = fixture.until(|snapshot| snapshot.health != Health::Pending).await;
    assert_eq!(snapshot.health, Health::Stretched { interval: Duration::from_secs(90) });
    assert!((snapshot.values.gauges.interval - 90.0).abs() < 1e-9);
    assert!(snapshot.values.gauges.request_budget.is_some_and(|ratio| ratio > 2.8));

    let (start, before) = (Instant::now(), fixture.clouds.started());
    sleep(Duration::from_secs(3600)).await;
    let requests = (fixture.clouds.started() - before) * 20;
    assert!((700..=900).contains(&requests), "{requests} requests in {:?}", start.elapsed());
    assert!(fixture.metrics.render().find("skipped_cycles_total{").is_none(), "no cycle was skipped");
    assert_eq!(fixture.reported(), Some(Health::Stretched { interval: Duration::from_secs(90) }));
}

#[tokio::test(start_paused = true)]
async fn one_failed_cycle_of_a_stretched_interval_does_not_end_the_series() {
    let failed = || Err(CloudError::Status(500));
    let fixture = Fixture::new(move |cycle| {
        (Duration::from_secs(1), if cycle == 1 { failed() } else { Ok(kibana(1.0)) })
    });
    // Every 180 s; by itself the account keeps values for 90 s.
    fixture.limit(rate(), |_| 40);
    fixture.supervisor.put(account("uid"));
    fixture.until(|snapshot| snapshot.values.gauges.up).await;
    let failing = fixture.until(|snapshot| !snapshot.values.gauges.up).await;
    assert_eq!(failing.values.services.len(), 1, "the values of the cycle before are kept");
    fixture.until(|snapshot| snapshot.values.gauges.up).await;
}

#[tokio::test(start_paused = true)]
async fn a_first_cycle_that_costs_more_than_the_others_lengthens_no_interval_but_the_first() {
    let fixture = Fixture::new(|_| (Duration::from_secs(1), Ok(kibana(1.0))));
    // 28 requests in 30 s are 3,360 an hour, four times what may be spent; 7 fit.
    fixture.limit(rate(), |cycle| if cycle == 0 { 28 } else { 7 });
    fixture.supervisor.put(account("uid"));
    let first = fixture.until(|snapshot| snapshot.health != Health::Pending).await;
    assert_eq!(first.health, Health::Stretched { interval: Duration::from_secs(120) });

    let start = Instant::now();
    fixture.until(|snapshot| snapshot.health == Health::Collected).await;
    assert!(start.elapsed() <= Duration::from_secs(240), "{:?}", start.elapsed());
    let before = fixture.clouds.started();
    sleep(Duration::from_secs(600)).await;
    let cycles = fixture.clouds.started() - before;
    assert!((19..=21).contains(&cycles), "{cycles} cycles of 30 s in ten minutes");
    assert_eq!(fixture.reported(), Some(Health::Collected));
}
