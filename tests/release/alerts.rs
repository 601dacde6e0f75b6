//! An alert of the chart in the live Prometheus. `tests/chart` shows that each alert rule fires and resolves.

use serde_json::json;

use crate::harness::cloud::{Cloud, PASSWORD, user};
use crate::harness::prometheus::Series;
use crate::harness::tenant::Tenant;
use crate::harness::world::World;

pub(crate) async fn revoking_an_account_in_its_cloud_fires_the_alert_until_it_is_restored(
    world: &'static World,
) {
    let (prometheus, team) = (world.released().await, Tenant::new(world, "revoked").await);
    let cloud = Cloud::start(&world.hosts, "revoked", 12, vec![user("acme", 2)]).await.unwrap();
    team.apply_and_wait("acme", &cloud, "acme", json!({})).await;
    let up = format!("caas_account_up{{namespace=\"{}\"}}", team.namespace);
    prometheus.until(&up, |series| series.len() == 1).await;

    cloud.running.set_credentials("acme", "another password");
    cloud.running.revoke_tokens();

    let firing = |alert: &str| {
        format!(
            "ALERTS{{alertname=\"{alert}\",alertstate=\"firing\",account_namespace=\"{}\"}}",
            team.namespace
        )
    };
    let fired = prometheus.until(&firing("CaasCredentialsRejected"), |series| series.len() == 1).await;
    assert_eq!((fired[0].label("account"), fired[0].label("severity")), ("acme", "critical"));
    prometheus.until(&firing("CaasAccountNotCollected"), |series| series.len() == 1).await;
    let alerts: serde_json::Value = prometheus.get("alerts", &[]).await.unwrap();
    let alerts = alerts["alerts"].as_array().unwrap();
    let mine = alerts.iter().find(|it| {
        it["labels"]["alertname"] == "CaasCredentialsRejected"
            && it["labels"]["account_namespace"] == *team.namespace
    });
    let annotations = &mine.unwrap()["annotations"];
    println!("{annotations}");
    assert!(annotations["summary"].as_str().unwrap().contains(&format!("{}/acme", team.namespace)));
    assert!(annotations["runbook_url"].as_str().unwrap().ends_with("/CaasCredentialsRejected.md"));
    team.wait("acme", "CredentialsReady=False").await;

    cloud.running.set_credentials("acme", PASSWORD);
    for alert in ["CaasCredentialsRejected", "CaasAccountNotCollected"] {
        prometheus.until(&firing(alert), <[Series]>::is_empty).await;
    }
    team.wait("acme", "Ready").await;
}
