//! Accounts that are deleted, created again, suspended, or share a cloud.

use anyhow::{Context, ensure};
use caas_operator::simulator::{AccountSettings, Settings, Simulator};
use k8s_openapi::api::core::v1::Namespace as NamespaceObject;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::harness::{ControlPlane, Operator, OperatorOptions, until};
use crate::operator_fixture::{self, DEADLINE, OperatorFixture, cloud, login, spec, status};

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn made_again_under_the_same_name_an_account_knows_nothing_of_the_one_before() -> anyhow::Result<()> {
    let fixture = OperatorFixture::new("again").await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    let accounts = vec![AccountSettings { services: 3, instances: 1, ..AccountSettings::new("acme") }];
    let other = Simulator::start(Settings { accounts, seed: 2, ..Settings::default() }).await?;
    other.set_fault("all:hang".parse()?)?;
    let mut spec = spec(&other, "acme");
    spec["collection"]["requestTimeout"] = json!("1m");

    fixture.delete("acme").await?;
    fixture.put("acme", spec).await?;
    fixture.secret("acme", &login(&other)).await?;
    until(DEADLINE, "the new object to be looked after", async || {
        ensure!(other.counts().in_flight > 0, "its cloud has no request");
        status(&fixture.namespace, "acme").await
    })
    .await;

    let (code, body) = fixture.metrics("acme").await?;
    assert_eq!(code, 503, "{body}");
    let found = status(&fixture.namespace, "acme").await?;
    assert_eq!((found.services, found.instances), (None, None));
    assert!(found.conditions.iter().all(|condition| condition.reason != "Collected"), "{found:?}");

    other.clear_faults();
    fixture.patch("acme", json!({"spec": {"collection": {"requestTimeout": "10s"}}})).await?;
    fixture.until_ready("acme").await;
    let found = status(&fixture.namespace, "acme").await?;
    assert_eq!((found.services, found.instances), (Some(3), Some(3)));
    let (_, body) = fixture.metrics("acme").await?;
    assert_eq!(body.lines().filter(|line| line.starts_with("caas_service_info{")).count(), 3, "{body}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn deleted_during_a_cycle_an_account_is_gone_at_once_and_for_good() -> anyhow::Result<()> {
    let fixture = OperatorFixture::new("mid-cycle").await?;
    let slow = cloud().await?;
    fixture.account("other").await?;
    fixture.secret("acme", &login(&slow)).await?;
    let mut spec = spec(&slow, "acme");
    spec["collection"]["requestTimeout"] = json!("5m");
    fixture.put("acme", spec).await?;
    fixture.until_ready("acme").await;
    slow.set_fault("services:hang".parse()?)?;
    until(DEADLINE, "a cycle that hangs", async || {
        ensure!(slow.counts().in_flight > 0, "none");
        Ok(())
    })
    .await;

    fixture.delete("acme").await?;
    until(DEADLINE, "the series to be gone, and the request", async || {
        let (code, _) = fixture.metrics("acme").await?;
        ensure!(code == 404, "{code}");
        let counts = slow.counts();
        ensure!(counts.in_flight == 0, "{counts:?}");
        Ok(())
    })
    .await;
    let requests = slow.counts().total;
    slow.clear_faults();
    fixture.until_cycles(3).await;
    assert_eq!(slow.counts().total, requests, "a deleted account sends no more requests");
    assert_eq!(fixture.metrics("acme").await?.0, 404);
    assert_eq!(fixture.accounts().get_opt("acme").await?, None);
    let (_, own) = fixture.operator.scrape("/metrics").await?;
    assert!(!own.contains("account=\"acme\""), "{own}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn deleted_while_their_secret_is_read_accounts_are_never_collected() -> anyhow::Result<()> {
    let fixture = OperatorFixture::new("mid-read").await?;
    fixture.secret("acme", &login(&fixture.cloud)).await?;
    // Far more than the Secret reads allowed per second, so some are queued.
    let made = (0..60).map(|number| {
        let fixture = &fixture;
        async move { fixture.put(&format!("short-lived-{number}"), fixture.spec("acme")).await }
    });
    futures::future::try_join_all(made).await?;
    until(DEADLINE, "the first to be collected", async || {
        let (_, listed) = fixture.operator.scrape("/accounts").await?;
        ensure!(listed.contains("\"Collected\""), "{listed}");
        Ok(())
    })
    .await;
    let everyone = (&DeleteParams::default(), &ListParams::default());
    fixture.accounts().delete_collection(everyone.0, everyone.1).await?;
    until(DEADLINE, "the accounts to be gone", async || {
        let left = fixture.accounts().list(&ListParams::default()).await?.items.len();
        ensure!(left == 0, "{left} left");
        Ok(())
    })
    .await;
    // Its Secret is read after theirs.
    fixture.put("last", fixture.spec("acme")).await?;
    fixture.until_ready("last").await;

    let (_, listed) = fixture.operator.scrape("/accounts").await?;
    let listed: Value = serde_json::from_str(&listed)?;
    let names: Vec<_> =
        listed["accounts"].as_array().context("a list")?.iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["last"]);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_namespace_goes_with_its_accounts_and_the_others_stay() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let (leaving, staying) = (plane.namespace("leaving").await?, plane.namespace("staying").await?);
    let cloud = cloud().await?;
    let options = OperatorOptions {
        namespaces: vec![leaving.name().to_owned(), staying.name().to_owned()],
        ..OperatorOptions::default()
    };
    let operator = Operator::start(plane, options).await?;
    for namespace in [&leaving, &staying] {
        operator_fixture::secret(namespace, "acme", &login(&cloud)).await?;
        operator_fixture::put(namespace, "acme", spec(&cloud, "acme")).await?;
    }
    for namespace in [&leaving, &staying] {
        operator_fixture::until_reason(namespace, "acme", "Ready", "Collected").await;
    }

    leaving.delete().await?;
    let namespaces: Api<NamespaceObject> = Api::all(plane.client().await?);
    until(DEADLINE, "the namespace to be gone", async || {
        let left = namespaces.get_opt(leaving.name()).await?;
        ensure!(left.is_none(), "{:?}", left.and_then(|it| it.status));
        Ok(())
    })
    .await;
    let path = |namespace: &str| format!("/accounts/{namespace}/acme/metrics");
    until(DEADLINE, "the series to be gone", async || {
        let (code, _) = operator.scrape(&path(leaving.name())).await?;
        ensure!(code == 404, "{code}");
        Ok(())
    })
    .await;
    assert_eq!(operator.scrape(&path(staying.name())).await?.0, 200);
    assert_eq!(operator.health("/readyz").await?.0, 200);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_suspended_account_rests_until_it_is_resumed() -> anyhow::Result<()> {
    let fixture = OperatorFixture::new("suspend").await?;
    let own = cloud().await?;
    fixture.account("other").await?;
    fixture.secret("acme", &login(&own)).await?;
    fixture.put("acme", spec(&own, "acme")).await?;
    fixture.until_ready("acme").await;

    fixture.patch("acme", json!({"spec": {"suspend": true}})).await?;
    fixture.until_reason("acme", "Ready", "Suspended").await;
    fixture.until_reason("acme", "ServiceMonitorReady", "Disabled").await;
    assert_eq!(fixture.metrics("acme").await?.0, 503);
    // Waiting for a rollout ends: with kubectl, and with tools such as Flux that compare the generations and read Ready.
    fixture
        .namespace
        .kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "caas/acme"])
        .await?
        .expect_ok();
    let account = fixture.accounts().get("acme").await?;
    let status = account.status.context("a status")?;
    assert_eq!(status.observed_generation, account.metadata.generation);
    let ready =
        status.conditions.iter().find(|condition| condition.type_ == "Ready").context("it is ready")?;
    assert_eq!((ready.status.as_str(), ready.observed_generation), ("True", status.observed_generation));
    let monitor = ["get", "servicemonitor", "caas-acme", "-o", "name"];
    assert!(!fixture.namespace.kubectl(&monitor).await?.ok);
    // A request may have been under way.
    fixture.until_cycles(1).await;
    let requests = own.counts().total;
    fixture.until_cycles(3).await;
    assert_eq!(own.counts().total, requests, "a suspended account sends no requests");

    fixture.patch("acme", json!({"spec": {"suspend": false}})).await?;
    fixture.until_ready("acme").await;
    assert_eq!(fixture.metrics("acme").await?.0, 200);
    fixture.namespace.kubectl(&monitor).await?.expect_ok();
    let events = fixture.events("acme").await?;
    assert!(events.iter().any(|(kind, reason, _)| kind == "Normal" && reason == "Suspended"), "{events:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn two_accounts_of_one_cloud_account_both_work_and_the_second_is_warned() -> anyhow::Result<()> {
    let fixture = OperatorFixture::new("twins").await?;
    fixture.account("first").await?;
    fixture.until_ready("first").await;
    fixture.account("second").await?;
    fixture.until_ready("second").await;
    for name in ["first", "second"] {
        let (code, body) = fixture.metrics(name).await?;
        assert_eq!(code, 200);
        let series = body.lines().filter(|line| line.starts_with("caas_instance_info{")).count();
        assert_eq!(series, 4, "{body}");
    }
    until(DEADLINE, "the warning", async || {
        let events = fixture.events("second").await?;
        let warning = ("Warning".to_owned(), "SharedCloudAccount".to_owned(), 1);
        ensure!(events.contains(&warning), "{events:?}");
        Ok(())
    })
    .await;
    Ok(())
}
