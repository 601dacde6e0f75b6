//! Which Prometheus scrapes an account: labels that tenants set, and shards.

use std::collections::BTreeMap;

use anyhow::ensure;
use serde_json::{Value, json};

use crate::control::until;
use crate::harness::PATIENCE;
use crate::harness::once::Once;
use crate::harness::prometheus::{self, Prometheus};
use crate::harness::tenant::Tenant;
use crate::harness::world::World;

pub(crate) async fn a_prometheus_selects_accounts_by_the_label_that_a_tenant_sets(world: &'static World) {
    let (all, team) = (world.released().await, Tenant::new(world, "labels").await);
    let selector = json!({"serviceMonitorSelector": {"matchLabels": {"release": "picky"}}});
    prometheus::install(world, "picky", selector).await.unwrap();
    let picky = Prometheus::run(world, "picky", 0).await.unwrap();

    let labelled = json!({"serviceMonitor": {"labels": {"release": "picky"}}});
    team.apply_and_wait("chosen", &world.cloud, "acme", labelled).await;
    team.apply_and_wait("other", &world.cloud, "globex", json!({})).await;

    let query = format!("caas_account_up{{namespace=\"{}\"}}", team.namespace);
    all.until(&query, |series| series.len() == 2).await;
    let taken = picky.until(&query, |series| !series.is_empty()).await;
    assert_eq!(taken.iter().map(|series| series.label("account")).collect::<Vec<_>>(), ["chosen"]);

    // The label comes and goes as the tenant says.
    team.apply("other", &world.cloud, "globex", json!({"serviceMonitor": {"labels": {"release": "picky"}}}))
        .await;
    picky.until(&query, |series| series.len() == 2).await;
}

/// Both shards of a Prometheus that takes what carries the label `shards: two`, which the release's own ServiceMonitor does.
async fn shards(world: &'static World) -> &'static [Prometheus; 2] {
    static SHARDS: Once<[Prometheus; 2]> = Once::new();
    let start = async || {
        let selector = json!({"shards": 2, "serviceMonitorSelector": {"matchLabels": {"shards": "two"}}});
        prometheus::install(world, "sharded", selector).await?;
        Ok([Prometheus::run(world, "sharded", 0).await?, Prometheus::run(world, "sharded", 1).await?])
    };
    world.released().await;
    SHARDS.get("a Prometheus in two shards", start).await
}

pub(crate) async fn a_prometheus_in_two_shards_scrapes_each_account_once(world: &'static World) {
    const ACCOUNTS: usize = 6;
    let shards = shards(world).await;
    let team = Tenant::named(world, "sharded").await;
    for number in 0..ACCOUNTS {
        let spec = json!({"metrics": {"names": "Both"}, "serviceMonitor": {"labels": {"shards": "two"}}});
        team.apply(&format!("account-{number}"), &world.cloud, "initech", spec).await;
    }

    let owners = until(PATIENCE, "every account in a shard", async || {
        let owners = owners(shards).await?;
        ensure!(owners.len() == ACCOUNTS, "{owners:?}");
        Ok(owners)
    })
    .await;

    println!("accounts by shard: {owners:?}");
    assert!(owners.values().all(|shards| shards.len() == 1), "scraped twice: {owners:?}");
    for shard in 0..shards.len() {
        assert!(owners.values().any(|owner| owner[0] == shard), "shard {shard} does nothing: {owners:?}");
    }
    // Both paths of an account are in its shard.
    for (number, shard) in shards.iter().enumerate() {
        let mine = owners.values().filter(|owner| owner[0] == number).count();
        for job in ["caas", "caas-legacy"] {
            let query = format!("up{{namespace=\"sharded\",job=\"{job}\"}} == 1");
            shard.until(&query, |series| series.len() == mine).await;
        }
    }
    // It stays so: none is taken by the other shard a scrape later.
    let oldest = "min(timestamp(up{namespace=\"sharded\"}))";
    for shard in shards {
        let now = shard.until(oldest, |series| series.len() == 1).await[0].value;
        shard.until(oldest, |series| series.iter().any(|series| series.value > now)).await;
    }
    assert_eq!(self::owners(shards).await.unwrap(), owners);
}

pub(crate) async fn each_shard_scrapes_the_operator_and_none_alerts_that_it_is_down(world: &'static World) {
    let shards = shards(world).await;
    let team = Tenant::named(world, "everywhere").await;
    // By their names, the first belongs to one shard and the second to the other.
    for account in ["account-0", "account-1"] {
        let spec = json!({"serviceMonitor": {"labels": {"shards": "two"}}});
        team.apply(account, &world.cloud, "initech", spec).await;
    }

    for shard in shards {
        shard.until("up{job=\"caas-operator\"} == 1", |series| series.len() == 1).await;
        until(PATIENCE, "CaasOperatorDown to be evaluated and silent", async || {
            let rules: Value = shard.get("rules", &[("rule_name[]", "CaasOperatorDown")]).await?;
            let rule = &rules["groups"][0]["rules"][0];
            ensure!(rule["health"] == "ok" && rule["state"] == "inactive", "{rules}");
            Ok(())
        })
        .await;
        // What alerts hold against each other is there together, wherever an account is.
        let joined = "caas_account_up{namespace=\"everywhere\"} and on (account_namespace, account) \
                      caas_operator_api_requests_total";
        shard.until(joined, |series| series.len() == 1).await;
    }
}

/// The shards that have each account as a target, by their numbers.
async fn owners(shards: &[Prometheus]) -> anyhow::Result<BTreeMap<String, Vec<usize>>> {
    let mut owners: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (number, shard) in shards.iter().enumerate() {
        for series in shard.query("up{namespace=\"sharded\",job=\"caas\"}").await? {
            owners.entry(series.label("instance").to_owned()).or_default().push(number);
        }
    }
    Ok(owners)
}
