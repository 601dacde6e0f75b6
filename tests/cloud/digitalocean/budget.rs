//! The limits of a token, kept for hours of virtual time.

use std::time::Duration;

use caas_operator::collector::Health;
use caas_operator::simulator::{AccountSettings, DigitalOcean, Settings, Simulator};
use serde_json::json;

use crate::support::{Collectors, in_virtual_time};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn three_accounts_of_one_token_stay_below_its_limits_and_spend_most_of_them() {
    in_virtual_time(async |time| {
        let account = AccountSettings { services: 12, instances: 2, ..AccountSettings::new("acme") };
        let hourly = 1_000;
        // Below what is published, as the headers say, and the published one of a minute.
        let options = DigitalOcean { hourly_limit: hourly, ..DigitalOcean::default() };
        let settings = Settings { accounts: vec![account], clock: time.clock(), ..options.into() };
        let cloud = Simulator::start(settings).await.unwrap();
        let three = [json!({}), json!({"health": false}), json!({"kinds": ["service"]})];
        let collectors = Collectors::start(&cloud, "digitalocean", &three);
        time.pass(2 * HOUR, &cloud).await;

        cloud.reset_counts();
        time.pass(HOUR, &cloud).await;
        assert_eq!(collectors.answered("429"), 0);
        let (sent, limit) = (cloud.counts().total, hourly as u64);
        assert!((limit * 60 / 100..=limit * 90 / 100).contains(&sent), "{sent} of {limit}");
        for number in 0..3 {
            let snapshot = collectors.snapshot(number);
            assert!(matches!(snapshot.health, Health::Stretched { .. }), "{:?}", snapshot.health);
            assert!(snapshot.values.gauges.interval > 400.0, "{}", snapshot.values.gauges.interval);
        }
        collectors.stop().await;
    });
}
