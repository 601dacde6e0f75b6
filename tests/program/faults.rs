//! Each fault of the simulated cloud against the real client and collector: what it affects, and what it does not.

use std::time::Duration;

use caas_operator::collector::registry::Snapshot;
use caas_operator::simulator::{Alauda, Settings};
use futures::future::join_all;

use crate::collected::{Collected, PASSWORD, samples, value};
use crate::process::until;
use crate::support::cloud_with;

/// Whether the first service's instances have samples, and how many of all others have.
fn of_kibana_and_others(snapshot: &Snapshot) -> (usize, usize) {
    let services = &snapshot.values.services;
    let kibana = services.iter().filter(|service| service.facts.name == "kibana");
    let instances = kibana.flat_map(|service| &service.instances);
    let with_data = instances.filter(|instance| instance.sample.is_some()).count();
    (with_data, samples(snapshot) - with_data)
}

#[tokio::test]
async fn failing_measurements_of_one_service_affect_only_this_service_and_are_counted_by_reason() {
    let cases = [
        ("500", "status"),
        ("502", "status"),
        ("503", "status"),
        ("504", "status"),
        ("status=404", "status"),
        ("html", "not_json"),
        ("truncated-body", "broke_off"),
        ("drop", "broke_off"),
        ("invalid-utf8", "not_json"),
        ("wrong-json", "shape"),
        ("deep-json", "too_deep"),
        ("gzip-bomb", "too_large"),
        ("redirect", "redirect"),
        ("hang", "timeout"),
        ("slow-body", "timeout"),
        ("latency=1h", "timeout"),
    ];
    join_all(cases.map(|(fault, reason)| async move {
        let collected = Collected::with(&format!("metrics:{fault}@service=kibana"), |account| {
            // Enough for all retries, except for timeouts, where it is only enough for ordinary responses.
            let seconds = if reason == "timeout" { 5 } else { 20 };
            account.connection.limits.request_timeout = Duration::from_secs(seconds);
        })
        .await;
        // On a busy machine, another service's response may be late for one cycle.
        let alone = |snapshot: &Snapshot| {
            snapshot.health.reason().as_str() == "PartiallyCollected"
                && (snapshot.counts(), of_kibana_and_others(snapshot)) == ((4, 8), (0, 6))
        };
        let snapshot = collected.until(fault, alone).await;
        assert!((value(&snapshot, "caas_account_up") - 1.0).abs() < 0.1, "{fault}");
        let counted = collected.runtime.count(&["caas_operator_collection_errors_total", reason]);
        assert!(counted >= 2.0, "{fault}: {counted} of {reason}: {}", collected.runtime.own());

        collected.cloud.clear_faults();
        let snapshot = collected.until_reason("Collected").await;
        assert_eq!(of_kibana_and_others(&snapshot), (2, 6), "{fault}: it recovers by itself");
        collected.stop().await;
    }))
    .await;
}

#[tokio::test]
async fn an_empty_body_is_an_instance_without_data_and_no_failure() {
    let collected = Collected::with("metrics:empty-body@service=kibana", |_| {}).await;
    let snapshot = collected.until_reason("Collected").await;
    assert_eq!((snapshot.counts(), of_kibana_and_others(&snapshot)), ((4, 8), (0, 6)));
    collected.stop().await;
}

#[tokio::test]
async fn instances_are_requested_if_the_pages_omit_them() {
    let api = Alauda { page_size: 2, drift: true, no_inline_instances: true, relative_next: true };
    let collected = Collected::of(cloud_with(PASSWORD, 4, 2, api.into()).await, |_| {});
    assert_eq!(samples(&*collected.until_reason("Collected").await), 8);
    assert!(collected.cloud.counts()["instances"] >= 4);

    collected.fault("instances:status=404@service=kibana");
    let snapshot = collected.until_reason("PartiallyCollected").await;
    assert_eq!(of_kibana_and_others(&snapshot).1, 6, "the other services are there");
    collected.stop().await;
}

#[tokio::test]
async fn a_cycle_costs_one_request_per_page_and_instance_and_the_first_one_login() {
    let cloud = cloud_with(PASSWORD, 20, 5, Settings::default()).await;
    // The next cycle may begin after half an interval: long after the counts were read.
    let collected = Collected::of(cloud, |account| account.schedule.interval = Duration::from_secs(20));
    collected.until_reason("Collected").await;
    let counts = collected.cloud.counts();
    assert_eq!((counts["login"], counts["services_page"], counts["metrics"], counts.total), (1, 1, 100, 102));

    collected.cloud.reset_counts();
    let first = collected.until("the first cycle", |_| true).await.collected_at;
    collected.until("the second cycle", |snapshot| snapshot.collected_at > first).await;
    let counts = collected.cloud.counts();
    println!("requests of a cycle over 20 services x 5 instances, as the cloud counts them: {counts:?}");
    assert_eq!((counts["login"], counts["services_page"], counts["metrics"], counts.total), (0, 1, 100, 101));
    collected.stop().await;
}

#[tokio::test]
async fn a_slow_cloud_skips_cycles_which_are_counted_and_never_exceeds_its_requests_at_once() {
    let collected =
        Collected::with("latency=60ms", |account| account.connection.limits.max_concurrent = 2).await;
    assert_eq!(samples(&*collected.until_reason("Collected").await), 8);
    until("cycles are skipped and counted", async || {
        (collected.runtime.count(&["caas_operator_skipped_cycles_total", "acme"]) >= 2.0).then_some(())
    })
    .await;
    assert!(collected.cloud.counts().max_in_flight <= 2);
    collected.stop().await;
}

#[tokio::test]
async fn a_429_pauses_the_account_is_reported_and_recovers() {
    join_all(["429=1", "429=date:1", "429=none"].map(|fault| async move {
        let collected =
            Collected::healthy(|account| account.schedule.stale_after = Duration::from_secs(60)).await;
        collected.fault(fault);
        let snapshot = collected.until_reason("RateLimited").await;
        assert_eq!(samples(&snapshot), 8, "{fault}: the last values are kept");
        assert!(collected.runtime.count(&["caas_operator_api_throttled_total", "acme"]) >= 1.0);
        collected.cloud.clear_faults();
        collected.until_reason("Collected").await;
        collected.stop().await;
    }))
    .await;

    let collected = Collected::with("429=3600", |_| {}).await;
    collected.until_reason("RateLimited").await;
    collected.cloud.reset_counts();
    collected.runtime.cycles("acme", 10).await;
    assert_eq!(collected.cloud.counts().total, 0, "no request before the wait is over");
    collected.stop().await;
}

#[tokio::test]
async fn a_short_rate_limit_is_waited_out_within_the_cycle() {
    for fault in ["429=0@x1", "429=none@x1", "503=0@x1", "metrics:429=none@x2"] {
        let collected = Collected::with(fault, |account| {
            account.schedule.interval = Duration::from_secs(3600);
            account.connection.limits.request_timeout = Duration::from_secs(10);
        })
        .await;
        let snapshot = collected.until(fault, |_| true).await;
        assert_eq!((snapshot.health.reason().as_str(), samples(&snapshot)), ("Collected", 8), "{fault}");
        assert!(collected.runtime.count(&["caas_operator_api_retries_total", "acme"]) >= 1.0, "{fault}");
        collected.stop().await;
    }
}

#[tokio::test]
async fn a_revoked_token_logs_in_once_and_no_value_goes() {
    // Before the cycle's first page, and in mid-cycle, where the rest of that cycle fails and keeps its last values.
    for fault in
        ["services:revoked-token@x1", "metrics:revoked-token@x1", "services:revoked-token=after-use@x1"]
    {
        let collected =
            Collected::healthy(|account| account.schedule.stale_after = Duration::from_secs(60)).await;
        collected.fault(fault);
        let logged_in = || collected.cloud.counts()["login"] > 1;
        let snapshot = collected.until(fault, |snapshot| {
            assert_eq!(samples(snapshot), 8, "{fault}: no value goes meanwhile");
            logged_in() && snapshot.health.reason().as_str() == "Collected"
        });
        snapshot.await;
        collected.runtime.cycles("acme", 3).await;
        assert_eq!(collected.cloud.counts()["login"], 2, "{fault}");
        assert!(
            collected.runtime.count(&["caas_operator_login_failures_total", "acme"]).abs() < 0.1,
            "{fault}"
        );
        collected.stop().await;
    }
}

#[tokio::test]
async fn pages_that_form_a_cycle_are_read_once_and_reported() {
    let faults = vec!["page-cycle".parse().unwrap()];
    let cloud = cloud_with(
        PASSWORD,
        4,
        2,
        Settings { faults, ..Alauda { page_size: 2, ..Alauda::default() }.into() },
    )
    .await;
    let collected = Collected::of(cloud, |account| account.schedule.interval = Duration::from_secs(3600));
    let snapshot = collected.until_reason("PartiallyCollected").await;
    assert_eq!((snapshot.counts(), samples(&snapshot)), ((4, 8), 8));
    assert_eq!((collected.cloud.counts()["services_page"], collected.cloud.counts()["metrics"]), (2, 8));
    assert!((collected.runtime.count(&["collection_errors_total", "page_cycle"]) - 1.0).abs() < 0.1);
    collected.stop().await;
}

#[tokio::test]
async fn pages_that_never_end_are_bounded_and_reported() {
    let faults = vec!["endless-pages".parse().unwrap()];
    let cloud = cloud_with(
        PASSWORD,
        4,
        2,
        Settings { faults, ..Alauda { page_size: 2, ..Alauda::default() }.into() },
    )
    .await;
    let collected = Collected::of(cloud, |account| account.schedule.interval = Duration::from_secs(3600));
    let snapshot = collected.until_reason("PartiallyCollected").await;
    assert_eq!(
        (snapshot.counts(), samples(&snapshot)),
        ((4, 8), 8),
        "the same service again and again is one"
    );
    let counts = collected.cloud.counts();
    assert_eq!((counts["services_page"], counts["metrics"]), (3, 8), "a page of nothing new is the last");
    assert!((collected.runtime.count(&["collection_errors_total", "page_cycle"]) - 1.0).abs() < 0.1);
    collected.stop().await;
}
