//! What the operator may do, held against what it does: the roles for plain `kubectl` are exactly what the audit log shows.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, ensure};
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::{Value, json};

use crate::harness::{ControlPlane, Operator, OperatorOptions, SOON, until};
use crate::operator_fixture::{DEADLINE, OperatorFixture, cloud};

/// Resource and verb.
type Permission = (String, String);

/// The rules of the operator's own roles among the manifests: what it may do everywhere, and in its own namespace.
fn rules(manifests: &str) -> anyhow::Result<Vec<PolicyRule>> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(manifests)?;
    let mut rules = Vec::new();
    for (kind, name) in [("ClusterRole", "caas-operator"), ("Role", "caas-operator-replicas")] {
        let is_role = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
        let role = objects.iter().find(is_role).with_context(|| format!("no {kind} {name}"))?;
        rules.extend(serde_json::from_value::<Vec<PolicyRule>>(role["rules"].clone())?);
    }
    Ok(rules)
}

fn granted(rules: &[PolicyRule]) -> BTreeSet<Permission> {
    let mut all = BTreeSet::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let (name, below) = resource.split_once('/').map_or((resource.as_str(), ""), |(a, b)| (a, b));
                let dot = if group.is_empty() { "" } else { "." };
                let slash = if below.is_empty() { "" } else { "/" };
                let resource = format!("{name}{dot}{group}{slash}{below}");
                all.extend(rule.verbs.iter().map(|verb| (resource.clone(), verb.clone())));
            }
        }
    }
    all
}

/// What a user was seen to do, discovery aside; a patch that made an object needed `create` as well.
fn used(plane: &ControlPlane, user: &str) -> anyhow::Result<BTreeSet<Permission>> {
    let mut all = BTreeSet::new();
    for ((resource, verb), usage) in plane.audit_log()?.used_by(user) {
        if resource.starts_with('/') {
            assert_eq!(verb, "get", "{resource}");
            continue;
        }
        assert!(!usage.codes.contains(&403) && !usage.codes.contains(&401), "{verb} {resource}: {usage:?}");
        if verb == "patch" && usage.codes.contains(&201) {
            all.insert((resource.clone(), "create".to_owned()));
        }
        all.insert((resource, verb));
    }
    Ok(all)
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_operator_uses_all_that_it_is_granted_and_is_refused_nothing() -> anyhow::Result<()> {
    let plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    plane.install_service_monitors().await?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/install/cluster-wide.yaml");
    let manifests = std::fs::read_to_string(&file)?;
    plane.apply(&manifests).await?;
    let options = OperatorOptions {
        kubeconfig: Some(plane.service_account("caas-system", "caas-operator").await?),
        args: vec!["--service-namespace=caas-system".to_owned()],
        env: vec![
            ("CAAS_OPERATOR_REPLICAS_LEASE_NAMESPACE".to_owned(), "caas-system".to_owned()),
            ("CAAS_OPERATOR_REPLICA_NAME".to_owned(), "caas-operator-0".to_owned()),
            ("CAAS_OPERATOR_REPLICA_ADDRESS".to_owned(), "127.0.0.1".to_owned()),
        ],
        ..OperatorOptions::default()
    };
    let operator = Operator::start(&plane, options).await?;
    let mut fixture =
        OperatorFixture { namespace: plane.namespace("team").await?, operator, cloud: cloud().await? };

    live(&fixture).await?;
    // It deletes its Lease.
    fixture.operator.stop(SOON).await?;

    let user = "system:serviceaccount:caas-system:caas-operator";
    println!("{}", plane.audit_log()?.table(user));
    let granted = granted(&rules(&manifests)?);
    assert_eq!(used(&plane, user)?, granted);

    plane.apply(&bound("watcher", &["caas-operator", "watcher"])).await?;
    let options = OperatorOptions {
        kubeconfig: Some(plane.service_account("caas-system", "watcher").await?),
        args: vec!["--service-namespace=caas-system".to_owned(), "--watch-secrets".to_owned()],
        ..OperatorOptions::default()
    };
    fixture.operator = Operator::start(&plane, options).await?;
    fixture.account("watched").await?;
    fixture.until_ready("watched").await;

    let more: BTreeSet<Permission> =
        ["list", "watch"].map(|verb| ("secrets".to_owned(), verb.to_owned())).into();
    let all = used(&plane, "system:serviceaccount:caas-system:watcher")?;
    let beyond: BTreeSet<Permission> = all.difference(&granted).cloned().collect();
    assert_eq!(beyond, more, "the option needs these and no more");
    Ok(())
}

/// A role of that name to list and watch Secrets, and these roles bound to the service account of that name.
fn bound(account: &str, roles: &[&str]) -> String {
    let binding = |role: &&str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": format!("{account}-{role}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "caas-system"}],
        })
    };
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": account},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "watch"]}],
    });
    let all: Vec<String> =
        std::iter::once(role).chain(roles.iter().map(binding)).map(|it| it.to_string()).collect();
    all.join("\n---\n")
}

/// All that an account and its ServiceMonitor go through.
async fn live(fixture: &OperatorFixture) -> anyhow::Result<()> {
    fixture.put("acme", fixture.spec("acme")).await?;
    fixture.until_reason("acme", "CredentialsReady", "SecretNotFound").await;
    fixture.secret("acme", &crate::operator_fixture::login(&fixture.cloud)).await?;
    fixture.until_ready("acme").await;
    fixture.until_reason("acme", "ServiceMonitorReady", "Applied").await;

    // The same transition twice is one event that counts.
    for _ in 0..2 {
        fixture.cloud.set_fault("services:500".parse()?)?;
        fixture.until_reason("acme", "Ready", "CloudError").await;
        fixture.cloud.clear_faults();
        fixture.until_ready("acme").await;
    }
    let monitor = ["servicemonitor", "caas-acme"];
    let interval = async || -> anyhow::Result<String> {
        let path = "-o=jsonpath={.spec.endpoints[0].interval}";
        Ok(fixture.namespace.kubectl(&["get", monitor[0], monitor[1], path]).await?.stdout)
    };
    let edit = r#"[{"op": "replace", "path": "/spec/endpoints/0/interval", "value": "7m"}]"#;
    fixture
        .namespace
        .kubectl(&["patch", monitor[0], monitor[1], "--type=json", "-p", edit])
        .await?
        .expect_ok();
    until(DEADLINE, "the edit to be undone", async || {
        let now = interval().await?;
        ensure!(now == "5s", "{now:?}");
        Ok(())
    })
    .await;
    fixture.namespace.kubectl(&["delete", monitor[0], monitor[1]]).await?.expect_ok();
    until(DEADLINE, "the ServiceMonitor to be put back", async || {
        let now = interval().await?;
        ensure!(now == "5s", "{now:?}");
        Ok(())
    })
    .await;
    fixture.patch("acme", json!({"spec": {"serviceMonitor": {"mode": "Never"}}})).await?;
    fixture.until_reason("acme", "ServiceMonitorReady", "Disabled").await;
    fixture.patch("acme", json!({"spec": {"suspend": true}})).await?;
    fixture.until_reason("acme", "Ready", "Suspended").await;
    fixture.delete("acme").await?;
    until(DEADLINE, "the series to be gone", async || {
        let (code, _) = fixture.metrics("acme").await?;
        ensure!(code == 404, "{code}");
        Ok(())
    })
    .await;
    Ok(())
}
