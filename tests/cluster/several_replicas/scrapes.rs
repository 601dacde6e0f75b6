//! Whatever happens to replicas, a Prometheus behind the Service sees each account once, without a gap and without a counter
//! that goes back.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::group::{Group, INTERVAL};
use super::prometheus::Prometheus;
use super::service::Service;
use crate::fixture::{DEADLINE, MONITORS};
use crate::harness::{Operator, until};

const ACCOUNTS: usize = 9;

/// Kubernetes' own time from SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(30);

/// As a kubelet does it: the pod is no endpoint any more, and is asked to end.
async fn delete(service: &Service, pod: &str, mut operator: Operator) -> anyhow::Result<()> {
    service.remove(pod);
    ensure!(operator.stop(GRACE).await? == 0, "it fails");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_rollout_and_other_numbers_of_replicas_cost_no_scrape_and_no_cycle() -> anyhow::Result<()> {
    let group = Group::new("rollout", ACCOUNTS).await?;
    let cluster = group.fixture.namespace.cluster();
    let service = Service::start().await?;
    let [a, b, c] = group.start(["a-1", "b-1", "c-1"]).await?;
    for (pod, replica) in [("a-1", &a), ("b-1", &b), ("c-1", &c)] {
        service.add(pod, replica);
    }
    group.until_shared(&[&a, &b, &c]).await;
    let prometheus = Prometheus::start(cluster, &service)?;
    prometheus.until_up(ACCOUNTS).await;
    let writes = || -> anyhow::Result<usize> {
        let log = cluster.audit_log()?;
        let namespace = format!("{}/", group.fixture.namespace.name());
        Ok(log
            .all()
            .filter(|call| call.request.resource == MONITORS && call.request.object.starts_with(&namespace))
            .filter(|call| !matches!(&*call.request.verb, "list" | "watch" | "get"))
            .count())
    };
    let (written, from) = (writes()?, Instant::now());

    // A rollout with one pod more at a time.
    let mut old = vec![("a-1", a), ("b-1", b), ("c-1", c)];
    let mut new = Vec::new();
    for pod in ["a-2", "b-2", "c-2"] {
        let mut replica = group.spawn(pod)?;
        replica.ready().await?;
        service.add(pod, &replica);
        new.push((pod, replica));
        let (pod, replica) = old.remove(0);
        delete(&service, pod, replica).await?;
    }
    // 3 -> 5 -> 2.
    for pod in ["d-2", "e-2"] {
        let mut replica = group.spawn(pod)?;
        replica.ready().await?;
        service.add(pod, &replica);
        new.push((pod, replica));
    }
    group.until_shared(&new.iter().map(|(_, replica)| replica).collect::<Vec<_>>()).await;
    let kept = new.split_off(3);
    let leaving = new.into_iter().map(|(pod, replica)| delete(&service, pod, replica));
    for left in futures::future::join_all(leaving).await {
        left?;
    }
    group.until_shared(&kept.iter().map(|(_, replica)| replica).collect::<Vec<_>>()).await;

    let lasted = from.elapsed().as_secs() + 1;
    let down = prometheus.query(&format!("min_over_time(up[{lasted}s]) == 0")).await?;
    assert_eq!(down, [], "scrapes failed");
    let resets = prometheus
        .query(&format!("sum by (instance) (resets(caas_instance_cpu_usage_seconds_total[{lasted}s])) > 0"))
        .await?;
    assert_eq!(resets, [], "an older body came after a newer one");
    assert_eq!(writes()?, written, "ServiceMonitors were written");
    let most = group.most_within(INTERVAL.mul_f64(0.95), from);
    assert!(most <= 2, "{most} cycles of one account within an interval");
    println!("gaps {:?}, most cycles in an interval {most}", group.gaps(from));
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn any_replica_answers_for_all_accounts() -> anyhow::Result<()> {
    let group = Group::new("any", ACCOUNTS).await?;
    let replicas = group.start(["a", "b"]).await?;
    let collectors = group.until_shared(&[&replicas[0], &replicas[1]]).await;
    let namespace = group.fixture.namespace.name();
    for (name, collector) in &collectors {
        let path = group.fixture.path(name);
        let own = replicas[*collector].scrape(&path).await?;
        assert_eq!(own.0, 200, "{}", own.1);
        until(DEADLINE, "the same body from both", async || {
            let (own, other) =
                (replicas[*collector].scrape(&path).await?, replicas[1 - *collector].scrape(&path).await?);
            ensure!(own == other, "{own:?} and {other:?}");
            Ok(())
        })
        .await;
        for path in
            [format!("/accounts/{namespace}/{name}"), format!("/accounts/{namespace}/{name}?format=html")]
        {
            let (code, body) = replicas[1 - *collector].scrape(&path).await?;
            assert!(code == 200 && body.contains("Collected"), "{path}: {code} {body}");
        }
    }
    for replica in &replicas {
        for path in ["/accounts", "/accounts?format=html", "/services?format=json", "/sd", "/?format=html"] {
            let (code, body) = replica.scrape(path).await?;
            assert_eq!(code, 200, "{path}");
            for name in collectors.keys() {
                assert!(
                    body.contains(&format!("{name}\"")) || body.contains(&format!("/{name}")),
                    "{path} lacks {name}"
                );
            }
        }
        let (_, services) = replica.scrape("/services?format=json&limit=100").await?;
        let services: serde_json::Value = serde_json::from_str(&services)?;
        assert_eq!(services["services"].as_array().map(Vec::len), Some(2 * ACCOUNTS));
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_replica_that_cannot_be_reached_costs_scrapes_a_sentence_and_nothing_is_forwarded_twice()
-> anyhow::Result<()> {
    let group = Group::new("unreached", ACCOUNTS).await?;
    let mut replicas = group.start(["a", "b"]).await?;
    let collectors = group.until_shared(&[&replicas[0], &replicas[1]]).await;
    let (name, _) = collectors.iter().find(|(_, collector)| **collector == 1).unwrap();
    // Its Lease still counts for a while, but it answers nothing.
    replicas[1].freeze().await?;
    let scrape = replicas[0].scrape(&group.fixture.path(name)).await?;
    replicas[1].thaw();
    assert_eq!(scrape.0, 503);
    assert!(scrape.1.contains("replica b collects this account and cannot be reached"), "{}", scrape.1);
    Ok(())
}
