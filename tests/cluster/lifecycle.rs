//! Accounts that go, come again, rest, and share a cloud.

use anyhow::{Context, ensure};
use caas_operator::simulator::{AccountSettings, Settings, Simulator};
use k8s_openapi::api::core::v1::Namespace as NamespaceObject;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::harness::{ControlPlane, Operator, OperatorOptions, until};
use crate::scene::{self, PATIENCE, Scene, cloud, login, spec, status};

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn made_again_under_the_same_name_an_account_knows_nothing_of_the_one_before() -> anyhow::Result<()> {
    let scene = Scene::new("again").await?;
    scene.account("acme").await?;
    scene.until_ready("acme").await;
    let accounts = vec![AccountSettings { services: 3, instances: 1, ..AccountSettings::new("acme") }];
    let other = Simulator::start(Settings { accounts, seed: 2, ..Settings::default() }).await?;
    other.set_fault("all:hang".parse()?)?;
    let mut spec = spec(&other, "acme");
    spec["collection"]["requestTimeout"] = json!("1m");

    scene.delete("acme").await?;
    scene.put("acme", spec).await?;
    scene.secret("acme", &login(&other)).await?;
    until(PATIENCE, "the new object to be looked after", async || {
        ensure!(other.counts().in_flight > 0, "its cloud is not asked");
        status(&scene.namespace, "acme").await
    })
    .await;

    let (code, body) = scene.metrics("acme").await?;
    assert_eq!(code, 503, "{body}");
    let told = status(&scene.namespace, "acme").await?;
    assert_eq!((told.services, told.instances), (None, None));
    assert!(told.conditions.iter().all(|condition| condition.reason != "Collected"), "{told:?}");

    other.clear_faults();
    scene.patch("acme", json!({"spec": {"collection": {"requestTimeout": "10s"}}})).await?;
    scene.until_ready("acme").await;
    let told = status(&scene.namespace, "acme").await?;
    assert_eq!((told.services, told.instances), (Some(3), Some(3)));
    let (_, body) = scene.metrics("acme").await?;
    assert_eq!(body.lines().filter(|line| line.starts_with("caas_service_info{")).count(), 3, "{body}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn deleted_during_a_cycle_an_account_is_gone_at_once_and_for_good() -> anyhow::Result<()> {
    let scene = Scene::new("mid-cycle").await?;
    let slow = cloud().await?;
    scene.account("other").await?;
    scene.secret("acme", &login(&slow)).await?;
    let mut spec = spec(&slow, "acme");
    spec["collection"]["requestTimeout"] = json!("5m");
    scene.put("acme", spec).await?;
    scene.until_ready("acme").await;
    slow.set_fault("services:hang".parse()?)?;
    until(PATIENCE, "a cycle that hangs", async || {
        ensure!(slow.counts().in_flight > 0, "none");
        Ok(())
    })
    .await;

    scene.delete("acme").await?;
    until(PATIENCE, "the series to be gone, and the request", async || {
        let (code, _) = scene.metrics("acme").await?;
        ensure!(code == 404, "{code}");
        let counts = slow.counts();
        ensure!(counts.in_flight == 0, "{counts:?}");
        Ok(())
    })
    .await;
    let asked = slow.counts().total;
    slow.clear_faults();
    scene.until_cycles(3).await;
    assert_eq!(slow.counts().total, asked, "the cloud of a deleted account is asked no more");
    assert_eq!(scene.metrics("acme").await?.0, 404);
    assert_eq!(scene.accounts().get_opt("acme").await?, None);
    let (_, own) = scene.operator.scrape("/metrics").await?;
    assert!(!own.contains("account=\"acme\""), "{own}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn deleted_while_their_secret_is_read_accounts_are_never_collected() -> anyhow::Result<()> {
    let scene = Scene::new("mid-read").await?;
    scene.secret("acme", &login(&scene.cloud)).await?;
    // Far more than the reads of Secrets that are let through in a second, so that some wait for their turn.
    let made = (0..60).map(|number| {
        let scene = &scene;
        async move { scene.put(&format!("short-lived-{number}"), scene.spec("acme")).await }
    });
    futures::future::try_join_all(made).await?;
    until(PATIENCE, "the first to be collected", async || {
        let (_, listed) = scene.operator.scrape("/accounts").await?;
        ensure!(listed.contains("\"Collected\""), "{listed}");
        Ok(())
    })
    .await;
    let everyone = (&DeleteParams::default(), &ListParams::default());
    scene.accounts().delete_collection(everyone.0, everyone.1).await?;
    until(PATIENCE, "the accounts to be gone", async || {
        let left = scene.accounts().list(&ListParams::default()).await?.items.len();
        ensure!(left == 0, "{left} left");
        Ok(())
    })
    .await;
    // Its turn comes after theirs.
    scene.put("last", scene.spec("acme")).await?;
    scene.until_ready("last").await;

    let (_, listed) = scene.operator.scrape("/accounts").await?;
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
        scene::secret(namespace, "acme", &login(&cloud)).await?;
        scene::put(namespace, "acme", spec(&cloud, "acme")).await?;
    }
    for namespace in [&leaving, &staying] {
        scene::until_reason(namespace, "acme", "Ready", "Collected").await;
    }

    leaving.delete().await?;
    let namespaces: Api<NamespaceObject> = Api::all(plane.client().await?);
    until(PATIENCE, "the namespace to be gone", async || {
        let left = namespaces.get_opt(leaving.name()).await?;
        ensure!(left.is_none(), "{:?}", left.and_then(|it| it.status));
        Ok(())
    })
    .await;
    let path = |namespace: &str| format!("/accounts/{namespace}/acme/metrics");
    until(PATIENCE, "the series to be gone", async || {
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
    let scene = Scene::new("suspend").await?;
    let own = cloud().await?;
    scene.account("other").await?;
    scene.secret("acme", &login(&own)).await?;
    scene.put("acme", spec(&own, "acme")).await?;
    scene.until_ready("acme").await;

    scene.patch("acme", json!({"spec": {"suspend": true}})).await?;
    scene.until_reason("acme", "Ready", "Suspended").await;
    scene.until_reason("acme", "ServiceMonitorReady", "Disabled").await;
    assert_eq!(scene.metrics("acme").await?.0, 503);
    let monitor = ["get", "servicemonitor", "caas-acme", "-o", "name"];
    assert!(!scene.namespace.kubectl(&monitor).await?.ok);
    // A request may have been under way.
    scene.until_cycles(1).await;
    let asked = own.counts().total;
    scene.until_cycles(3).await;
    assert_eq!(own.counts().total, asked, "a suspended account is asked nothing");

    scene.patch("acme", json!({"spec": {"suspend": false}})).await?;
    scene.until_ready("acme").await;
    assert_eq!(scene.metrics("acme").await?.0, 200);
    scene.namespace.kubectl(&monitor).await?.expect_ok();
    let events = scene.events("acme").await?;
    assert!(events.iter().any(|(kind, reason, _)| kind == "Normal" && reason == "Suspended"), "{events:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn two_accounts_of_one_cloud_account_both_work_and_the_second_is_warned() -> anyhow::Result<()> {
    let scene = Scene::new("twins").await?;
    scene.account("first").await?;
    scene.until_ready("first").await;
    scene.account("second").await?;
    scene.until_ready("second").await;
    for name in ["first", "second"] {
        let (code, body) = scene.metrics(name).await?;
        assert_eq!(code, 200);
        let series = body.lines().filter(|line| line.starts_with("caas_instance_info{")).count();
        assert_eq!(series, 4, "{body}");
    }
    until(PATIENCE, "the warning", async || {
        let events = scene.events("second").await?;
        let warning = ("Warning".to_owned(), "SharedCloudAccount".to_owned(), 1);
        ensure!(events.contains(&warning), "{events:?}");
        Ok(())
    })
    .await;
    Ok(())
}
