//! Clouds that list more than fits, answer late, or answer what no cloud should.

use std::time::Duration;

use crate::harness::{Answer, HostileCloud, RawCloud, Reply, Target, account, gzip, secret};

/// A page of so many services, stopped, so that nothing else is asked for.
fn page(services: usize, offset: usize) -> String {
    let service = |number: usize| {
        format!(
            r#"{{"service_name":"service-{number:09}","current_status":"Stopped","image_name":"registry.example.com/{number}","instances":[{{"uuid":"{number:036}"}}]}}"#
        )
    };
    let listed: Vec<_> = (offset..offset + services).map(service).collect();
    listed.join(",")
}

#[tokio::test(flavor = "multi_thread")]
async fn clouds_of_110_000_services_are_cut_and_everybody_else_is_collected() {
    const PAGES: usize = 11;
    let pages: Vec<_> = (1..=PAGES)
        .map(|number| {
            let next = if number < PAGES { format!("\"?page={}\"", number + 1) } else { "null".to_owned() };
            let body = format!(r#"{{"next":{next},"results":[{}]}}"#, page(10_000, number * 10_000));
            gzip(body.as_bytes())
        })
        .collect();
    let cloud = HostileCloud::start(move |path| {
        if path.contains("/instances/") || !path.starts_with("/v1/services/") {
            return Answer::None;
        }
        let number = path.split_once("page=").map_or(1, |(_, number)| number.parse().unwrap());
        Answer::Gzip(pages[number - 1].clone())
    })
    .await;
    let accounts: String =
        (0..6).map(|number| account("tenant", &format!("huge-{number}"), &cloud.endpoint(), "")).collect();

    let target = Target::start(&[secret("tenant"), accounts].concat()).await;
    target.until_reason("tenant", "huge-0", &["TooLarge", "TooManySeries"]).await;
    let damage = target.damage_after(Duration::from_secs(40)).await;

    damage.assert_bounded("six accounts of 110,000 services");
}

#[tokio::test(flavor = "multi_thread")]
async fn clouds_at_eight_ports_leave_files_for_probes_scrapes_and_others() {
    clouds_at_eight_ports(1_024).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clouds_at_eight_ports_leave_files_to_others_where_there_are_few() {
    clouds_at_eight_ports(256).await;
}

async fn clouds_at_eight_ports(files: u32) {
    let page = {
        let service = |number: usize| {
            let instance = |id: usize| format!(r#"{{"instance_name":"i{id}","uuid":"{number}-{id}"}}"#);
            let instances: Vec<_> = (0..10).map(instance).collect();
            format!(
                r#"{{"service_name":"s{number}","current_status":"Running","instances":[{}]}}"#,
                instances.join(",")
            )
        };
        let services: Vec<_> = (0..30).map(service).collect();
        format!(r#"{{"next":null,"results":[{}]}}"#, services.join(","))
    };
    let (mut clouds, mut manifests) = (Vec::new(), String::new());
    for number in 0..8 {
        let page = page.clone();
        let cloud = HostileCloud::start(move |path| match path {
            _ if path.contains("/metrics") => Answer::Late(Duration::from_millis(1_500)),
            _ if path.starts_with("/v1/services/") => Answer::Body(page.clone()),
            _ => Answer::None,
        });
        let cloud = cloud.await;
        let limits = "  collection: {interval: 5s, maxConcurrentRequests: 256, requestsPerSecond: 1000}";
        // Each in a namespace of its own, so that no share of a namespace bounds them.
        let namespace = format!("tenant-{number}");
        manifests += &(secret(&namespace) + &account(&namespace, "late", &cloud.endpoint(), limits));
        clouds.push(cloud);
    }

    let target = Target::with_files(&manifests, Some(files)).await;
    target.until_reason("tenant-0", "late", &["Collected", "PartiallyCollected"]).await;
    let damage = target.damage_after(Duration::from_secs(20)).await;

    damage.assert_bounded(&format!("eight accounts at eight slow ports, {files} files"));
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_without_an_end_leave_memory_and_requests_to_others() {
    let page = {
        let instances: Vec<_> = (0..300).map(|id| format!(r#"{{"uuid": "i{id}"}}"#)).collect();
        format!(r#"{{"results": [{{"service_name": "web", "instances": [{}]}}]}}"#, instances.join(","))
    };
    let cloud = RawCloud::start(move |path| {
        if path.contains("/metrics") { Reply::HeadWithoutEnd(400 << 10) } else { Reply::Body(page.clone()) }
    })
    .await;
    let limits = "  collection: {interval: 10s, staleAfter: 1m, requestTimeout: 10s, maxConcurrentRequests: 256, requestsPerSecond: 1000}";
    // Three namespaces, which may have all 768 requests that there are.
    let namespaces = ["tenant-0", "tenant-1", "tenant-2"];
    let accounts = namespaces.into_iter().flat_map(|namespace| {
        let accounts = (0..2).map(move |number| format!("heads-{number}"));
        let accounts = accounts.map(move |name| (namespace, name));
        accounts
            .map(|(namespace, name)| account(namespace, &name, &cloud.endpoint(), limits))
            .collect::<Vec<_>>()
    });
    let manifests = namespaces.map(secret).concat() + &accounts.collect::<String>();

    let target = Target::start(&manifests).await;
    let reasons = ["PartiallyCollected", "CloudError", "CloudUnreachable"];
    target.until_reason("tenant-0", "heads-0", &reasons).await;
    let damage = target.damage_after(Duration::from_secs(20)).await;

    damage.assert_bounded("six accounts of 300 heads of 400 KiB");
    // Some 110 MiB. Heads are bounded in size and requests in number: with either bound alone the process stays below the
    // limit, but heads of any size take more than this.
    assert!(damage.peak_memory < 160 << 20, "{damage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn informational_answers_without_end_cost_their_own_account_only() {
    let cloud = RawCloud::start(|_| Reply::Informational).await;
    let accounts: String =
        (0..8).map(|number| account("tenant", &format!("hints-{number}"), &cloud.endpoint(), "")).collect();

    let target = Target::start(&[secret("tenant"), accounts].concat()).await;
    target.until_reason("tenant", "hints-0", &["CloudError"]).await;
    let damage = target.damage_after(Duration::from_secs(15)).await;

    damage.assert_bounded("eight accounts of endless 103 answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn control_and_direction_characters_of_a_cloud_are_written_nowhere() {
    let page = r#"{"next": null, "results": [{"service_name": "we\u202eb\u0000\u0085", "current_status": "Run\u2066ning",
        "instances": [{"instance_name": "i\u200f\u001b[31m", "uuid": "w0"}]}]}"#;
    let cloud = HostileCloud::start(move |path| match path {
        _ if path.contains("/metrics") => Answer::None,
        _ if path.starts_with("/v1/services/") => Answer::Body(page.to_owned()),
        _ => Answer::None,
    })
    .await;
    let manifests = secret("tenant") + &account("tenant", "names", &cloud.endpoint(), "");

    let target = Target::start(&manifests).await;
    target.until_reason("tenant", "names", &["Collected", "PartiallyCollected"]).await;
    for path in ["/accounts/tenant/names/metrics", "/accounts/tenant/names", "/accounts", "/sd", "/"] {
        let body = target.body(path).await;
        let bad = |letter: char| {
            letter.is_control() && letter != '\n' || "\u{202e}\u{2066}\u{200f}".contains(letter)
        };
        assert_eq!(body.chars().find(|letter| bad(*letter)), None, "{path}: {body}");
    }
    assert!(target.body("/accounts/tenant/names/metrics").await.contains("we\u{fffd}b"));
    let damage = target.damage_after(Duration::from_secs(6)).await;

    damage.assert_bounded("names of control and direction characters");
}
