//! Without Prometheus Operator: a Prometheus that asks the operator itself what to scrape.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::prometheus::Prometheus;
use crate::harness::tenant::Tenant;
use crate::harness::world::World;

/// As `docs/prometheus.md` has it, asking more often.
const CONFIGURATION: &str = "
scrape_configs:
  - job_name: caas
    honor_labels: true
    http_sd_configs:
      - url: http://caas-operator.caas-system.svc:8080/sd
        refresh_interval: 2s
";

pub(crate) async fn a_plain_prometheus_has_the_same_series_through_http_sd(world: &'static World) {
    let (by_monitors, team) = (world.released().await, Tenant::new(world, "plain").await);
    let spec = json!({"metrics": {"names": "both", "labels": {"team": "checkout"}}});
    team.apply_and_wait("acme", &world.cloud, "acme", spec).await;
    let by_discovery = Prometheus::plain(world, "plain", CONFIGURATION).await.unwrap();

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
