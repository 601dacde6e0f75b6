//! The limit of a user, kept for hours of virtual time.

use std::time::Duration;

use caas_operator::collector::Health;
use caas_operator::simulator::{AccountSettings, Render, ResetTime, Settings, Simulator};
use serde_json::json;

use crate::support::{Collectors, in_virtual_time};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn three_accounts_of_one_key_stay_below_its_limit_for_an_hour_and_spend_most_of_it() {
    in_virtual_time(async |time| {
        let account = AccountSettings { services: 24, instances: 1, ..AccountSettings::new("acme") };
        // Far below what is published, as the headers say.
        let limit = 40;
        let options = Render { rate_limit: limit, reset: ResetTime::Epoch, ..Render::default() };
        let settings = Settings { accounts: vec![account], clock: time.clock(), ..options.into() };
        let cloud = Simulator::start(settings).await.unwrap();
        let few = |kinds: &[&str]| json!({"servicesPerRequest": 1, "kinds": kinds});
        let all = ["web_service", "private_service", "background_worker"];
        let three = [few(&all), few(&["web_service"]), few(&["background_worker", "private_service"])];
        let collectors = Collectors::start(&cloud, "render", &three);
        // Until the answers have told the limit and the mean of the cycles has settled.
        time.pass(20 * MINUTE, &cloud).await;

        let before = collectors.answered("429");
        cloud.reset_counts();
        time.pass(60 * MINUTE, &cloud).await;
        assert_eq!(collectors.answered("429") - before, 0);
        let (sent, limit) = (cloud.counts().total, 60 * limit as u64);
        assert!((limit * 60 / 100..=limit * 90 / 100).contains(&sent), "{sent} of {limit}");
        for number in 0..3 {
            let snapshot = collectors.snapshot(number);
            assert!(matches!(snapshot.health, Health::Stretched { .. }), "{:?}", snapshot.health);
            assert!(snapshot.values.gauges.interval > 60.0, "{}", snapshot.values.gauges.interval);
        }
        collectors.stop().await;
    });
}

#[test]
fn the_published_limit_is_never_reached_from_the_first_minute_on() {
    in_virtual_time(async |time| {
        let account = AccountSettings { services: 300, instances: 1, ..AccountSettings::new("acme") };
        let settings = Settings { accounts: vec![account], clock: time.clock(), ..Render::default().into() };
        let cloud = Simulator::start(settings).await.unwrap();
        // 300 services, two in a request: more requests a minute than may be spent.
        let collectors = Collectors::start(&cloud, "render", &[json!({"servicesPerRequest": 2})]);
        time.pass(20 * MINUTE, &cloud).await;
        cloud.reset_counts();
        time.pass(60 * MINUTE, &cloud).await;
        assert_eq!(collectors.answered("429"), 0);
        let snapshot = collectors.snapshot(0);
        assert!(matches!(snapshot.health, Health::Stretched { .. }), "{:?}", snapshot.health);
        let sent = cloud.counts().total;
        assert!((60 * 400 * 50 / 100..=60 * 400 * 90 / 100).contains(&sent), "{sent} in an hour");
        collectors.stop().await;
    });
}
