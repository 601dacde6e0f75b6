//! One `ScrapeConfig` of the chart for all accounts, in place of a ServiceMonitor for each.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use serde_json::{Value, json};

use crate::control::until;
use crate::harness::PATIENCE;
use crate::harness::helm::chart;
use crate::harness::prometheus::{self, Prometheus};
use crate::harness::tenant::Tenant;
use crate::harness::world::{NAMESPACE, World};
use crate::lifecycle::{clean, field, install, kubectl, values};

/// The labels of all series that these Prometheuses find, and how often each label set is among them.
async fn labels(
    all: &[&Prometheus],
    query: &str,
) -> anyhow::Result<(BTreeSet<Vec<(String, String)>>, usize)> {
    let mut found = Vec::new();
    for prometheus in all {
        found.extend(prometheus.query(query).await?.into_iter().map(|series| series.labels));
    }
    let number = found.len();
    Ok((found.into_iter().map(|labels| labels.into_iter().collect()).collect(), number))
}

pub(crate) async fn a_scrape_config_finds_each_account_in_one_shard_with_the_series_of_its_service_monitor(
    world: &'static World,
) {
    const ACCOUNTS: usize = 6;
    let (by_monitors, team) = (world.released().await, Tenant::named(world, "configured").await);
    let spec = json!({"metrics": {"names": "Both", "labels": {"team": "checkout"}}});
    for number in 0..ACCOUNTS {
        team.apply(&format!("account-{number}"), &world.cloud, "initech", spec.clone()).await;
    }
    let values = json!({"scrapeConfig": {"enabled": true, "namespace": prometheus::NAMESPACE,
        "labels": {"accounts": "all"}, "refreshInterval": "2s"}});
    let chart = chart().display().to_string();
    let words = ["template", "caas-operator", &chart, "--namespace", NAMESPACE];
    let only = ["--show-only", "templates/scrapeconfig.yaml"];
    let rendered = world.helm(&[&words[..], &only].concat(), &values).await.expect_ok();
    world.plane.apply(&rendered).await.unwrap();
    let selectors = json!({"shards": 2, "serviceMonitorSelector": {"matchLabels": {"accounts": "all"}},
        "scrapeConfigSelector": {"matchLabels": {"accounts": "all"}}, "scrapeConfigNamespaceSelector": {}});
    prometheus::install(world, "configured", selectors).await.unwrap();
    let shards = [
        Prometheus::run(world, "configured", 0).await.unwrap(),
        Prometheus::run(world, "configured", 1).await.unwrap(),
    ];
    let [one, other] = &shards;

    // All of both targets of each account has been scraped.
    let up = "up{namespace=\"configured\"} == 1";
    let everything = "{namespace=\"configured\",__name__!~\"scrape_.+|ALERTS.*\"}";
    let complete = "memory_usage{namespace=\"configured\"} or caas_instance_info{namespace=\"configured\"}";
    let same = async |accounts: usize| {
        until(PATIENCE, "the same series both ways", async || {
            for ways in [&[by_monitors][..], &[one, other]] {
                ensure!(labels(ways, up).await?.1 == 2 * accounts, "{:?}", labels(ways, up).await?);
                ensure!(labels(ways, complete).await?.1 == 8 * accounts, "not all is scraped");
            }
            let (monitored, number) = labels(&[by_monitors], everything).await?;
            let (configured, both_shards) = labels(&[one, other], everything).await?;
            let differ: Vec<_> = monitored.symmetric_difference(&configured).take(5).collect();
            ensure!(differ.is_empty(), "{differ:?}");
            ensure!(number == both_shards, "{number} by ServiceMonitors, {both_shards} in the shards");
            Ok(number)
        })
        .await
    };
    let before = same(ACCOUNTS).await;
    for shard in &shards {
        assert!(!shard.query(up).await.unwrap().is_empty(), "a shard that scrapes nothing");
    }
    println!("{before} series with the same labels by {ACCOUNTS} ServiceMonitors and by one ScrapeConfig");

    // The ScrapeConfig stays as it is.
    team.apply("late", &world.cloud, "initech", spec).await;
    let after = same(ACCOUNTS + 1).await;
    assert!(after > before, "{after}");

    // Not marked as stale, series would be seen for five minutes after their last sample.
    team.kubectl(&["delete", "caas", "late"], "").await.expect_ok();
    let of_late = "caas_account_up{instance=\"configured/late\"}";
    until(PATIENCE, "the series of a deleted account to end", async || {
        let (_, number) = labels(&[one, other], of_late).await?;
        ensure!(number == 0, "{number} are seen");
        Ok(())
    })
    .await;
    let seen: Vec<_> = [
        one.values(&format!("{of_late}[30m]")).await.unwrap(),
        other.values(&format!("{of_late}[30m]")).await.unwrap(),
    ]
    .concat();
    let (last, _) = *seen[0].1.last().unwrap();
    let ago = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() - last;
    assert!(ago < 200.0, "their last sample is {ago} s old");
}

/// The names of the ServiceMonitors in a team's namespace.
async fn monitors(world: &World, team: &Tenant) -> String {
    kubectl(world, &["--namespace", &team.namespace, "get", "servicemonitors", "-o", "name"]).await
}

/// Why the ServiceMonitor of an account is there or not.
async fn reason(team: &Tenant, account: &str) -> String {
    field(team, account, ".status.conditions[?(@.type==\"ServiceMonitorReady\")].reason").await
}

pub(crate) async fn a_release_with_a_scrape_config_has_no_service_monitors_and_back(world: &'static World) {
    clean(world).await;
    world.with_prometheus_operator().await;
    let both = json!({"scrapeConfigSelector": {}, "scrapeConfigNamespaceSelector": {}});
    prometheus::install(world, "either", both).await.unwrap();
    let prometheus = Prometheus::run(world, "either", 0).await.unwrap();
    install(world, &values()).await;
    let team = Tenant::new(world, "either").await;
    team.apply_and_wait("acme", &world.cloud, "acme", json!({})).await;
    let scraped = format!("up{{namespace=\"{}\"}} == 1", team.namespace);
    prometheus.until(&scraped, |series| series.len() == 1).await;
    let monitor = "servicemonitor.monitoring.coreos.com/caas-acme";
    assert_eq!(monitors(world, &team).await.trim(), monitor);

    let mut with_config = values();
    with_config["scrapeConfig"] = json!({"enabled": true, "refreshInterval": "2s"});
    world.deploy("upgrade", "caas-operator", NAMESPACE, &chart(), &with_config).await;

    until(PATIENCE, "the ServiceMonitor to go", async || {
        let (monitors, reason) = (monitors(world, &team).await, reason(&team, "acme").await);
        ensure!(monitors.is_empty() && reason == "Disabled", "{monitors} {reason}");
        Ok(())
    })
    .await;
    let message =
        field(&team, "acme", ".status.conditions[?(@.type==\"ServiceMonitorReady\")].message").await;
    assert!(message.contains("--no-service-monitors") && message.contains("/sd"), "{message}");
    team.wait("acme", "Ready").await;
    prometheus.until_no_job(&team.namespace, "caas-acme").await;
    // A new account, and one that asks for a ServiceMonitor all the same.
    team.apply_and_wait("globex", &world.cloud, "globex", json!({})).await;
    let always = json!({"serviceMonitor": {"mode": "Always"}});
    team.apply_and_wait("initech", &world.cloud, "initech", always).await;
    prometheus.until(&scraped, |series| series.len() == 3).await;
    assert_eq!(monitors(world, &team).await.trim(), "servicemonitor.monitoring.coreos.com/caas-initech");
    assert_eq!(reason(&team, "initech").await, "Applied");

    world.deploy("upgrade", "caas-operator", NAMESPACE, &chart(), &values()).await;

    until(PATIENCE, "the ServiceMonitors to be back, and the ScrapeConfig gone", async || {
        let monitors = monitors(world, &team).await;
        ensure!(monitors.lines().count() == 3 && monitors.contains(monitor), "{monitors}");
        let pools: Value = prometheus.get("scrape_pools", &[]).await?;
        ensure!(!pools.to_string().contains("scrapeConfig/"), "{pools}");
        ensure!(prometheus.query(&scraped).await?.len() == 3, "not scraped yet");
        Ok(())
    })
    .await;
    world.no_complaints();
}
