//! What a cycle costs in requests, and which facts are asked for less often than each cycle. Pure.

use std::time::Duration;

/// Apps on a page: the most that the API allows.
pub(super) const APPS_PER_PAGE: usize = 200;

/// Restarts are asked for in every so many cycles: they change seldom and lose nothing, since the cloud counts them.
pub(super) const CYCLES_PER_RESTARTS: u32 = 5;

/// The sizes of instances almost never change.
pub(super) const SIZES_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many requests a cycle sends on average for so many apps that have instances and are collected, of so many that
/// the account has.
///
/// A page for each 200 apps; for each app its instances, CPU, memory, with `health` its health, and every fifth time its
/// restarts. The sizes, once a day, are not counted.
pub fn requests_per_cycle(listed: usize, collected: usize, health: bool) -> f64 {
    let pages = listed.div_ceil(APPS_PER_PAGE).max(1) as f64;
    let each_app = 3.0 + f64::from(u8::from(health)) + 1.0 / f64::from(CYCLES_PER_RESTARTS);
    (collected as f64).mul_add(each_app, pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_costs_its_pages_and_about_four_requests_an_app() {
        for (listed, collected, health, requests) in
            [(0, 0, true, 1.0), (20, 20, true, 85.0), (20, 20, false, 65.0), (401, 100, true, 423.0)]
        {
            assert!((requests_per_cycle(listed, collected, health) - requests).abs() < 1e-9, "{listed}");
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
                assert!(requests_per_cycle(apps, apps, health) <= most, "{apps} in {minutes} min");
                assert!(requests_per_cycle(apps + 1, apps + 1, health) > most, "{apps} in {minutes} min");
                checked += 1;
            }
        }
        assert_eq!(checked, 8);
    }
}
