//! From `kubectl apply` to series: what a user sees of a healthy account.

use anyhow::ensure;
use serde_json::json;

use crate::harness::until;
use crate::operator_fixture::{DEADLINE, OperatorFixture, manifest, status};

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_that_is_applied_becomes_ready_and_is_collected() -> anyhow::Result<()> {
    let fixture = OperatorFixture::new("collected").await?;
    let login = fixture.cloud.credentials().remove(0);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "acme"},
        "stringData": {"username": login.username, "password": login.password},
    });
    let mut spec = fixture.spec("acme");
    // Without it the Secret's username is the namespace.
    spec["provider"]["alauda"].as_object_mut().unwrap().remove("namespace");
    let manifests = format!("{secret}\n---\n{}", manifest("acme", &spec));

    fixture.namespace.apply(&manifests).await?.expect_ok();
    let wait = ["wait", "caas/acme", "--for=condition=Ready", "--timeout=200s"];
    let waited = fixture.namespace.kubectl(&wait).await?.expect_ok();
    assert_eq!(waited.trim(), "caasaccount.caas-operator.io/acme condition met");

    let shown = fixture.namespace.kubectl(&["get", "caas"]).await?.expect_ok();
    let columns = ["NAME", "PROVIDER", "READY", "REASON", "SERVICES", "INSTANCES", "LAST", "SUCCESS", "AGE"];
    assert_eq!(words(&shown, 0), columns);
    assert_eq!(words(&shown, 1)[..6], ["acme", "alauda", "True", "Collected", "2", "4"]);
    let shown = fixture.namespace.kubectl(&["get", "caas", "-o", "wide"]).await?.expect_ok();
    assert_eq!(words(&shown, 0)[9..], ["ENDPOINT", "MESSAGE"]);
    assert_eq!(words(&shown, 1)[8], fixture.cloud.url());
    assert!(shown.contains("The account is collected and its metrics are served."), "{shown}");

    let status = status(&fixture.namespace, "acme").await?;
    assert_eq!(status.observed_generation, Some(1));
    let path = status.metrics_path.unwrap_or_default();
    assert_eq!(path, format!("/accounts/{}/acme/metrics", fixture.namespace.name()));
    let types: Vec<&str> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types, ["Collecting", "CredentialsReady", "Ready", "ServiceMonitorReady"]);

    let (code, body) = fixture.operator.scrape(&path).await?;
    assert_eq!(code, 200);
    let namespace = fixture.namespace.name();
    let up = format!("caas_account_up{{account_namespace=\"{namespace}\",account=\"acme\"}} 1");
    assert!(body.contains(&up), "{body}");
    for family in ["caas_instance_cpu_usage_seconds_total", "caas_instance_memory_usage_bytes"] {
        let series = body.lines().filter(|line| line.starts_with(family)).count();
        assert_eq!(series, 4, "{family}: {body}");
    }

    fixture.namespace.kubectl(&["delete", "caas", "acme"]).await?.expect_ok();
    until(DEADLINE, "the series to be gone", async || {
        let (code, _) = fixture.operator.scrape(&path).await?;
        ensure!(code == 404, "{code}");
        Ok(())
    })
    .await;
    until(DEADLINE, "the ServiceMonitor to be gone", async || {
        let monitors =
            fixture.namespace.kubectl(&["get", "servicemonitors", "-o", "name"]).await?.expect_ok();
        ensure!(monitors.is_empty(), "{monitors}");
        Ok(())
    })
    .await;
    Ok(())
}

/// The words of a line.
fn words(text: &str, line: usize) -> Vec<&str> {
    text.lines().nth(line).unwrap_or_default().split_whitespace().collect()
}
