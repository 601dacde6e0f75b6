//! Clouds that fail or are away for a while: the last values stay until they are stale, and collection recovers by itself.

use std::time::Duration;

use caas_operator::cloud::http::Capacity;
use caas_operator::simulator::Settings;
use futures::future::join_all;

use crate::collected::{Collected, PASSWORD, Runtime, account, provider, samples, series, value};
use crate::process::until;
use crate::support::cloud_with;

/// Whether only the account's own series are left: they stay when all others are gone.
fn only_the_account_is_left(snapshot: &caas_operator::collector::registry::Snapshot) -> bool {
    snapshot.counts() == (0, 0) && series(snapshot, "caas_account_up").len() == 1
}

#[tokio::test]
async fn a_failing_clouds_last_values_stay_until_they_are_stale_then_go_and_come_back() {
    let cases = [
        ("500", "CloudError"),
        ("502", "CloudError"),
        ("503", "CloudError"),
        ("html", "CloudError"),
        ("wrong-json", "CloudError"),
        ("redirect", "CloudError"),
        ("truncated-body", "CloudUnreachable"),
        ("drop", "CloudUnreachable"),
        ("hang", "CloudUnreachable"),
        ("slow-body", "CloudUnreachable"),
    ];
    join_all(cases.map(|(fault, reason)| async move {
        // Several cycles end before the values are stale, however long a failing one takes.
        let collected = Collected::healthy(|account| {
            account.connection.limits.request_timeout = Duration::from_millis(500);
            account.schedule.stale_after = Duration::from_secs(30);
        })
        .await;
        collected.fault(fault);
        let snapshot = collected.until_reason(reason).await;
        assert_eq!((snapshot.counts(), samples(&snapshot)), ((4, 8), 8), "{fault}: the last values are kept");
        assert!(
            value(&snapshot, "caas_account_up").abs() < 0.1,
            "{fault}: and caas_account_up says that they are old"
        );

        let snapshot = collected.until("stale values go", |snapshot| snapshot.counts() == (0, 0)).await;
        assert!(only_the_account_is_left(&snapshot), "{fault}");
        collected.cloud.clear_faults();
        assert_eq!(samples(&*collected.until_reason("Collected").await), 8, "{fault}");
        collected.stop().await;
    }))
    .await;
}

#[tokio::test]
async fn a_cloud_that_goes_away_and_comes_back_is_found_again() {
    let collected = Collected::healthy(|_| {}).await;
    let address = collected.cloud.addr;
    let Collected { runtime, cloud } = collected;
    cloud.stop().await;
    runtime.until_reason("acme", "CloudUnreachable").await;
    let cloud =
        cloud_with(PASSWORD, 4, 2, Settings { listen: address, seed: 1, ..Settings::default() }).await;
    assert_eq!(samples(&*runtime.until_reason("acme", "Collected").await), 8);
    assert_eq!(cloud.counts()["login"], 1, "the new cloud does not know the old token");
    Collected { runtime, cloud }.stop().await;
}

#[tokio::test]
async fn a_hanging_cloud_costs_its_own_account_only() {
    let hanging =
        cloud_with(PASSWORD, 4, 2, Settings { faults: vec!["hang".parse().unwrap()], ..Settings::default() })
            .await;
    let well = cloud_with(PASSWORD, 4, 2, Settings::default()).await;
    let runtime = Runtime::new();
    let mut hung = account("hanging", &hanging);
    hung.connection.limits.request_timeout = Duration::from_secs(3600);
    runtime.supervisor.put(hung);
    runtime.supervisor.put(account("well", &well));

    runtime.until_reason("well", "Collected").await;
    runtime.cycles("well", 5).await;
    assert_eq!(hanging.counts().in_flight, 1, "it hangs all the while");
    runtime.supervisor.stop().await;
    hanging.stop().await;
    well.stop().await;
}

#[tokio::test]
async fn many_accounts_at_hung_clouds_in_one_namespace_do_not_stop_other_namespaces() {
    let faults = vec!["metrics:hang".parse().unwrap()];
    let hanging = cloud_with(PASSWORD, 4, 2, Settings { faults, ..Settings::default() }).await;
    let well = cloud_with(PASSWORD, 4, 2, Settings::default()).await;
    let runtime = Runtime::with_capacity(Capacity { requests: 24, ..Capacity::default() });
    for number in 0..8 {
        let mut tenant = account(&format!("hanging-{number}"), &hanging);
        tenant.id.namespace = "tenant".into();
        tenant.connection.limits.request_timeout = Duration::from_secs(3600);
        runtime.supervisor.put(tenant);
    }
    // Without a share, 8 accounts of 8 requests each would hang.
    until("its share hangs", async || (hanging.counts().in_flight >= 8).then_some(())).await;

    runtime.supervisor.put(account("well", &well));
    runtime.until_reason("well", "Collected").await;
    runtime.cycles("well", 5).await;
    assert_eq!(hanging.counts().in_flight, 8, "it never has more than a third of 24");
    runtime.supervisor.stop().await;
    hanging.stop().await;
    well.stop().await;
}

#[tokio::test]
async fn refused_credentials_are_tried_once_and_new_ones_are_used_at_once() {
    let collected = Collected::healthy(|_| {}).await;
    collected.cloud.set_credentials("acme", "rotated");
    collected.cloud.revoke_tokens();
    collected.until_reason("LoginRejected").await;
    collected.runtime.cycles("acme", 10).await;
    assert_eq!(collected.cloud.counts()["login"], 2, "the first one, and one more: retries lock nobody out");
    assert!((collected.runtime.count(&["caas_operator_login_failures_total", "acme"]) - 1.0).abs() < 0.1);

    let mut rotated = account("acme", &collected.cloud);
    rotated.connection.provider = provider(&collected.cloud.url(), "rotated");
    collected.runtime.supervisor.put(rotated);
    assert_eq!(samples(&*collected.until_reason("Collected").await), 8);
    collected.stop().await;
}

#[tokio::test]
async fn a_refused_login_is_not_repeated_whatever_its_status() {
    join_all(["reject-login", "reject-login=400", "reject-login=403"].map(|fault| async move {
        let collected = Collected::with(fault, |_| {}).await;
        let snapshot = collected.until_reason("LoginRejected").await;
        assert!(only_the_account_is_left(&snapshot), "{fault}");
        collected.runtime.cycles("acme", 10).await;
        assert_eq!(collected.cloud.counts().total, 1, "{fault}");
        collected.stop().await;
    }))
    .await;
}

#[tokio::test]
async fn an_account_recreated_under_its_name_starts_from_nothing() {
    let collected = Collected::healthy(|_| {}).await;
    let other = cloud_with(
        PASSWORD,
        4,
        2,
        Settings { faults: vec!["services:500".parse().unwrap()], ..Settings::default() },
    )
    .await;
    let mut again = account("acme", &other);
    again.uid = "another".into();
    collected.runtime.supervisor.remove(&again.id);
    collected.runtime.supervisor.put(again);
    let snapshot = collected.until_reason("CloudError").await;
    assert!(only_the_account_is_left(&snapshot), "no value of the former account");
    collected.stop().await;
    other.stop().await;
}
