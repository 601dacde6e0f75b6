//! The definition of CaasAccounts is another one than the program's, or goes away.

use anyhow::ensure;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use crate::harness::{ControlPlane, until};
use crate::stage::{PATIENCE, Stage, manifest};

/// Makes the definition one that takes anything.
async fn loosen(plane: &ControlPlane) -> anyhow::Result<()> {
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let schema = "/spec/versions/0/schema/openAPIV3Schema";
    let patch = json!([{"op": "replace", "path": schema, "value": anything}]).to_string();
    let definition = "caasaccounts.caas-operator.io";
    plane.kubectl(&["patch", "crd", definition, "--type=json", "--patch", &patch]).await?.expect_ok();
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_object_that_cannot_be_read_costs_itself_only() -> anyhow::Result<()> {
    let plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    plane.install_service_monitors().await?;
    let stage = Stage::set(plane.namespace("unreadable").await?).await?;
    let operator = stage.operator().await?;
    stage.account("acme").await?;
    stage.ready("acme").await;
    assert_eq!(stage.named_on(&operator, "acme").await?, ["/", "/accounts", "/sd", "/metrics"]);

    loosen(&plane).await?;
    let kind = GroupVersionKind::gvk("caas-operator.io", "v1alpha1", "CaasAccount");
    let resource = ApiResource::from_gvk(&kind);
    let anything: Api<DynamicObject> =
        Api::namespaced_with(stage.namespace.client(), stage.namespace.name(), &resource);
    let params = PatchParams::apply("caas-operator-tests").force();
    let write = async |name: &str, spec: Value| {
        anything.patch(name, &params, &Patch::Apply(manifest(name, &spec))).await
    };
    let broken = json!({"provider": 7, "credentials": ["a list"]});
    until(PATIENCE, "the looser definition to take a broken object", async || {
        Ok(write("broken", broken.clone()).await.map(drop)?)
    })
    .await;
    let refused = |name: &str| format!("account={}/{name} ", stage.namespace.name());
    until(PATIENCE, "the log to say so", async || {
        let logs = operator.logs();
        ensure!(
            logs.lines().any(|line| line.contains("cannot be read") && line.contains(&refused("broken")))
        );
        Ok(())
    })
    .await;

    stage.account("later").await?;
    stage.ready("later").await;
    stage.scraped(&operator, "acme", 200).await;
    assert_eq!(operator.health("/readyz").await?.0, 200);

    // One that could be read, and then cannot, is not collected any more; nor does it stop a new start.
    let forced = json!({"spec": {"provider": {"alauda": null}}});
    anything.patch("acme", &PatchParams::default(), &Patch::Merge(forced)).await?;
    stage.nothing_left(&operator, "acme").await;
    drop(operator);
    let operator = stage.operator().await?;
    stage.scraped(&operator, "later", 200).await;
    stage.nothing_left(&operator, "acme").await;

    for name in ["broken", "acme"] {
        anything.delete(name, &kube::api::DeleteParams::default()).await?;
    }
    until(PATIENCE, "the ServiceMonitor of the deleted account to go", async || {
        ensure!(stage.monitors().get_opt("caas-acme").await?.is_none(), "it still stands");
        Ok(())
    })
    .await;
    // What comes after them in the watch is known, and so are their deletions.
    stage.account("last").await?;
    stage.ready("last").await;
    for name in ["broken", "acme"] {
        stage.nothing_left(&operator, name).await;
        stage.account(name).await?;
        stage.ready(name).await;
        stage.scraped(&operator, name, 200).await;
    }
    let mended = json!({"spec": {"provider": 7}});
    anything.patch("later", &PatchParams::default(), &Patch::Merge(mended)).await?;
    stage.scraped(&operator, "later", 404).await;
    write("later", stage.spec("later", json!({}))).await?;
    stage.scraped(&operator, "later", 200).await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_definition_that_is_deleted_takes_all_accounts_and_comes_back_without_a_restart()
-> anyhow::Result<()> {
    let plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    let stage = Stage::set(plane.namespace("uninstalled").await?).await?;
    let mut operator = stage.operator().await?;
    let spec = json!({"serviceMonitor": {"enabled": false}});
    stage.account_with("acme", spec.clone()).await?;
    stage.ready("acme").await;

    // `kubectl delete` waits: it would not end if an object hung on a finalizer.
    plane.kubectl(&["delete", "crd", "caasaccounts.caas-operator.io", "--timeout=200s"]).await?.expect_ok();
    stage.scraped(&operator, "acme", 404).await;
    assert_eq!(operator.health("/readyz").await?.0, 200);
    until(PATIENCE, "the watch to meet the missing definition", async || {
        ensure!(operator.logs().contains("the watch of CaasAccounts is interrupted"));
        Ok(())
    })
    .await;

    plane.install_our_crds().await?;
    stage.account_with("acme", spec).await?;
    stage.ready("acme").await;
    stage.scraped(&operator, "acme", 200).await;
    assert_eq!(operator.exited()?, None);
    Ok(())
}
