//! Clouds that list more than fits.

use std::time::Duration;

use crate::harness::{Answer, HostileCloud, Target, account, gzip, secret};

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
