//! What a cycle costs in requests. Pure.

use std::time::Duration;

use super::usage::RESOLUTION;

/// Projects on a page, and environments of a project in the same answer. The most that the API allows is not documented.
pub(super) const PROJECTS_PER_PAGE: usize = 100;

/// Services of an environment on a page: as many as the cloud's own command line asks for.
pub(super) const SERVICES_PER_PAGE: usize = 500;

/// Services in one request for HTTP traffic, with two fields each. How many the API takes is not documented; some users
/// report that more than 20 fields of one request are refused.
pub(super) const SERVICES_PER_HTTP_REQUEST: usize = 10;

/// How many requests a cycle sends for so many projects, and so many environments of which instances are collected.
///
/// A page for each 100 projects, and for each environment one for its services and one for the measurements of all their
/// instances. Environments of more than 500 services cost one more for each further 500, and an environment in which
/// nothing runs costs one less. A project token costs as much as one project with one environment.
pub const fn requests_per_cycle(projects: usize, environments: usize) -> usize {
    let pages = projects.div_ceil(PROJECTS_PER_PAGE);
    // An empty list is a page too.
    let pages = if pages == 0 { 1 } else { pages };
    pages + 2 * environments
}

/// The same on average, where one cycle follows another after `interval`: measurements are asked for no sooner than there
/// is another point of them.
pub fn mean_requests_per_cycle(projects: usize, environments: usize, interval: Duration) -> f64 {
    let lists = requests_per_cycle(projects, environments) - environments;
    let points = (interval.as_secs_f64() / f64::from(RESOLUTION)).min(1.0);
    (environments as f64).mul_add(points, lists as f64)
}

/// How many more it sends with `http` for an environment with so many running services that have a domain.
pub const fn http_requests(services: usize) -> usize {
    services.div_ceil(SERVICES_PER_HTTP_REQUEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_costs_its_pages_and_two_requests_an_environment() {
        for (projects, environments, requests) in [(0, 0, 1), (10, 20, 41), (100, 0, 1), (101, 200, 402)] {
            assert_eq!(requests_per_cycle(projects, environments), requests, "{projects} {environments}");
        }
        assert_eq!([0, 1, 10, 11].map(http_requests), [0, 1, 1, 2]);
        for (seconds, requests) in [(15, 26.0), (30, 31.0), (60, 41.0), (300, 41.0)] {
            let mean = mean_requests_per_cycle(10, 20, Duration::from_secs(seconds));
            assert!((mean - requests).abs() < 1e-9, "{seconds}: {mean}");
        }
    }

    #[test]
    fn the_documented_number_of_environments_fits_each_interval_and_one_more_does_not() {
        let page = include_str!("../../../docs/providers/railway.md");
        let rows = page.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
        let number = |text: &str| text.parse::<usize>().ok();
        let mut checked = 0;
        for row in rows.filter(|row| row.len() == 5) {
            let seconds = match row[1].split_at_checked(row[1].len().saturating_sub(1)) {
                Some((text, "s")) => number(text),
                Some((text, "m")) => number(text).map(|minutes| minutes * 60),
                _ => None,
            };
            let Some(seconds) = seconds else { continue };
            for (environments, hourly) in [(row[2], 1_000.0), (row[3], 10_000.0)] {
                let most = 0.85 * hourly / 3600.0 * seconds as f64;
                let environments = number(environments).unwrap();
                let interval = Duration::from_secs(seconds as u64);
                assert!(mean_requests_per_cycle(1, environments, interval) <= most, "{row:?}");
                assert!(mean_requests_per_cycle(1, environments + 1, interval) > most, "{row:?}");
                checked += 1;
            }
        }
        assert_eq!(checked, 8);
    }
}
