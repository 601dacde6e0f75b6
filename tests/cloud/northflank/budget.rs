//! The limit of a token, kept for hours of virtual time.

use std::time::Duration;

use caas_operator::collector::Health;
use caas_operator::simulator::{AccountSettings, Northflank, Running, Settings, Simulator};
use serde_json::{Value, json};

use crate::support::{Collectors, VirtualTime, in_virtual_time};

const HOUR: Duration = Duration::from_secs(3600);

/// What the cloud documents, in an hour.
const LIMIT: u64 = 1_000;

/// A cloud of 30 services with the documented limit, whose clock is the test's.
async fn cloud(time: &VirtualTime) -> Running {
    let account =
        AccountSettings { services: 30, instances: 2, applications: 8, ..AccountSettings::new("acme") };
    let settings = Settings { accounts: vec![account], clock: time.clock(), ..Northflank::default().into() };
    Simulator::start(settings).await.unwrap()
}

fn collectors(cloud: &Running, settings: &[Value]) -> Collectors {
    Collectors::start(cloud, "northflank", settings)
}

#[test]
fn an_account_that_fits_keeps_its_interval_for_an_hour_without_a_429() {
    in_virtual_time(async |time| {
        let cloud = cloud(&time).await;
        let collectors = collectors(&cloud, &[json!({})]);
        // The first collection costs more, since all is new, and counts in the mean of the next ones.
        time.pass(2 * HOUR, &cloud).await;

        cloud.reset_counts();
        time.pass(HOUR, &cloud).await;
        assert_eq!(collectors.answered("429"), 0);
        let counts = cloud.counts();
        assert!((LIMIT * 65 / 100..=LIMIT * 90 / 100).contains(&counts.total), "{} requests", counts.total);
        assert!((12..=13).contains(&counts["projects"]), "{} cycles of 5 minutes", counts["projects"]);
        let snapshot = collectors.snapshot(0);
        assert_eq!((&snapshot.health, snapshot.counts()), (&Health::Collected, (30, 60)));
        collectors.stop().await;
    });
}

#[test]
fn three_northflank_accounts_of_one_token_stay_below_its_limit_and_say_which_interval_they_keep() {
    in_virtual_time(async |time| {
        let cloud = cloud(&time).await;
        let three = [json!({}), json!({"inventoryInterval": "30m"}), json!({"metricsMaxAge": "5m"})];
        let collectors = collectors(&cloud, &three);
        // Until each has been collected and all know what they need together.
        time.pass(2 * HOUR, &cloud).await;

        cloud.reset_counts();
        time.pass(HOUR, &cloud).await;
        assert_eq!(collectors.answered("429"), 0);
        let sent = cloud.counts().total;
        assert!((LIMIT * 65 / 100..=LIMIT * 90 / 100).contains(&sent), "{sent} of {LIMIT}");
        for number in 0..3 {
            let snapshot = collectors.snapshot(number);
            assert!(matches!(snapshot.health, Health::Stretched { .. }), "{:?}", snapshot.health);
            let interval = snapshot.values.gauges.interval;
            assert!((600.0..=1200.0).contains(&interval), "{interval} s");
        }
        collectors.stop().await;
    });
}
