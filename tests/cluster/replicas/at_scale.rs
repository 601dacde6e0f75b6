//! Very many accounts on three replicas: how soon all are collected, and all again after a death; what Leases and memory cost.

use std::time::Duration;

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use k8s_openapi::jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::group::passed;
use crate::accounts_at_scale::{
    BOUNDED, MEMORY_LIMIT_KIB, accounts, control_plane, each_minute, is_measured, many_accounts,
};
use crate::harness::cluster::Cluster;
use crate::harness::{Operator, OperatorOptions, until};

const LEASES: &str = "leases.coordination.k8s.io";

/// Starts a replica as it is installed, and does not wait.
async fn replica(plane: &Cluster, name: &str) -> anyhow::Result<Operator> {
    let args = [
        "--service-namespace=caas-system".to_owned(),
        "--replicas-lease-namespace=caas-system".to_owned(),
        format!("--replica-name={name}"),
        "--replica-address=127.0.0.1".to_owned(),
    ];
    let options = OperatorOptions {
        kubeconfig: Some(plane.service_account("caas-system", "caas-operator").await?),
        args: args.into(),
        env: vec![("RUST_LOG".to_owned(), "warn".to_owned())],
        ..OperatorOptions::default()
    };
    Operator::spawn(plane, options)
}

/// How many accounts each replica owns.
async fn owned(replicas: &[Operator]) -> anyhow::Result<Vec<usize>> {
    let owned = replicas.iter().map(async |replica| {
        let (_, body) = replica.scrape("/metrics").await?;
        let line = body.lines().find_map(|line| line.strip_prefix("caas_operator_accounts_owned "));
        anyhow::Ok(line.context("it counts what it owns")?.parse()?)
    });
    try_join_all(owned).await
}

/// Waits until so many accounts are owned by one replica each and collected by it.
async fn all_collected(replicas: &[Operator], count: usize) {
    until(BOUNDED, "all accounts to be collected", async || {
        // It costs a replica something to tell of thousands of accounts.
        sleep(Duration::from_secs(1)).await;
        let owned = owned(replicas).await?;
        ensure!(owned.iter().sum::<usize>() == count, "they own {owned:?}");
        let told = try_join_all(replicas.iter().map(|replica| replica.scrape("/replicas/accounts"))).await?;
        let collected = told.iter().map(|(_, body)| body.matches("\"reason\":\"Collected\"").count());
        let collected = collected.sum::<usize>();
        ensure!(collected == count, "{collected} are");
        Ok(())
    })
    .await;
}

/// Resident memory of each now and at most, in MiB.
fn memory(replicas: &[Operator]) -> anyhow::Result<Vec<(u64, u64)>> {
    let of = |replica: &Operator| Ok((replica.resident_kib()? >> 10, replica.peak_resident_kib()? >> 10));
    replicas.iter().map(of).collect()
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn three_replicas_share_very_many_accounts_and_two_take_over_those_of_the_third() -> anyhow::Result<()>
{
    let count = many_accounts(300);
    let plane = control_plane().await?;
    let fixture = accounts(&plane, count, 1, each_minute()).await?;

    let started = Instant::now();
    let mut replicas = Vec::new();
    for name in ["a", "b", "c"] {
        replicas.push(replica(&plane, name).await?);
    }
    for replica in &mut replicas {
        replica.ready().await?;
    }
    all_collected(&replicas, count).await;
    println!("{count} accounts on three replicas: all collected after {:?}", started.elapsed());
    let shares = owned(&replicas).await?;
    println!("they own {shares:?}; MiB resident now and at most: {:?}", memory(&replicas)?);
    assert!(shares.iter().all(|share| (count / 6..count * 2 / 3).contains(share)), "{shares:?}");

    let (from, lasts) = (Timestamp::now(), Duration::from_secs(if is_measured() { 60 } else { 15 }));
    let (began, cycles) = (Instant::now(), fixture.cloud.counts()["services_page"]);
    passed(lasts).await;
    let log = plane.audit_log()?;
    let spent = began.elapsed().as_secs_f64();
    let minutes = spent / 60.0;
    let calls = log.all().filter(|call| call.request.resource == LEASES && call.time.0 >= from);
    let (mut written, mut listed) = (0, 0);
    for call in calls {
        let counted = if call.request.verb == "list" { &mut listed } else { &mut written };
        *counted += 1;
    }
    println!(
        "a minute: {:.0} writes and {:.0} lists of Leases, {:.0} cycles",
        f64::from(written) / minutes,
        f64::from(listed) / minutes,
        (fixture.cloud.counts()["services_page"] - cycles) as f64 / minutes,
    );
    // One of each in 3 s from each replica, and two more for the edge and a retry.
    assert!(f64::from(written) <= 3.0 * (spent / 3.0 + 3.0), "{written} in {spent} s");

    let mut killed = replicas.remove(1);
    let died = Instant::now();
    killed.kill().await?;
    all_collected(&replicas, count).await;
    println!("all collected again {:?} after SIGKILL of one", died.elapsed());
    let memory = memory(&replicas)?;
    println!("the other two own {:?}; MiB resident now and at most: {memory:?}", owned(&replicas).await?);
    assert!(memory.iter().all(|(_, most)| *most < MEMORY_LIMIT_KIB >> 10), "{memory:?}");
    Ok(())
}
