//! Large accounts: what a first visit costs, measured and printed.

use std::time::Instant;

use serde_json::Value;

use crate::browser::Browser;
use crate::clouds::Clouds;

/// What a first visit may transfer, files included.
const MOST_BYTES: f64 = 100e3;
/// From the request to the first paint. The program that is tested is not optimized, and other tests run beside it.
const MOST_MS: f64 = 2500.0;

const VISIT: &str = "(() => {
    const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
    return {
        bytes: all.filter(one => one.initiatorType !== 'fetch').reduce((sum, one) => sum + one.transferSize, 0),
        paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime,
        response: performance.getEntriesByType('navigation')[0].responseEnd,
        rows: document.querySelectorAll('tbody tr').length,
    };
})()";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn ten_thousand_instances_are_painted_soon_and_cost_few_bytes() {
    let clouds = Clouds::large(10, 100, 10).await;
    for path in [
        "/",
        "/services",
        "/services?sort=-memory",
        "/accounts/team-a/account-00",
        "/accounts/team-a/account-00/services/service-0000?application=shop",
    ] {
        let begun = Instant::now();
        // Nothing is in its cache.
        let browser = Browser::start();
        let tab = browser.tab(1280, 900).await;
        tab.open(&clouds.url(path)).await;
        tab.until("performance.getEntriesByName('first-contentful-paint').length > 0").await;
        let visit: Value = tab.eval(VISIT).await;
        println!("{path}: {visit}, {} ms with the start of the browser", begun.elapsed().as_millis());
        assert!(visit["bytes"].as_f64().unwrap() < MOST_BYTES, "{path}: {visit}");
        assert!(visit["paint"].as_f64().unwrap() < MOST_MS, "{path}: {visit}");
        assert!(visit["rows"].as_u64().unwrap() <= 200, "{path}: {visit}");
        tab.close().await;
    }
}
