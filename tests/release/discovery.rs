//! Without Prometheus Operator: a Prometheus that discovers its targets from the operator.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::harness::prometheus::Prometheus;
use crate::harness::tenant::Tenant;
use crate::harness::world::World;

/// The configuration of `docs/prometheus.md` with a shorter refresh interval.
fn configuration() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/prometheus.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let mut found: Vec<_> = blocks.filter(|block| block.starts_with("scrape_configs:")).collect();
    assert_eq!(found.len(), 1);
    let configuration = found.remove(0).replace("refresh_interval: 30s", "refresh_interval: 2s");
    assert!(configuration.contains("refresh_interval: 2s"));
    configuration
}

pub(crate) async fn a_plain_prometheus_has_the_same_series_through_http_sd(world: &'static World) {
    let (by_monitors, team) = (world.released().await, Tenant::new(world, "plain").await);
    let spec = json!({"metrics": {"names": "Both", "labels": {"team": "checkout"}}});
    team.apply_and_wait("acme", &world.cloud, "acme", spec).await;
    let by_discovery = Prometheus::plain(world, "plain", &configuration()).await.unwrap();

    let query = format!("{{namespace=\"{}\",__name__!~\"scrape_.+|ALERTS.*\"}}", team.namespace);
    let complete = format!(
        "memory_usage{{namespace=\"{0}\"}} or caas_instance_info{{namespace=\"{0}\"}}",
        team.namespace
    );
    let mut found = Vec::new();
    for prometheus in [by_monitors, &by_discovery] {
        prometheus.until(&complete, |series| series.len() == 20).await;
        let series = prometheus.query(&query).await.unwrap();
        found.push(series.into_iter().map(|series| series.labels).collect::<BTreeSet<_>>());
    }

    assert!(found[0].len() > 150, "{}", found[0].len());
    assert_eq!(found[0], found[1]);
}
