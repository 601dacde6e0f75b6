//! What a cycle costs in requests, and which facts are asked for less often than each cycle. Pure.

use std::time::Duration;

/// Entries on a page: the most that the API allows.
pub(super) const PER_PAGE: usize = 100;

/// The containers of a service are asked for in every so many cycles, and at once when its metrics show that one came or
/// went.
pub(super) const CYCLES_PER_CONTAINERS: u32 = 2;

/// Plans almost never change.
pub(super) const PLANS_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// No cycle asks for the facts of more than this part of the services, unless they are few: else the first one, and each
/// that comes an inventory interval after it, would take twice as long as the others.
const PART_OF_FACTS: usize = 3;
/// The facts of so many services are asked for in one cycle, however few services there are.
const FEW: usize = 10;

/// The facts of how many of so many services one cycle may ask for.
pub(super) fn most_facts(services: usize) -> usize {
    services.div_ceil(PART_OF_FACTS).max(FEW)
}

/// How many requests a cycle sends on average for so many projects with so many services that run, collected as often as
/// `interval` says.
///
/// One for the projects, one for the services of each project; for each service its metrics, every second time its
/// containers, and once in an `inventory_interval` its facts. Further pages come with each 100 projects, services or
/// containers. The plans, once a day, are not counted.
pub fn requests_per_cycle(
    projects: usize,
    services: usize,
    interval: Duration,
    inventory_interval: Duration,
) -> f64 {
    let of_services = services as f64;
    let due = of_services * (interval.as_secs_f64() / inventory_interval.as_secs_f64().max(1.0)).min(1.0);
    let facts = due.min(most_facts(services) as f64);
    let lists = (projects.div_ceil(PER_PAGE).max(1) + projects) as f64;
    of_services.mul_add(1.0 + 1.0 / f64::from(CYCLES_PER_CONTAINERS), lists + facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVENTORY: Duration = Duration::from_secs(900);

    fn cost(projects: usize, services: usize, seconds: u64) -> f64 {
        requests_per_cycle(projects, services, Duration::from_secs(seconds), INVENTORY)
    }

    #[test]
    fn a_cycle_costs_its_lists_and_about_two_requests_a_service() {
        for (projects, services, seconds, requests) in [
            (0, 0, 300, 1.0),
            (1, 12, 300, 24.0),
            (3, 30, 60, 51.0),
            (101, 30, 300, 158.0),
            // Longer intervals ask for the facts of a third of the services, however old they are.
            (1, 30, 3600, 57.0),
        ] {
            let cost = cost(projects, services, seconds);
            assert!((cost - requests).abs() < 1e-9, "{projects} {services} {seconds}: {cost}");
        }
    }

    #[test]
    fn no_cycle_costs_more_than_one_metrics_and_one_containers_request_a_service_and_its_lists() {
        for services in 0..200 {
            assert!(cost(2, services, 300) <= 3.0 + 2.0 * services as f64, "{services}");
        }
    }

    #[test]
    fn facts_are_spread_over_three_cycles_unless_services_are_few() {
        assert_eq!([0, 5, 30, 31, 100].map(most_facts), [10, 10, 10, 11, 34]);
    }

    #[test]
    fn the_documented_number_of_services_fits_each_interval_and_one_more_does_not() {
        let page = include_str!("../../../docs/providers/northflank.md");
        let rows: Vec<Vec<&str>> = page
            .lines()
            .map(|line| line.split('|').map(str::trim).collect())
            .filter(|row: &Vec<_>| row.len() == 5)
            .collect();
        let number = |text: &str| text.parse::<usize>().ok();
        let mut checked = 0;
        for row in rows {
            let Some(minutes) = row[1].strip_suffix('m').and_then(number) else { continue };
            // 85 % of 1,000 in an hour.
            let most = 0.85 * 1000.0 / 60.0 * minutes as f64;
            for (projects, services) in [(1, row[2]), (5, row[3])] {
                let services = number(services).unwrap();
                let cost = |services| cost(projects, services, 60 * minutes as u64);
                assert!(cost(services) <= most, "{services} in {minutes} min");
                assert!(cost(services + 1) > most, "{services} in {minutes} min");
                checked += 1;
            }
        }
        assert_eq!(checked, 8);
    }
}
