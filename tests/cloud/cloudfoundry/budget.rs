//! The limit on a user's requests, kept for hours of virtual time.

use std::time::Duration;

use caas_operator::collector::Health;
use caas_operator::simulator::{AccountSettings, CloudFoundry, Running, Settings, Simulator};
use serde_json::{Value, json};

use crate::support::{Collectors, VirtualTime, in_virtual_time};

const HOUR: Duration = Duration::from_secs(3600);
const LIMIT: u64 = 1_000;

/// An installation of 20 applications of one process each.
async fn installation(time: &VirtualTime, rate_limit: Option<u64>) -> Running {
    let account =
        AccountSettings { services: 20, instances: 2, applications: 4, ..AccountSettings::new("acme") };
    let options = CloudFoundry { rate_limit, ..CloudFoundry::default() };
    let settings = Settings { accounts: vec![account], clock: time.clock(), ..options.into() };
    Simulator::start(settings).await.unwrap()
}

/// Three accounts that differ in what they collect, and are one user's.
fn three() -> [Value; 3] {
    [json!({}), json!({"organizations": ["acme"]}), json!({"spaces": ["production"]})]
}

#[test]
fn three_accounts_of_one_user_stay_below_a_limit_that_nobody_knew_before_and_spend_most_of_it() {
    in_virtual_time(async |time| {
        let cloud = installation(&time, Some(LIMIT)).await;
        let collectors = Collectors::start(&cloud, "cloudfoundry", &three());
        time.pass(2 * HOUR, &cloud).await;

        cloud.reset_counts();
        time.pass(HOUR, &cloud).await;
        let counts = cloud.counts();
        assert_eq!(collectors.answered("429"), 0);
        // The root and logins are not limited.
        let sent = counts.total - counts["root"] - counts["login"];
        assert!((LIMIT * 65 / 100..=LIMIT * 90 / 100).contains(&sent), "{sent} of {LIMIT}");
        for number in 0..3 {
            let snapshot = collectors.snapshot(number);
            assert!(matches!(snapshot.health, Health::Stretched { .. }), "{:?}", snapshot.health);
            assert!(snapshot.values.gauges.interval > 200.0, "{}", snapshot.values.gauges.interval);
            assert!(snapshot.values.gauges.request_budget.is_some_and(|ratio| ratio > 3.0));
        }
        collectors.stop().await;
    });
}

#[test]
fn an_installation_without_a_limit_is_collected_at_the_interval_that_is_wanted() {
    in_virtual_time(async |time| {
        let cloud = installation(&time, None).await;
        let collectors = Collectors::start(&cloud, "cloudfoundry", &three()[..1]);
        time.pass(HOUR, &cloud).await;
        assert!((59..=61).contains(&cloud.counts()["apps_page"]), "{:?}", cloud.counts());
        let snapshot = collectors.snapshot(0);
        let gauges = &snapshot.values.gauges;
        assert_eq!((gauges.interval.to_string().as_str(), gauges.request_budget), ("60", None));
        assert_eq!(snapshot.health, Health::Collected);
        collectors.stop().await;
    });
}
