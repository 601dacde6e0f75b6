//! A Secret is deleted and created again, or may not be read for a moment: one reading more decides whether it is lost.

use anyhow::ensure;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams};
use serde_json::json;

use crate::fixture::{DEADLINE, Fixture};
use crate::harness::{ControlPlane, Fault, Operator, OperatorOptions, Proxy, Times, until};

/// Waits until this many reads of the Secret of `acme` were answered with this code since the first `before` calls.
async fn answered(fixture: &Fixture, proxy: &Proxy, before: usize, code: u16, times: usize) {
    until(DEADLINE, &format!("{times} reads answered with {code}"), async || {
        let seen = proxy.seen(&fixture.call("get", "secrets", "acme"));
        let answered = seen.iter().skip(before).filter(|seen| seen.code == Some(code)).count();
        ensure!(answered >= times, "{answered} so far");
        Ok(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_secret_that_is_replaced_ends_no_series_and_one_that_is_gone_does() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let fixture = Fixture::new(plane.namespace("replaced").await?).await?;
    let proxy = Proxy::start(plane).await?;
    let mut options = fixture.options();
    options.args.push("--watch-secrets".to_owned());
    let kubeconfig = Some(proxy.kubeconfig(&plane.admin()?)?);
    let operator = Operator::start(plane, OperatorOptions { kubeconfig, ..options }).await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    let reads = || proxy.count(&fixture.call("get", "secrets", "acme"));
    let secrets: Api<Secret> = fixture.namespace.api();
    let lost = async || -> anyhow::Result<usize> {
        let events = fixture.events("acme").await?;
        Ok(events.keys().filter(|reason| reason.starts_with("Secret")).count())
    };

    // It is created again before the second reading.
    let before = reads();
    secrets.delete("acme", &DeleteParams::default()).await?;
    answered(&fixture, &proxy, before, 404, 1).await;
    assert_eq!(operator.scrape(&fixture.path("acme")).await?.0, 200);
    fixture.namespace.apply(&fixture.secret("acme").to_string()).await?.expect_ok();
    answered(&fixture, &proxy, before, 200, 1).await;

    // Its RBAC is replaced.
    let before = reads();
    proxy.inject(fixture.call("get", "secrets", "acme"), Fault::forbidden(), Times::Next(1));
    fixture.patch("acme", json!({"spec": {"metrics": {"maxSeries": 1000}}})).await?;
    answered(&fixture, &proxy, before, 403, 1).await;
    answered(&fixture, &proxy, before, 200, 1).await;
    fixture.until_cycles(2).await;
    assert_eq!((operator.scrape(&fixture.path("acme")).await?.0, lost().await?), (200, 0));

    // It stays away.
    let before = reads();
    secrets.delete("acme", &DeleteParams::default()).await?;
    fixture.until_reason("acme", "CredentialsReady", "SecretNotFound").await;
    fixture.until_scraped(&operator, "acme", 503).await;
    answered(&fixture, &proxy, before, 404, 2).await;
    Ok(())
}
