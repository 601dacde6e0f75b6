//! From a cloud to the result of a query: what users see in the Prometheus that their Prometheus Operator runs.

use std::collections::{BTreeMap, BTreeSet};

use caas_operator::simulator::world::{Instance, Service};
use serde_json::json;

use crate::harness::cloud::{Cloud, user};
use crate::harness::prometheus::Series;
use crate::harness::tenant::Tenant;
use crate::harness::world::World;

/// Services and instances of a user, as the cloud has them now.
fn truth(cloud: &Cloud, user: &str) -> Vec<(Service, Instance)> {
    let account = cloud.running.world(user).expect("the cloud's user");
    let services = account.services(cloud.running.now());
    services
        .flat_map(|service| service.instances().map(|it| (service.clone(), it)).collect::<Vec<_>>())
        .collect()
}

/// Prints a query with its result.
fn show(query: &str, answer: &[Series]) {
    println!("{query}");
    for series in answer {
        let labels: Vec<_> = series.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        println!("    {{{}}} {}", labels.join(","), series.value);
    }
}

pub(crate) async fn an_account_has_series_with_exactly_the_documented_labels(world: &'static World) {
    let (prometheus, team) = (world.released().await, Tenant::new(world, "team").await);
    team.apply_and_wait("acme", &world.cloud, "acme", json!({"metrics": {"labels": {"cost": "42"}}})).await;

    let query = format!("caas_instance_memory_usage_bytes{{account_namespace=\"{}\"}}", team.namespace);
    let series = prometheus.until(&query, |series| series.len() == 10).await;

    let labels = |service: &Service, instance: &Instance| {
        let pairs = [
            ("__name__", "caas_instance_memory_usage_bytes"),
            ("namespace", &team.namespace),
            ("instance", &format!("{}/acme", team.namespace)),
            ("job", "caas"),
            ("cost", "42"),
            ("account_namespace", &team.namespace),
            ("account", "acme"),
            ("service_name", &service.name),
            ("instance_name", &instance.name),
            ("instance_id", &instance.uuid),
        ];
        BTreeMap::from(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())))
    };
    let expected: BTreeSet<_> =
        truth(&world.cloud, "acme").iter().map(|(service, instance)| labels(service, instance)).collect();
    let found: BTreeSet<_> = series.into_iter().map(|series| series.labels).collect();
    assert_eq!(found, expected);

    let query = format!("{{job=\"caas\",namespace=\"{}\",pod!=\"\"}}", team.namespace);
    assert_eq!(prometheus.query(&query).await.unwrap(), []);
}

pub(crate) async fn values_equal_those_of_the_cloud(world: &'static World) {
    let (prometheus, team) = (world.released().await, Tenant::new(world, "exact").await);
    team.apply_and_wait("globex", &world.cloud, "globex", json!({})).await;
    let counters =
        format!("caas_instance_cpu_usage_seconds_total{{account_namespace=\"{}\"}}", team.namespace);
    prometheus.until(&counters, |series| series.len() == 6).await;

    // One scrape: the series of one target have one time.
    let all = format!("{{__name__=~\"caas_.+\",job=\"caas\",namespace=\"{}\"}}", team.namespace);
    let series = prometheus.query(&all).await.unwrap();

    let value = |metric: &str, label: &str, is: &str| -> f64 {
        let found: Vec<_> = series
            .iter()
            .filter(|it| it.label("__name__") == metric && (label.is_empty() || it.label(label) == is))
            .collect();
        assert_eq!(found.len(), 1, "{metric} of {is}: {found:?}");
        found[0].value
    };
    let mut compared = 0;
    for (service, instance) in truth(&world.cloud, "globex") {
        let of = |metric: &str| value(&format!("caas_instance_{metric}"), "instance_id", &instance.uuid);
        #[allow(clippy::cast_possible_truncation, reason = "the cloud measures at whole seconds")]
        let time = of("sample_timestamp_seconds") as i64;
        let point = instance.point(time).expect("a point at that time");
        #[allow(clippy::cast_precision_loss, reason = "Prometheus knows no other number")]
        let pairs = [
            ("cpu_usage_seconds_total", point.cpu_nanoseconds as f64 / 1e9),
            ("cpu_utilization_ratio", point.cpu_percent / 100.0),
            ("memory_usage_bytes", point.memory_bytes as f64),
            ("memory_utilization_ratio", point.memory_percent / 100.0),
            ("network_receive_bytes_total", point.rx_bytes as f64),
            ("network_receive_errors_total", point.rx_errors as f64),
            ("network_transmit_bytes_total", point.tx_bytes as f64),
            ("network_transmit_errors_total", point.tx_errors as f64),
        ];
        for (metric, expected) in pairs {
            let found = of(metric);
            let close = (found - expected).abs() <= expected.abs() * 1e-9;
            assert!(close, "{metric} of {} at {time}: {found}, in the cloud {expected}", instance.name);
            compared += 1;
        }
        let of = |metric: &str| value(&format!("caas_service_{metric}"), "service_name", &service.name);
        assert_eq!(of("desired_instances").to_bits(), 2_f64.to_bits());
        assert_eq!(of("running_instances").to_bits(), 2_f64.to_bits());
    }
    assert_eq!(compared, 48);
    let of = |metric: &str| value(&format!("caas_account_{metric}"), "", "").to_bits();
    assert_eq!(
        (of("services"), of("instances"), of("up")),
        (3_f64.to_bits(), 6_f64.to_bits(), 1_f64.to_bits())
    );
}

pub(crate) async fn the_queries_of_2015_are_answered_under_modern_and_legacy_names(world: &'static World) {
    let (prometheus, team) = (world.released().await, Tenant::new(world, "both").await);
    team.apply_and_wait("acme", &world.cloud, "acme", json!({"metrics": {"names": "Both"}})).await;
    let namespace = &team.namespace;

    for (query, answers) in [
        (format!("caas_instance_memory_usage_bytes{{service_name=\"kibana\",namespace=\"{namespace}\"}}"), 2),
        (format!("sum by (service_name) (caas_instance_memory_usage_bytes{{namespace=\"{namespace}\"}})"), 5),
        (format!("memory_usage{{service=\"kibana\",namespace=\"{namespace}\"}}"), 2),
        (format!("sum by (service) (memory_usage{{namespace=\"{namespace}\"}})"), 5),
        (
            format!(
                "sum by (service_name) (rate(caas_instance_cpu_usage_seconds_total{{namespace=\"{namespace}\"}}[5m]))"
            ),
            5,
        ),
        (format!("sum by (service) (rate(cpu_cumulative_usage{{namespace=\"{namespace}\"}}[5m])) / 1e9"), 5),
    ] {
        // The cloud measures once a minute: a rate is known after two of its measurements.
        let known = |series: &[Series]| series.len() == answers && series.iter().all(|it| it.value > 0.0);
        let answer = prometheus.until(&query, known).await;
        show(&query, &answer);
    }

    // The same numbers under both names, where both pages are of one collection.
    let query = format!(
        "label_replace(label_replace(memory_usage{{namespace=\"{namespace}\"}}, \"service_name\", \"$1\", \"service\", \"(.+)\"), \
         \"instance_name\", \"$1\", \"instance\", \"(.+)\") == on (service_name, instance_name) \
         caas_instance_memory_usage_bytes{{namespace=\"{namespace}\"}}"
    );
    prometheus.until(&query, |series| series.len() == 10).await;

    let query = format!("memory_usage{{namespace=\"{namespace}\",service=\"kibana\",instance=\"kibana.0\"}}");
    let series = prometheus.query(&query).await.unwrap();
    let expected = [
        ("__name__", "memory_usage"),
        ("namespace", namespace),
        ("job", "caas-legacy"),
        ("account", "acme"),
        ("service", "kibana"),
        ("instance", "kibana.0"),
    ];
    let expected = BTreeMap::from(expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(series.into_iter().map(|it| it.labels).collect::<Vec<_>>(), [expected]);
}

pub(crate) async fn a_new_service_appears_and_a_removed_one_disappears(world: &'static World) {
    let (prometheus, team) = (world.released().await, Tenant::new(world, "changing").await);
    let cloud = Cloud::start(&world.hosts, "changing", 11, vec![user("acme", 3)]).await.unwrap();
    team.apply_and_wait("acme", &cloud, "acme", json!({})).await;
    let query = format!(
        "count by (service_name) (caas_instance_memory_usage_bytes{{namespace=\"{}\"}})",
        team.namespace
    );
    prometheus.until(&query, |series| series.len() == 3).await;

    let cloud = cloud.restart(vec![user("acme", 4)]).await.unwrap();
    let more = prometheus.until(&query, |series| series.len() == 4).await;
    assert!(more.iter().any(|series| series.label("service_name") == "web-frontend"));

    let _cloud = cloud.restart(vec![user("acme", 2)]).await.unwrap();
    prometheus.until(&query, |series| series.len() == 2).await;
    // Prometheus would forget after five minutes by itself. Those that are gone ended with the very scrape that told so.
    let services = format!("caas_account_services{{namespace=\"{}\"}}[30m]", team.namespace);
    let services = prometheus.values(&services).await.unwrap().remove(0).1;
    let before = services.iter().rposition(|(_, number)| *number > 2.0).unwrap();
    let (told, _) = services[before + 1];
    assert_eq!(prometheus.query_at(&query, told).await.unwrap().len(), 2);
}

pub(crate) async fn a_deleted_account_is_no_longer_scraped(world: &'static World) {
    let (prometheus, team) = (world.released().await, Tenant::new(world, "leaving").await);
    team.apply_and_wait("initech", &world.cloud, "initech", json!({})).await;
    let query = format!("up{{namespace=\"{}\"}}", team.namespace);
    prometheus.until(&query, |series| series.len() == 1 && series[0].value > 0.0).await;

    team.kubectl(&["delete", "caas", "initech"], "").await.expect_ok();

    // The series themselves may stay for Prometheus' five minutes: it marks none as stale where the whole job goes before
    // a scrape was told that the account is no more.
    prometheus.until_no_job(&team.namespace, "caas-initech").await;
}
