//! Tenants whose manifests cost CPU time.

use std::time::Duration;

use crate::harness::{Answer, HostileCloud, Target, account, gzip, is_optimized, secret};

#[tokio::test(flavor = "multi_thread")]
async fn globs_that_take_long_to_match_delay_nobody() {
    // Each glob almost matches at every place of each name, and neither its beginning nor its end decides.
    let glob = |number: usize| format!("{}b?{number}*", "*a".repeat(115));
    // As many as the schema allows, where one matches in microseconds.
    let count = if is_optimized() { 100 } else { 10 };
    let globs: Vec<_> = (0..count).map(|number| format!("'{}'", glob(number))).collect();
    let services = format!("  services:\n    include: ['*']\n    exclude: [{}]\n", globs.join(", "));
    let name = "a".repeat(900);
    let listed: Vec<_> = (0..1_000)
        .map(|number| {
            format!(r#"{{"service_name":"{name}{number}","current_status":"Stopped","instances":[]}}"#)
        })
        .collect();
    let page = gzip(format!(r#"{{"next":null,"results":[{}]}}"#, listed.join(",")).as_bytes());
    let cloud = HostileCloud::start(move |path| {
        if path.starts_with("/v1/services/") { Answer::Gzip(page.clone()) } else { Answer::None }
    })
    .await;
    let accounts: String = (0..4)
        .map(|number| account("tenant", &format!("globs-{number}"), &cloud.endpoint(), &services))
        .collect();

    let target = Target::start(&[secret("tenant"), accounts].concat()).await;
    target.until_reason("tenant", "globs-0", &["Collected", "TooManySeries"]).await;
    let damage = target.damage_after(Duration::from_secs(20)).await;

    damage.assert_bounded(&format!("four accounts of {count} globs at 1,000 names of 900 characters"));
}
