//! Tenants whose manifests cost CPU time, or requests to somewhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::harness::{Answer, HostileCloud, Target, account, account_of, gzip, scaled, secret};
use crate::process::until;

#[tokio::test(flavor = "multi_thread")]
async fn globs_that_take_long_to_match_delay_nobody() {
    // Each glob almost matches at every place of each name, and neither its beginning nor its end decides.
    let glob = |number: usize| format!("{}b?{number}*", "*a".repeat(115));
    // As many as the schema allows, with an optimized program.
    let count = scaled(100);
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

// A service is called like its app and the type of its process, so one long name is matched once for each of many types.
#[tokio::test(flavor = "multi_thread")]
async fn processes_of_an_app_with_a_long_name_delay_nobody() {
    let globs: Vec<_> = (0..100).map(|number| format!("'{}b?{number}*'", "*a".repeat(115))).collect();
    let services = format!("  services:\n    include: ['*']\n    exclude: [{}]\n", globs.join(", "));
    let app = format!(r#"{{"guid":"a","name":"{}","state":"STARTED"}}"#, "a".repeat(1_000));
    let processes: Vec<_> = (0..180_000)
        .map(|n| {
            format!(r#"{{"guid":"{n}","type":"{n}","relationships":{{"app":{{"data":{{"guid":"a"}}}}}}}}"#)
        })
        .collect();
    let page = |entries: &str| {
        gzip(format!(r#"{{"pagination":{{"next":null}},"resources":[{entries}]}}"#).as_bytes())
    };
    let (apps, processes) = (page(&app), page(&processes.join(",")));
    let cloud = HostileCloud::start(move |path| match path.split('?').next().unwrap_or(path) {
        "/v3/apps" => Answer::Gzip(apps.clone()),
        "/v3/processes" => Answer::Gzip(processes.clone()),
        _ => Answer::Body(r#"{"access_token":"t","token_type":"bearer","expires_in":600}"#.to_owned()),
    })
    .await;
    let endpoint = cloud.root();
    let provider = format!("cloudfoundry: {{endpoint: '{endpoint}', loginEndpoint: '{endpoint}'}}");
    let accounts: String = (0..4)
        .map(|number| account_of("tenant", &format!("processes-{number}"), &provider, &services))
        .collect();

    let target = Target::start(&[secret("tenant"), accounts].concat()).await;
    target.until_reason("tenant", "processes-0", &["PartiallyCollected"]).await;
    let damage = target.damage_after(Duration::from_secs(20)).await;

    damage.assert_bounded("four accounts of 100 globs at 180,000 processes of an app with a long name");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_a_proxy_reads_as_another_one_is_sent_nothing() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let cloud = HostileCloud::start(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Answer::None
    })
    .await;
    let paths =
        ["..;/admin/", ".;/admin/", "/admin/", "%2e%2e%3b/admin/", "..%2fadmin/", "%252e%252e/admin/"];
    let accounts = paths.iter().enumerate().map(|(number, path)| {
        account("tenant", &format!("path-{number}"), &format!("{}{path}", cloud.endpoint()), "")
    });
    // An account beside them shows that the manifests are read and clouds asked.
    let control_asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&control_asked);
    let control = HostileCloud::start(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Answer::None
    })
    .await;
    let manifests = secret("tenant")
        + &accounts.collect::<String>()
        + &account("tenant", "control", &control.endpoint(), "");

    let target = Target::start(&manifests).await;
    until("the control account's cloud to be asked", async || {
        (control_asked.load(Ordering::SeqCst) > 0).then_some(())
    })
    .await;
    let damage = target.damage_after(Duration::from_secs(12)).await;

    assert_eq!(asked.load(Ordering::SeqCst), 0, "requests");
    damage.assert_bounded("six endpoints with ambiguous paths");
}
