//! Control planes come up, go down, come back, and leave nothing.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace as NamespaceObject, ServiceAccount};
use kube::api::{Api, ObjectMeta, PostParams};

use crate::harness::{ControlPlane, Namespace, SOON, until};

/// Set where this test binary plays the process that is killed.
const VICTIM: &str = "CAAS_OPERATOR_TEST_VICTIM";

async fn write(namespace: &Namespace, name: &str) -> anyhow::Result<()> {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let object = ConfigMap { metadata, ..ConfigMap::default() };
    namespace.api::<ConfigMap>().create(&PostParams::default(), &object).await?;
    Ok(())
}

async fn exists(namespace: &Namespace, name: &str) -> anyhow::Result<bool> {
    Ok(namespace.api::<ConfigMap>().get_opt(name).await?.is_some())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_namespace_takes_objects_and_goes_when_dropped() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("takes-objects").await?;
    let other = plane.namespace("takes-objects").await?;
    assert_ne!(namespace.name(), other.name());

    write(&namespace, "one").await?;
    assert!(exists(&namespace, "one").await?);
    assert!(!exists(&other, "one").await?);
    let listed = namespace.kubectl(&["get", "configmaps", "-o", "name"]).await?.expect_ok();
    assert!(listed.contains("configmap/one"), "{listed}");
    until(SOON, "the controllers to make a ServiceAccount", async || {
        ensure!(namespace.api::<ServiceAccount>().get_opt("default").await?.is_some(), "none");
        Ok(())
    })
    .await;

    let name = namespace.name().to_owned();
    drop(namespace);
    let namespaces: Api<NamespaceObject> = Api::all(plane.client().await?);
    until(SOON, "the namespace to be gone", async || {
        let left = namespaces.get_opt(&name).await?;
        ensure!(left.is_none(), "status {:?}", left.and_then(|it| it.status));
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_second_runtime_uses_the_same_control_plane() -> anyhow::Result<()> {
    let first = ControlPlane::shared().await;
    let elsewhere = std::thread::spawn(|| -> anyhow::Result<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let plane = ControlPlane::shared().await;
            let namespace = plane.namespace("second-runtime").await?;
            write(&namespace, "one").await?;
            Ok(plane.url().to_owned())
        })
    });
    let url = tokio::task::spawn_blocking(|| elsewhere.join()).await?.unwrap()?;
    assert_eq!(url, first.url());
    write(&first.namespace("first-runtime").await?, "one").await
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_control_plane_of_ones_own_stops_restarts_and_goes_back_in_time() -> anyhow::Result<()> {
    let mut clock = Instant::now();
    let mut lap = |what: &str| {
        println!("{what}: {:.1} s", clock.elapsed().as_secs_f32());
        clock = Instant::now();
    };
    let mut plane = ControlPlane::own().await?;
    lap("start");
    for (name, pid, kib) in plane.processes()? {
        println!("{name} ({pid}): {} MiB resident", kib / 1024);
    }

    assert!(!plane.kubectl(&["get", "servicemonitors", "-A"]).await?.ok);
    plane.install_service_monitors().await?;
    lap("install a CRD");
    plane.kubectl(&["get", "servicemonitors", "-A"]).await?.expect_ok();
    plane.remove_service_monitors().await?;
    lap("remove a CRD");

    let namespace = plane.namespace("restarts").await?;
    write(&namespace, "before").await?;
    let snapshot = plane.etcd_snapshot().await?;
    lap("snapshot");
    write(&namespace, "after").await?;

    plane.freeze_api_server().await?;
    let silent = tokio::time::timeout(Duration::from_millis(300), exists(&namespace, "before")).await;
    assert!(silent.is_err(), "a frozen API server answered: {silent:?}");
    plane.thaw_api_server();
    lap("freeze and thaw");

    plane.stop_api_server().await?;
    lap("stop the API server");
    let refused = exists(&namespace, "before").await;
    assert!(refused.is_err(), "a stopped API server answered: {refused:?}");
    plane.start_api_server().await?;
    lap("start the API server");
    assert!(exists(&namespace, "after").await?);

    plane.etcd_restore(&snapshot).await?;
    lap("restore");
    assert!(exists(&namespace, "before").await?);
    assert!(!exists(&namespace, "after").await?);

    plane.kill_api_server().await?;
    plane.start_api_server().await?;
    lap("kill and start the API server");
    assert!(exists(&namespace, "before").await?);

    let scratch = plane.scratch().path().to_path_buf();
    let servers = plane.processes()?;
    drop((namespace, plane));
    gone(&scratch, servers.into_iter().map(|(_, pid, _)| pid).collect()).await;
    lap("end");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn nothing_is_left_running_after_the_test_process_is_killed() -> anyhow::Result<()> {
    if std::env::var_os(VICTIM).is_some() {
        return play_the_victim().await;
    }
    let mut victim = Command::new(std::env::current_exe()?)
        .args(["--include-ignored", "--nocapture", "--exact"])
        .arg("harness_tests::planes::nothing_is_left_running_after_the_test_process_is_killed")
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()?;
    let output = victim.stdout.take().context("standard output is a pipe")?;
    let facts = tokio::task::spawn_blocking(move || {
        BufReader::new(output).lines().map_while(Result::ok).find_map(|line| {
            let (_, facts) = line.split_once("VICTIM ")?;
            Some(facts.to_owned())
        })
    })
    .await?
    .context("the victim ended without a word")?;
    let (scratch, pids): (String, Vec<u32>) = serde_json::from_str(&facts)?;
    assert_eq!(pids.len(), 3);
    assert!(Path::new(&scratch).exists());
    assert!(pids.iter().all(|pid| is_alive(*pid)), "{pids:?}");

    victim.kill()?;
    victim.wait()?;

    gone(Path::new(&scratch), pids).await;
    Ok(())
}

async fn play_the_victim() -> anyhow::Result<()> {
    let plane = ControlPlane::own().await?;
    let pids: Vec<u32> = plane.processes()?.into_iter().map(|(_, pid, _)| pid).collect();
    println!("VICTIM {}", serde_json::to_string(&(plane.scratch().path(), pids))?);
    std::future::pending().await
}

async fn gone(scratch: &Path, pids: Vec<u32>) {
    until(SOON, "all servers and the folder to be gone", async || {
        let left: Vec<_> = pids.iter().filter(|pid| is_alive(**pid)).collect();
        ensure!(left.is_empty(), "still there: {left:?}");
        ensure!(!scratch.exists(), "still there: {}", scratch.display());
        Ok(())
    })
    .await;
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "waited 5s for: the tide\nlast seen: 3 feet")]
async fn a_wait_in_vain_says_for_what_and_what_was_seen() {
    let mut feet = 0;
    until(Duration::from_secs(5), "the tide", async || {
        feet = 3.min(feet + 1);
        Err::<(), _>(anyhow!("{feet} feet"))
    })
    .await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "last seen: nothing: the first look did not return")]
async fn a_look_that_never_returns_ends_at_the_deadline_too() {
    until(Duration::from_secs(5), "godot", async || std::future::pending::<anyhow::Result<()>>().await).await;
}
