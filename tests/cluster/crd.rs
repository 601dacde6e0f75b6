//! The CaasAccount CRD differs from the program's, or is removed.

use anyhow::{Context, ensure};
use caas_operator::cloud::Providers;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use crate::fixture::{DEADLINE, Fixture, manifest};
use crate::harness::{ControlPlane, until};

/// Makes the CRD accept anything.
async fn loosen(plane: &ControlPlane) -> anyhow::Result<()> {
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let schema = "/spec/versions/0/schema/openAPIV3Schema";
    let patch = json!([{"op": "replace", "path": schema, "value": anything}]).to_string();
    let name = "caasaccounts.caas-operator.io";
    plane.kubectl(&["patch", "crd", name, "--type=json", "--patch", &patch]).await?.expect_ok();
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_object_that_cannot_be_read_costs_itself_only() -> anyhow::Result<()> {
    let plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    plane.install_service_monitors().await?;
    let fixture = Fixture::new(plane.namespace("unreadable").await?).await?;
    let operator = fixture.start_operator().await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    assert_eq!(fixture.named_on(&operator, "acme").await?, ["/", "/accounts", "/sd", "/metrics"]);

    loosen(&plane).await?;
    let kind = GroupVersionKind::gvk("caas-operator.io", "v1alpha1", "CaasAccount");
    let resource = ApiResource::from_gvk(&kind);
    let anything: Api<DynamicObject> =
        Api::namespaced_with(fixture.namespace.client(), fixture.namespace.name(), &resource);
    let params = PatchParams::apply("caas-operator-tests").force();
    let write = async |name: &str, spec: Value| {
        anything.patch(name, &params, &Patch::Apply(manifest(name, &spec))).await
    };
    let broken = json!({"provider": 7, "credentials": ["a list"]});
    until(DEADLINE, "the looser CRD to accept a broken object", async || {
        Ok(write("broken", broken.clone()).await.map(drop)?)
    })
    .await;
    let refused = |name: &str| format!("account={}/{name} ", fixture.namespace.name());
    until(DEADLINE, "the log to say so", async || {
        let logs = operator.logs();
        ensure!(
            logs.lines().any(|line| line.contains("cannot be read") && line.contains(&refused("broken")))
        );
        Ok(())
    })
    .await;

    fixture.account("later").await?;
    fixture.until_ready("later").await;
    fixture.until_scraped(&operator, "acme", 200).await;
    assert_eq!(operator.health("/readyz").await?.0, 200);

    // One that could be read, and then cannot, is not collected any more; nor does it stop a new start.
    let forced = json!({"spec": {"provider": {"alauda": null}}});
    anything.patch("acme", &PatchParams::default(), &Patch::Merge(forced)).await?;
    fixture.until_nothing_left(&operator, "acme").await;
    drop(operator);
    let operator = fixture.start_operator().await?;
    fixture.until_scraped(&operator, "later", 200).await;
    fixture.until_nothing_left(&operator, "acme").await;

    for name in ["broken", "acme"] {
        anything.delete(name, &kube::api::DeleteParams::default()).await?;
    }
    until(DEADLINE, "the ServiceMonitor of the deleted account to go", async || {
        ensure!(fixture.monitors().get_opt("caas-acme").await?.is_none(), "it still exists");
        Ok(())
    })
    .await;
    // What comes after them in the watch is known, and so are their deletions.
    fixture.account("last").await?;
    fixture.until_ready("last").await;
    for name in ["broken", "acme"] {
        fixture.until_nothing_left(&operator, name).await;
        fixture.account(name).await?;
        fixture.until_ready(name).await;
        fixture.until_scraped(&operator, name, 200).await;
    }
    let readable = json!({"spec": {"provider": 7}});
    anything.patch("later", &PatchParams::default(), &Patch::Merge(readable)).await?;
    fixture.until_scraped(&operator, "later", 404).await;
    write("later", fixture.spec("later", json!({}))).await?;
    fixture.until_scraped(&operator, "later", 200).await;
    Ok(())
}

/// Our CRD while the words of its metrics were in lower case.
fn former_crd() -> anyhow::Result<String> {
    let mut crd = serde_json::to_value(caas_operator::api::crd(Providers::ALL))?;
    let metrics = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/metrics";
    let metrics = crd.pointer_mut(metrics).context("a schema")?;
    *metrics = serde_json::from_str(
        &["Modern", "Legacy", "Both", "None", "Source"]
            .into_iter()
            .fold(metrics.to_string(), |text, word| {
                text.replace(&format!("\"{word}\""), &format!("\"{}\"", word.to_lowercase()))
            }),
    )?;
    Ok(crd.to_string())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_stored_with_words_in_lower_case_is_collected_as_before() -> anyhow::Result<()> {
    let plane = ControlPlane::own().await?;
    plane.apply(&former_crd()?).await?;
    let fixture = Fixture::new(plane.namespace("former").await?).await?;
    let spec = json!({"metrics": {"names": "both"}, "serviceMonitor": {"mode": "Never"}});
    until(DEADLINE, "the former CRD to take an account", async || {
        let ran = fixture
            .namespace
            .apply(&manifest("acme", &fixture.spec("acme", spec.clone())).to_string())
            .await?;
        ensure!(ran.ok, "{}", ran.stderr);
        Ok(())
    })
    .await;
    fixture.namespace.apply(&fixture.secret("acme").to_string()).await?.expect_ok();
    plane.install_our_crds().await?;
    until(DEADLINE, "the words to be refused", async || {
        let (name, spec) = ("other", fixture.spec("acme", spec.clone()));
        let refused = fixture.namespace.apply(&manifest(name, &spec).to_string()).await?;
        ensure!(!refused.ok && refused.stderr.contains("\"Both\""), "{}", refused.stderr);
        Ok(())
    })
    .await;

    let operator = fixture.start_operator().await?;
    fixture.until_ready("acme").await;
    let (code, body) = operator.scrape(&format!("{}/legacy", fixture.path("acme"))).await?;
    assert!(code == 200 && body.contains("memory_usage{"), "{code}: {body}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_crd_that_is_deleted_and_installed_again_needs_no_restart() -> anyhow::Result<()> {
    let plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    let fixture = Fixture::new(plane.namespace("uninstalled").await?).await?;
    let mut operator = fixture.start_operator().await?;
    let spec = json!({"serviceMonitor": {"mode": "Never"}});
    fixture.account_with("acme", spec.clone()).await?;
    fixture.until_ready("acme").await;

    // `kubectl delete` waits: it would not end if an object hung on a finalizer.
    plane.kubectl(&["delete", "crd", "caasaccounts.caas-operator.io", "--timeout=200s"]).await?.expect_ok();
    fixture.until_scraped(&operator, "acme", 404).await;
    assert_eq!(operator.health("/readyz").await?.0, 200);
    until(DEADLINE, "the watch to meet the missing CRD", async || {
        ensure!(operator.logs().contains("the watch of CaasAccounts is interrupted"));
        Ok(())
    })
    .await;

    plane.install_our_crds().await?;
    fixture.account_with("acme", spec).await?;
    fixture.until_ready("acme").await;
    fixture.until_scraped(&operator, "acme", 200).await;
    assert_eq!(operator.exited()?, None);
    Ok(())
}
