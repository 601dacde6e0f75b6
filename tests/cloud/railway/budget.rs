//! The limits of a token, kept for hours of virtual time.

use std::time::Duration;

use caas_operator::collector::Health;
use caas_operator::simulator::{AccountSettings, Railway, Running, Settings, Simulator};
use serde_json::json;

use crate::support::{Collectors, VirtualTime, in_virtual_time};

const HOUR: Duration = Duration::from_secs(3600);

/// A cloud of six projects with two environments each: 25 requests a cycle.
async fn cloud(time: &VirtualTime, options: Railway) -> Running {
    let account =
        AccountSettings { services: 12, instances: 2, applications: 10, ..AccountSettings::new("acme") };
    let settings = Settings { accounts: vec![account], clock: time.clock(), ..options.into() };
    Simulator::start(settings).await.unwrap()
}

#[test]
fn three_accounts_of_one_token_stay_below_its_limits_and_spend_most_of_them() {
    in_virtual_time(async |time| {
        let cloud = cloud(&time, Railway::default()).await;
        // At the default interval of a minute they would send 4,000 requests an hour; 1,000 are allowed.
        let three = [json!({}), json!({"environments": ["production"]}), json!({"http": true})];
        let collectors = Collectors::start(&cloud, "railway", &three);
        time.pass(HOUR, &cloud).await;

        cloud.reset_counts();
        time.pass(HOUR, &cloud).await;
        assert_eq!(collectors.answered("429"), 0);
        let sent = cloud.counts().total;
        assert!((600..=900).contains(&sent), "{sent} of 1,000");
        for number in 0..3 {
            let snapshot = collectors.snapshot(number);
            assert!(matches!(snapshot.health, Health::Stretched { .. }), "{:?}", snapshot.health);
            assert!(snapshot.values.gauges.interval > 240.0, "{}", snapshot.values.gauges.interval);
        }
        collectors.stop().await;
    });
}

#[test]
fn a_plan_with_a_higher_limit_is_learned_from_the_headers() {
    in_virtual_time(async |time| {
        let cloud =
            cloud(&time, Railway { hourly_limit: 10_000, second_limit: 50, ..Railway::default() }).await;
        let collectors = Collectors::start(&cloud, "railway", &[json!({})]);
        time.pass(Duration::from_secs(900), &cloud).await;
        let gauges = collectors.snapshot(0).values.gauges;
        assert!(
            (gauges.interval - 60.0).abs() < 1e-9,
            "the interval that is wanted, not {}",
            gauges.interval
        );
        // 25 requests a minute of 141 that may be spent.
        assert!(
            gauges.request_budget.is_some_and(|ratio| (0.15..0.2).contains(&ratio)),
            "{:?}",
            gauges.request_budget
        );
        assert_eq!(collectors.answered("429"), 0);
        collectors.stop().await;
    });
}
