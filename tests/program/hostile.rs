//! Malicious clouds: bombs, hostile names, floods of series, and redirects to private addresses.

use caas_operator::simulator::{Running, Settings};

use crate::collected::{Collected, PASSWORD, families, samples, series, unpacked};
use crate::exposition::{by_series, parse_openmetrics};
use crate::process::{Process, program};
use crate::support::{account, account_is, cloud_with, secret, served, standalone};

/// The most memory that the process may use, bodies included. A bomb has a gibibyte.
const MOST_MEMORY: u64 = 192 << 20;

#[tokio::test]
async fn bombs_are_defused_within_bounded_memory() {
    let cases = [
        ("gzip-bomb", "CloudError", "larger than the limit"),
        ("metrics:gzip-bomb", "PartiallyCollected", "larger than the limit"),
        ("deep-json", "CloudError", "nested too deeply"),
        ("metrics:deep-json", "PartiallyCollected", "nested too deeply"),
    ];
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret.yaml"), secret("acme", PASSWORD)).unwrap();
    let mut clouds = Vec::new();
    for (place, (fault, ..)) in cases.iter().enumerate() {
        let faults = vec![fault.parse().unwrap()];
        let cloud = cloud_with(PASSWORD, 4, 8, Settings { faults, ..Settings::default() }).await;
        let manifest = account(&format!("a{place}"), "acme", &cloud.url(), "");
        std::fs::write(folder.path().join(format!("a{place}.yaml")), manifest).unwrap();
        clouds.push(cloud);
    }
    let mut process = Process::start(program(&standalone(folder.path())));
    let base = served(&mut process).await;
    for (place, (_, reason, says)) in cases.iter().enumerate() {
        account_is(&base, &format!("a{place}"), |one| {
            one["reason"] == *reason && one["message"].as_str().unwrap().contains(says)
        })
        .await;
    }
    let peak = process.peak_memory();
    println!("peak memory under bombs: {} MiB", peak >> 20);
    assert!(peak < MOST_MEMORY, "{} MiB", peak >> 20);

    clouds.iter().for_each(Running::clear_faults);
    for place in 0..cases.len() {
        account_is(&base, &format!("a{place}"), |one| one["reason"] == "Collected").await;
    }
    process.signal("TERM");
    assert_eq!(process.ended().await.code(), Some(0));
}

#[tokio::test]
async fn names_with_newlines_quotes_and_megabytes_are_escaped_cut_and_counted() {
    let collected = Collected::with("huge-label", |_| {}).await;
    let snapshot = collected.until("a collection", |snapshot| snapshot.counts().0 > 0).await;

    // The strict reader takes every line of it.
    let all = by_series(&families(&snapshot)).unwrap();
    let openmetrics = unpacked(&snapshot.bodies.openmetrics);
    assert!(by_series(&parse_openmetrics(&openmetrics).unwrap()).unwrap().len() == all.len());
    let values = || all.keys().flat_map(|(_, labels)| labels.values());
    assert!(values().any(|value| value.contains('\n') && value.contains('"')), "they are escaped");
    let longest = values().map(String::len).max().unwrap();
    assert!(longest <= 1024, "{longest} bytes");
    let images = series(&snapshot, "caas_service_info").into_iter().map(|labels| labels["image"].len());
    assert_eq!(images.max(), Some(512), "an image is cut too");
    // One service's name and image and one instance's name: each is counted once, however many cycles show them.
    collected.runtime.cycles("acme", 3).await;
    let cut = collected.runtime.count(&["caas_operator_cut_label_values_total", "acme"]);
    assert!((cut - 3.0).abs() < 0.1, "{cut}");
    let control = |letter: char| letter.is_control() && letter != '\n';
    assert!(!values().any(|value| value.contains(control)), "they are replaced");
    assert!(values().any(|value| value.contains('\u{fffd}')));
    assert!(collected.runtime.count(&["caas_operator_replaced_label_values_total", "acme"]) > 0.0);
    collected.stop().await;
}

#[tokio::test]
async fn a_flood_of_series_is_cut_at_the_limit_keeps_the_oldest_and_is_reported() {
    let cloud = cloud_with(PASSWORD, 40, 10, Settings::default()).await;
    let collected = Collected::of(cloud, |account| account.exposition.max_series = 500);
    let snapshot = collected.until_reason("TooManySeries").await;
    // The legacy body has a part of them.
    let exposed: usize = families(&snapshot).iter().map(|family| family.samples.len()).sum();
    assert!(exposed <= 500 && exposed > 300, "{exposed}");
    let first = &series(&snapshot, "caas_service_info")[0]["service_name"];
    assert_eq!(first, "kibana", "the first that the cloud lists");
    assert!(collected.runtime.count(&["caas_operator_dropped_series_total", "max_series"]) > 1000.0);
    collected.stop().await;
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let inside = cloud_with(PASSWORD, 4, 2, Settings::default()).await;
    let to_inside = format!("redirect={}services/acme/", inside.url());
    for fault in ["redirect".to_owned(), to_inside.clone(), format!("login:{to_inside}")] {
        let collected = Collected::with(&fault, |_| {}).await;
        collected.until_reason("CloudError").await;
        collected.runtime.cycles("acme", 3).await;
        collected.stop().await;
    }
    let collected = Collected::with(&format!("metrics:{to_inside}"), |_| {}).await;
    assert_eq!(samples(&*collected.until_reason("PartiallyCollected").await), 0);
    collected.stop().await;
    assert_eq!(inside.counts().total, 0);
    inside.stop().await;
}
