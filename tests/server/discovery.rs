//! The targets for Prometheus at `/sd`.

use std::sync::Arc;

use caas_operator::account::{Account, Names, targets};
use caas_operator::cloud::Providers;
use serde_json::Value;

use crate::accounts::{account, spec};
use crate::{get, started};

#[tokio::test]
async fn discovery_lists_every_path_of_every_account_at_the_requested_address() {
    let (served, _) = started(None).await;
    let groups = get(&served, "/sd").await.text().await.unwrap();
    let groups = groups.replace(&served.address.to_string(), "[host]");
    let groups: Value = serde_json::from_str(&groups).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&groups).unwrap());
}

#[tokio::test]
async fn an_account_collected_each_hour_is_scraped_each_minute() {
    let (served, registry) = started(None).await;
    let mut spec = spec(Names::Both);
    spec.collection.interval = Some("1h".parse().unwrap());
    let hourly = account("team-d", "hourly", Names::Both);
    let targets = targets(Providers::ALL, &hourly.id, &spec);
    registry.put(Arc::new(Account { targets, ..Account::clone(&hourly) }));

    let groups: Value = get(&served, "/sd").await.json().await.unwrap();
    let labels = groups.as_array().unwrap().iter().map(|group| &group["labels"]);
    let announced: Vec<_> = labels
        .filter(|labels| labels["instance"] == "team-d/hourly")
        .map(|labels| (&labels["__scrape_interval__"], &labels["__scrape_timeout__"]))
        .collect();
    assert_eq!(announced, [(&"1m".into(), &"10s".into()); 2]);
}
