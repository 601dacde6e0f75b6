//! The operator stops and starts again: no scrape is cut off, and a restart writes nothing about any account.

use std::time::Duration;

use anyhow::{Context, ensure};
use caas_operator::simulator::{AccountSettings, Settings};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::fixture::{DEADLINE, Fixture};
use crate::harness::{Calls, ControlPlane, Fault, Operator, OperatorOptions, Proxy, Times, until};

/// Kubernetes' own time from SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(30);

/// A scrape whose reader takes its time: the answer is under way, and most of it waits for the reader.
async fn slow_scrape(operator: &Operator, path: &str) -> anyhow::Result<TcpStream> {
    let address = operator.url().trim_start_matches("http://").parse()?;
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut stream = socket.connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: operator\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut first = [0_u8; 15];
    stream.read_exact(&mut first).await?;
    ensure!(first.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&first));
    Ok(stream)
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn on_sigterm_readiness_goes_first_and_a_scrape_under_way_is_finished() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let accounts = vec![AccountSettings { services: 20, instances: 25, ..AccountSettings::new("acme") }];
    let settings = Settings { accounts, ..Settings::default() };
    let fixture = Fixture::with(plane.namespace("sigterm").await?, settings).await?;
    let proxy = Proxy::start(plane).await?;
    let kubeconfig = Some(proxy.kubeconfig(&plane.admin()?)?);
    let mut operator = Operator::start(plane, OperatorOptions { kubeconfig, ..fixture.options() }).await?;
    fixture.account_with("acme", json!({"collection": {"requestsPerSecond": 1000}})).await?;
    fixture.until_ready("acme").await;
    let (_, whole) = operator.scrape(&fixture.path("acme")).await?;
    assert!(whole.len() > 500_000, "{} bytes wait nowhere", whole.len());

    // A write under way keeps the operator from ending at once.
    let waiting = fixture.call("patch", "caasaccounts.caas-operator.io/status", "other");
    proxy.inject(waiting.clone(), Fault::Hang, Times::Always);
    fixture.account("other").await?;
    until(DEADLINE, "a write that waits", async || {
        ensure!(proxy.count(&waiting) > 0, "none yet");
        Ok(())
    })
    .await;
    let mut scrape = slow_scrape(&operator, &fixture.path("acme")).await?;
    operator.signal("TERM");

    until(DEADLINE, "readiness to go", async || {
        let (code, body) = operator.health("/readyz").await?;
        ensure!(code == 503 && body.contains("shutting down"), "{code} {body}");
        Ok(())
    })
    .await;
    assert_eq!(
        operator.scrape(&fixture.path("acme")).await?.0,
        200,
        "a client that still sends requests here is still served"
    );
    let mut rest = Vec::new();
    scrape.read_to_end(&mut rest).await?;
    let rest = String::from_utf8(rest)?;
    let (head, body) = rest.split_once("\r\n\r\n").context("a head and a body")?;
    let length =
        head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    assert_eq!(Some(body.len()), length, "cut off");
    // A second signal would end it at once.
    let code = until(GRACE, "the end", async || operator.exited()?.context("it still runs")).await;
    assert_eq!(code, 0);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_api_server_that_answers_nothing_does_not_keep_the_operator_from_ending() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let fixture = Fixture::new(plane.namespace("hung-stop").await?).await?;
    let proxy = Proxy::start(plane).await?;
    let kubeconfig = Some(proxy.kubeconfig(&plane.admin()?)?);
    let mut operator = Operator::start(plane, OperatorOptions { kubeconfig, ..fixture.options() }).await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    proxy.inject(Calls::all(), Fault::Hang, Times::Always);
    // A changed spec may name another Secret, so that is read first.
    let reads = fixture.calls("get", "secrets");
    let before = proxy.count(&reads);
    fixture.patch("acme", json!({"spec": {"serviceMonitor": {"mode": "Never"}}})).await?;
    until(DEADLINE, "a call that waits", async || {
        ensure!(proxy.count(&reads) > before, "none yet");
        Ok(())
    })
    .await;
    assert_eq!(operator.stop(GRACE).await?, 0);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn after_a_crash_the_next_pod_takes_over_and_a_restart_writes_nothing() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let fixture = Fixture::new(plane.namespace("crash").await?).await?;
    let mut operator = fixture.start_operator().await?;
    let nowhere =
        json!({"provider": {"alauda": {"endpoint": "http://127.0.0.1:9/v1/", "namespace": "acme"}}});
    fixture.account("acme").await?;
    fixture.account("doomed").await?;
    fixture.account_with("unreachable", nowhere).await?;
    fixture.account_with("rejected", json!({"provider": {"alauda": {"namespace": "acme-too"}}})).await?;
    fixture
        .namespace
        .apply(
            &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "rejected"},
        "stringData": {"username": "acme", "password": "wrong"}})
            .to_string(),
        )
        .await?
        .expect_ok();
    fixture.until_ready("acme").await;
    fixture.until_ready("doomed").await;
    fixture.until_reason("unreachable", "Ready", "CloudUnreachable").await;
    fixture.until_reason("rejected", "Ready", "LoginRejected").await;
    // Nothing is left to report once the duplicates were reported and the events have arrived.
    fixture.until_cycles(4).await;
    operator.kill().await?;

    let names = ["acme", "unreachable", "rejected"];
    let mut before = Vec::new();
    for name in names {
        before.push((fixture.accounts().get(name).await?.resource_version(), fixture.events(name).await?));
    }
    let monitors = async || -> anyhow::Result<Vec<String>> {
        let list = fixture.monitors().list(&ListParams::default()).await?;
        Ok(list.iter().map(|it| format!("{} {:?}", it.name_any(), it.resource_version())).collect())
    };
    fixture.delete("doomed").await?;
    let without = async || -> anyhow::Result<Vec<String>> {
        Ok(monitors().await?.into_iter().filter(|it| !it.starts_with("caas-doomed ")).collect())
    };
    let monitors_before = without().await?;

    let proxy = Proxy::start(plane).await?;
    let kubeconfig = Some(proxy.kubeconfig(&plane.admin()?)?);
    let operator = Operator::start(plane, OperatorOptions { kubeconfig, ..fixture.options() }).await?;
    fixture.until_scraped(&operator, "acme", 200).await;
    until(DEADLINE, "all three to be collected or refused again", async || {
        let (_, body) = operator.scrape("/accounts").await?;
        for word in ["Collected", "CloudUnreachable", "LoginRejected"] {
            ensure!(body.contains(word), "no {word} in {body}");
        }
        Ok(())
    })
    .await;
    fixture.until_cycles(3).await;
    let mut after = Vec::new();
    for name in names {
        after.push((fixture.accounts().get(name).await?.resource_version(), fixture.events(name).await?));
    }
    assert_eq!(after, before);
    assert_eq!(without().await?, monitors_before);
    for verb in ["create", "update", "patch", "delete"] {
        let written = proxy.seen(&fixture.calls(verb, "*"));
        assert!(written.is_empty(), "{written:?}");
    }
    assert_eq!(operator.scrape(&fixture.path("doomed")).await?.0, 404);

    fixture.account("later").await?;
    fixture.until_ready("later").await;
    let lists = proxy.count(&Calls::new("list", "*"));
    assert!(lists <= 4, "{lists} lists");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_outside_of_the_operators_namespaces_is_not_touched() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let mut fixtures = Vec::new();
    for hint in ["scope-a", "scope-b", "scope-c"] {
        fixtures.push(Fixture::new(plane.namespace(hint).await?).await?);
    }
    let proxy = Proxy::start(plane).await?;
    let options = OperatorOptions {
        namespaces: fixtures.iter().take(2).map(|fixture| fixture.namespace.name().to_owned()).collect(),
        kubeconfig: Some(proxy.kubeconfig(&plane.admin()?)?),
        ..OperatorOptions::default()
    };
    let operator = Operator::start(plane, options).await?;
    let outside = fixtures.last().context("three fixtures")?;
    outside.account("acme").await?;
    for fixture in fixtures.iter().take(2) {
        fixture.account("acme").await?;
        fixture.until_ready("acme").await;
        fixture.until_cycles(2).await;
        fixture.until_scraped(&operator, "acme", 200).await;
    }

    assert_eq!(outside.cloud.counts().total, 0);
    let status = outside.accounts().get("acme").await?.status;
    assert!(status.is_none_or(|status| status.conditions.is_empty()));
    assert_eq!(operator.scrape(&outside.path("acme")).await?.0, 404);
    assert_eq!(proxy.count(&outside.calls("*", "*")), 0);
    let everywhere = proxy.seen(&Calls::new("*", "*").of("/"));
    assert!(everywhere.iter().all(|seen| seen.request.verb == "get"), "{everywhere:?}");

    fixtures.first().context("a first")?.delete("acme").await?;
    fixtures.first().context("a first")?.until_scraped(&operator, "acme", 404).await;
    Ok(())
}
