//! What a cycle costs in requests, and which facts are asked for less often than each cycle. Pure.

use std::time::Duration;

use super::points::RESOLUTION;

/// Apps on a page: the most that the API allows.
pub(super) const APPS_PER_PAGE: usize = 200;

/// Restarts are asked for in every so many cycles: they change seldom and lose nothing, since the cloud counts them.
pub(super) const CYCLES_PER_RESTARTS: u32 = 5;

/// The sizes of instances almost never change.
pub(super) const SIZES_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many requests a cycle sends on average for so many apps that have instances and are collected, of so many that
/// the account has, where one cycle follows another after `interval`.
///
/// A page for each 200 apps; for each app its instances, CPU, memory, with `health` its health, and every fifth time its
/// restarts; but CPU, memory and restarts no sooner than there is another point of them. The sizes, once a day, are not
/// counted.
pub fn requests_per_cycle(listed: usize, collected: usize, health: bool, interval: Duration) -> f64 {
    let pages = listed.div_ceil(APPS_PER_PAGE).max(1) as f64;
    let points = interval.as_secs_f64() / RESOLUTION;
    let metrics = 2.0 * points.min(1.0) + points.min(1.0 / f64::from(CYCLES_PER_RESTARTS));
    let each_app = 1.0 + f64::from(u8::from(health)) + metrics;
    (collected as f64).mul_add(each_app, pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_costs_its_pages_and_about_four_requests_an_app() {
        for (listed, collected, health, seconds, requests) in [
            (0, 0, true, 120, 1.0),
            (20, 20, true, 120, 85.0),
            (20, 20, false, 600, 65.0),
            (401, 100, true, 120, 423.0),
            // A point in four cycles.
            (20, 20, true, 30, 1.0 + 20.0 * (2.0 + 0.5 + 0.2)),
            (20, 20, true, 12, 1.0 + 20.0 * (2.0 + 0.2 + 0.1)),
        ] {
            let cost = requests_per_cycle(listed, collected, health, Duration::from_secs(seconds));
            assert!((cost - requests).abs() < 1e-9, "{listed} {seconds}: {cost}");
        }
    }

    #[test]
    fn the_documented_number_of_apps_fits_each_interval_and_one_more_does_not() {
        let page = include_str!("../../../docs/providers/digitalocean.md");
        let rows: Vec<Vec<&str>> = page
            .lines()
            .map(|line| line.split('|').map(str::trim).collect())
            .filter(|row: &Vec<_>| row.len() == 5)
            .collect();
        let number = |text: &str| text.parse::<usize>().ok();
        let mut checked = 0;
        for row in rows {
            let Some(minutes) = row[1].strip_suffix('m').and_then(number) else { continue };
            // 85 % of 5,000 in an hour.
            let most = 0.85 * 5000.0 / 60.0 * minutes as f64;
            for (apps, health) in [(row[2], true), (row[3], false)] {
                let apps = number(apps).unwrap();
                let interval = Duration::from_secs(60 * minutes as u64);
                let cost = |apps| requests_per_cycle(apps, apps, health, interval);
                assert!(cost(apps) <= most, "{apps} in {minutes} min");
                assert!(cost(apps + 1) > most, "{apps} in {minutes} min");
                checked += 1;
            }
        }
        assert_eq!(checked, 8);
    }
}
