//! What an account's meters count and expose.

use std::sync::atomic::Ordering;

use super::*;
use crate::telemetry::Metrics;

#[test]
fn families_are_listed_in_the_order_of_their_numbers() {
    for (index, (family, ..)) in FAMILIES.iter().enumerate() {
        assert_eq!(*family as usize, index);
    }
}

#[test]
fn an_account_without_a_meter_has_no_series_and_its_neighbours_keep_theirs() {
    let metrics = Metrics::new();
    let (gone, stays) = (metrics.account("team-a", "acme"), metrics.account("team-b", "acme"));
    for meter in [&gone, &stays] {
        meter.request("services", "200", Duration::from_millis(3));
        meter.retry("status");
        meter.dropped_series("duplicate", 2);
    }

    drop(gone);

    let text = metrics.render();
    assert!(!text.contains("team-a"), "{text}");
    assert!(text.contains(r#"account_namespace="team-b",code="200",operation="services"} 1"#), "{text}");
    assert!(text.contains(r#"account_namespace="team-b",reason="duplicate"} 2"#), "{text}");
}

#[test]
fn a_cloud_that_answers_with_many_codes_makes_no_more_series() {
    let metrics = Metrics::new();
    let meter = metrics.account("team-a", "acme");
    for operation in ["services", "instances"] {
        (100..600).for_each(|code| meter.request(operation, &code.to_string(), Duration::ZERO));
    }
    meter.throttled();
    assert_eq!(meter.api_requests(), 1_000, "each is counted");
    let series = lock(&meter.0.series).len();
    assert!(series <= MOST_SERIES + 3, "{series} series");
    let text = metrics.render();
    assert!(text.contains(r#"code="other",operation="instances"} 500"#), "{text}");
}

#[test]
fn counts_are_kept_for_as_long_as_one_meter_of_the_account_is() {
    let metrics = Metrics::new();
    let before = metrics.account("team-a", "acme");
    before.request("login", "200", Duration::ZERO);
    let after = metrics.account("team-a", "acme");
    drop(before);
    after.request("login", "200", Duration::ZERO);
    after.request("services", "timeout", Duration::ZERO);
    assert_eq!(after.api_requests(), 3);

    drop(after);
    assert_eq!(metrics.account("team-a", "acme").api_requests(), 0, "a new account starts from zero");
}

#[test]
fn however_many_pages_a_family_takes_each_series_is_there_once_below_one_header() {
    let metrics = Metrics::new();
    let account = |number: usize| metrics.account("team-a", &number.to_string());
    let meters: Vec<AccountMeter> = (0..1000).map(account).collect();
    meters.iter().for_each(AccountMeter::throttled);
    // The only one with retries is on the last page.
    meters[999].retry("status");

    let mut pages = metrics.pages();
    let chunks: Vec<Vec<u8>> = std::iter::from_fn(|| pages.next_chunk(10_000)).collect();

    assert!(chunks.len() >= 5, "{}", chunks.len());
    assert!(chunks.iter().all(|chunk| chunk.len() < 40_000), "a chunk is no larger than a page more");
    let text = String::from_utf8(chunks.concat()).unwrap();
    let series = text
        .lines()
        .filter(|line| line.starts_with("caas_operator_api_throttled_total") && line.contains('{'));
    assert_eq!(series.collect::<std::collections::BTreeSet<_>>().len(), 1000);
    for family in ["caas_operator_api_throttled_total", "caas_operator_api_retries_total"] {
        assert_eq!(text.matches(&format!("# HELP {family} ")).count(), 1, "{family}");
        let (_, after) = text.split_once(&format!("# TYPE {family} counter\n")).unwrap();
        assert!(after.starts_with(&format!("{family}{{")), "{after}");
    }
}

#[test]
fn removing_an_account_reads_no_other() {
    let metrics = Metrics::new();
    let account = |number: usize| metrics.account("team-a", &number.to_string());
    let mut meters: Vec<AccountMeter> = (0..1000).map(account).collect();
    meters.iter().for_each(AccountMeter::throttled);
    let read = || metrics.live_accounts().read.load(Ordering::Relaxed);
    let before = read();

    meters.truncate(500);

    assert_eq!(read(), before, "accounts were read to remove others");
    assert_eq!(lock(&metrics.live_accounts().by_key).len(), 500);
    metrics.render();
    assert_eq!(read(), before + 500 * FAMILY_COUNT, "each family reads those that are left");
}
