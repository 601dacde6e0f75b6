//! One cycle over 100 instances compared with the article's loop: its time with latency, its requests, its CPU time.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use caas_operator::account::Account;
use caas_operator::collector::{ClientHistory, Connect, Supervisor};
use caas_operator::telemetry::Metrics;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::children::{Done, report};
use super::process::cpu_seconds;
use super::simulated::{self, Cloud, PASSWORD, Pace, USER};
use super::table::{Row, best, time};

const SERVICES: usize = 20;
const INSTANCES: usize = 5;
const FAR: Duration = Duration::from_millis(50);
/// The highest rate that a CaasAccount may set, in requests a second.
const MOST: u32 = 1000;
/// The pause between two timed cycles. It refills the budget of requests, as any interval does.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a child repeats its measurement.
const REPEAT: Duration = Duration::from_secs(4);

pub(crate) fn rows() -> Result<Vec<Row>> {
    let far = Cloud::start(SERVICES, INSTANCES, FAR)?;
    let peer = article_loop(&far, 1)?;
    let article = peer.as_ref().map(|done| done.get("wall")).transpose()?;
    let mut rows = Vec::new();
    for (in_flight, target) in [(128, 120.0), (32, 50.0)] {
        let before = far.requests()?;
        let ours = Done::of("cycles", &[&far.endpoint, &in_flight.to_string(), "paced"])?;
        let requests = (far.requests()? - before) / ours.get("cycles")?;
        let wall = ours.get("wall")?;
        let measure = format!("one cycle, 20 services x 5 instances, 50 ms, {in_flight} in flight");
        rows.push(against(&measure, article, wall, target));
        if in_flight == 128 {
            let article = peer.as_ref().map(|done| done.get("requests")).transpose()?;
            let target = "101 (1 a page, 1 an instance)";
            rows.push(Row {
                measure: "requests a cycle".to_owned(),
                peer: article.map_or_else(|| NO_PYTHON.to_owned(), |count| count.to_string()),
                ours: requests.to_string(),
                ratio: article.map(|count| count / requests),
                target: target.to_owned(),
                met: Some((requests - 101.0).abs() < 0.5),
            });
        }
    }
    drop(far);

    let near = Cloud::start(SERVICES, INSTANCES, Duration::ZERO)?;
    let each = |done: &Done, cycles: f64| Ok::<_, anyhow::Error>(done.get("cpu")? / cycles / 100.0);
    let article = article_loop(&near, 5)?.map(|done| each(&done, 5.0)).transpose()?;
    for (work, measure) in [
        ("cycles", "CPU a collected instance, 0 ms"),
        ("task", "CPU an instance collected, merged, rendered, compressed"),
    ] {
        let done = Done::of(work, &[&near.endpoint, "32", "unpaced"])?;
        rows.push(against(measure, article, each(&done, done.get("cycles")?)?, 150.0));
    }
    Ok(rows)
}

const NO_PYTHON: &str = "python3 is not on PATH";

fn against(measure: &str, article: Option<f64>, ours: f64, target: f64) -> Row {
    match article {
        Some(article) => Row::at_least(measure, time(article), time(ours), article / ours, target),
        None => Row::without_peer(measure, "python3", time(ours), &format!(">= {target}x")),
    }
}

/// The article's loop on this cloud; `None` without Python.
fn article_loop(cloud: &Cloud, cycles: usize) -> Result<Option<Done>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/article_loop.py");
    if Command::new("python3").arg("--version").output().is_err() {
        return Ok(None);
    }
    let mut command = Command::new("python3");
    command.arg(script).args([&cloud.endpoint, USER, USER, PASSWORD, &cycles.to_string()]);
    let done = Done::run(&mut command)?;
    ensure!((done.get("instances")? - 100.0).abs() < 0.5, "the article's loop sees other instances");
    Ok(Some(done))
}

/// The account to collect: with the highest rate of a CaasAccount, or without a limit, to measure a request's own cost.
fn account(arguments: &[&str], interval: Duration) -> Result<(Account, bool)> {
    let [endpoint, in_flight, budget] = arguments else {
        bail!("endpoint, number in flight and budget are needed")
    };
    let paced = *budget == "paced";
    let in_flight = in_flight.parse().context("the number in flight")?;
    let pace = Pace { in_flight, per_second: if paced { MOST } else { u32::MAX }, interval };
    Ok((simulated::account(endpoint, 0, pace)?, paced))
}

/// In a child: collects again and again, with a session and connections that already exist.
pub(crate) fn cycles(arguments: &[&str]) -> Result<()> {
    let (account, paced) = account(arguments, Duration::from_secs(30))?;
    let metrics = Metrics::new();
    let cloud = simulated::clouds(&metrics)?.connect(&account, &ClientHistory::default())?;
    let work = async move {
        // The first cycle logs in and connects. Its requests count; its time does not.
        cloud.collect(&account.selection).await?;
        let (mut times, started, cpu) = (Vec::new(), Instant::now(), cpu_seconds()?);
        while started.elapsed() < REPEAT {
            if paced {
                tokio::time::sleep(PAUSE).await;
            }
            let begun = Instant::now();
            let collection = cloud.collect(&account.selection).await?;
            times.push(begun.elapsed().as_secs_f64());
            ensure!(collection.failures().0 == 0, "a cycle had failures");
        }
        let cycles = times.len() as f64;
        // CPU time covers the timed cycles, requests cover all: this scales the first to all cycles.
        report("cpu", (cpu_seconds()? - cpu) / cycles * (cycles + 1.0));
        report("cycles", cycles + 1.0);
        report("wall", best(&times));
        Ok(())
    };
    // A spawned task, as an account's is.
    Runtime::new()?.block_on(async { tokio::spawn(work).await? })
}

/// In a child: the account's whole task, one cycle after another.
pub(crate) fn task(arguments: &[&str]) -> Result<()> {
    // The next cycle is due when the previous one ends.
    let (account, _) = account(arguments, Duration::from_millis(1))?;
    let metrics = Metrics::new();
    let runtime = Runtime::new()?;
    runtime.block_on(async {
        let clouds = Arc::new(simulated::clouds(&metrics)?);
        let (transitions, _) = mpsc::channel(1);
        let supervisor = Supervisor::new(clouds, Arc::default(), Arc::clone(&metrics), transitions);
        let cycles = || metrics.renders("text");
        supervisor.put(account);
        while cycles() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (before, cpu) = (cycles(), cpu_seconds()?);
        tokio::time::sleep(REPEAT).await;
        report("cycles", (cycles() - before) as f64);
        report("cpu", cpu_seconds()? - cpu);
        supervisor.stop().await;
        Ok(())
    })
}
