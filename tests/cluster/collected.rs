//! From `kubectl apply` to series: what a person sees of an account that is well.

use anyhow::ensure;
use serde_json::json;

use crate::harness::until;
use crate::scene::{PATIENCE, Scene, manifest, status};

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_that_is_applied_becomes_ready_and_is_collected() -> anyhow::Result<()> {
    let scene = Scene::new("collected").await?;
    let login = scene.cloud.credentials().remove(0);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "acme"},
        "stringData": {"username": login.username, "password": login.password},
    });
    let mut spec = scene.spec("acme");
    // Without it the username in the Secret stands for the namespace.
    spec["provider"]["alauda"].as_object_mut().unwrap().remove("namespace");
    let manifests = format!("{secret}\n---\n{}", manifest("acme", &spec));

    scene.namespace.apply(&manifests).await?.expect_ok();
    let wait = ["wait", "caas/acme", "--for=condition=Ready", "--timeout=200s"];
    let waited = scene.namespace.kubectl(&wait).await?.expect_ok();
    assert_eq!(waited.trim(), "caasaccount.caas-operator.io/acme condition met");

    let shown = scene.namespace.kubectl(&["get", "caas"]).await?.expect_ok();
    assert_eq!(words(&shown, 0), ["NAME", "PROVIDER", "READY", "REASON", "SERVICES", "INSTANCES", "AGE"]);
    assert_eq!(words(&shown, 1)[..6], ["acme", "alauda", "True", "Collected", "2", "4"]);
    let shown = scene.namespace.kubectl(&["get", "caas", "-o", "wide"]).await?.expect_ok();
    assert_eq!(words(&shown, 0)[7..], ["ENDPOINT", "MESSAGE"]);
    assert_eq!(words(&shown, 1)[7], scene.cloud.url());
    assert!(shown.contains("The account is collected and its metrics are served."), "{shown}");

    let told = status(&scene.namespace, "acme").await?;
    assert_eq!(told.observed_generation, Some(1));
    let path = told.metrics_path.unwrap_or_default();
    assert_eq!(path, format!("/accounts/{}/acme/metrics", scene.namespace.name()));
    let types: Vec<&str> = told.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types, ["Collecting", "CredentialsReady", "Ready", "ServiceMonitorReady"]);

    let (code, body) = scene.operator.scrape(&path).await?;
    assert_eq!(code, 200);
    let namespace = scene.namespace.name();
    let up = format!("caas_account_up{{account_namespace=\"{namespace}\",account=\"acme\"}} 1");
    assert!(body.contains(&up), "{body}");
    for family in ["caas_instance_cpu_usage_seconds_total", "caas_instance_memory_usage_bytes"] {
        let series = body.lines().filter(|line| line.starts_with(family)).count();
        assert_eq!(series, 4, "{family}: {body}");
    }

    scene.namespace.kubectl(&["delete", "caas", "acme"]).await?.expect_ok();
    until(PATIENCE, "the series to be gone", async || {
        let (code, _) = scene.operator.scrape(&path).await?;
        ensure!(code == 404, "{code}");
        Ok(())
    })
    .await;
    until(PATIENCE, "the ServiceMonitor to be gone", async || {
        let monitors = scene.namespace.kubectl(&["get", "servicemonitors", "-o", "name"]).await?.expect_ok();
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
