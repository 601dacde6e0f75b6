//! What a cycle costs in requests, and which facts are asked for less often than each cycle. Pure.

use std::time::Duration;

use super::metric::STEP;

/// Entries on a page of a list: the most that the API allows.
pub(super) const PER_PAGE: usize = 100;

/// Limits of instances that are known, bandwidth, and the names of projects and environments change slowly.
pub(super) const SLOW_FACTS_EVERY: Duration = Duration::from_secs(600);

/// Lists of instances cost a request a service and tell no more than when instances were created, so no cycle asks for more
/// of them.
pub(super) const LISTS_PER_CYCLE: usize = 20;

/// Requests of a cycle that lists so many services, asks for the metrics of `measured` of them, `web` of them web services
/// whose requests and latency are asked for, with so many services in a request.
///
/// The pages of the list; for each batch CPU and memory; for each batch with web services requests and latency. Besides, a
/// batch costs two requests for limits where it has new instances, and three every ten minutes (limits, bandwidth), names
/// of up to 50 projects cost two every ten minutes, and a service with new instances one.
pub const fn requests_per_cycle(
    listed: usize,
    measured: usize,
    web: usize,
    services_per_request: usize,
) -> usize {
    // Only a page that is not full is known to be the last.
    let pages = listed / PER_PAGE + 1;
    pages + 2 * measured.div_ceil(services_per_request) + 2 * web.div_ceil(services_per_request)
}

/// The same on average for services that are all measured, so many of them web services, where one cycle follows another
/// after `interval`: metrics are asked for no sooner than there is another point of them.
pub fn mean_requests_per_cycle(services: usize, web: usize, per_request: usize, interval: Duration) -> f64 {
    let pages = requests_per_cycle(services, 0, 0, per_request);
    let metrics = requests_per_cycle(services, services, web, per_request) - pages;
    let points = (interval.as_secs_f64() / STEP as f64).min(1.0);
    (metrics as f64).mul_add(points, pages as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_costs_its_pages_and_two_or_four_requests_a_batch() {
        assert_eq!(requests_per_cycle(0, 0, 0, 30), 1);
        assert_eq!(requests_per_cycle(20, 20, 0, 30), 1 + 2);
        assert_eq!(requests_per_cycle(99, 99, 31, 30), 1 + 8 + 4);
        assert_eq!(
            requests_per_cycle(100, 100, 100, 20),
            2 + 10 + 10,
            "a full page may have another behind it"
        );
    }

    #[test]
    fn the_documented_number_of_services_fits_each_interval_and_one_more_does_not() {
        let page = include_str!("../../../docs/providers/render.md");
        let number = |text: &str| text.trim().parse::<usize>().ok();
        let interval = |text: &str| match text.trim().split_at_checked(text.trim().len().checked_sub(1)?)? {
            (seconds, "s") => number(seconds),
            (minutes, "m") => Some(60 * number(minutes)?),
            _ => None,
        };
        let row = |line: &str| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            let [first, with_http, without] = cells[..] else { return None };
            Some((interval(first)?, number(with_http)?, number(without)?))
        };
        let rows: Vec<_> = page.lines().filter_map(row).collect();
        assert_eq!(rows.len(), 3, "{rows:?}");
        for (seconds, with_http, without) in rows {
            // 85 % of 400 in a minute.
            let most = (340 * seconds / 60) as f64;
            let interval = Duration::from_secs(seconds as u64);
            for (services, http) in [(with_http, true), (without, false)] {
                let cost = |services: usize| {
                    mean_requests_per_cycle(services, if http { services } else { 0 }, 30, interval)
                };
                assert!(cost(services) <= most && cost(services + 1) > most, "{services} in {seconds} s");
            }
        }
    }
}
