//! `run` on somebody's machine beside the operator that the chart installed.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::{ControlPlane, Kubeconfig, Namespace, Operator, OperatorOptions, until};
use crate::operator_fixture::DEADLINE;

/// The chart's Deployment, in this namespace.
fn deployment(namespace: &Namespace) -> anyhow::Result<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/install/cluster-wide.yaml");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&std::fs::read_to_string(path)?)?;
    let found = objects.into_iter().find(|object| object["kind"] == "Deployment");
    let mut found = found.context("a Deployment")?;
    found["metadata"]["namespace"] = json!(namespace.name());
    Ok(found)
}

/// Scales the chart's Deployment, and waits until so many of its pods are ready. No kubelet runs here: its part is written.
async fn scale(namespace: &Namespace, replicas: i32) -> anyhow::Result<()> {
    let deployments: Api<Deployment> = namespace.api();
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    deployments.patch("caas-operator", &PatchParams::default(), &patch).await?;
    until(DEADLINE, &format!("{replicas} pods to be ready"), async || {
        let pods: Api<Pod> = namespace.api();
        let ready =
            json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        for pod in pods.list(&ListParams::default()).await?.items {
            let name = pod.metadata.name.context("a name")?;
            pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(&ready)).await?;
        }
        let status = deployments.get("caas-operator").await?.status.unwrap_or_default();
        ensure!(status.ready_replicas.unwrap_or_default() == replicas, "{status:?}");
        Ok(())
    })
    .await;
    Ok(())
}

/// An operator on somebody's machine: no pod's environment.
fn options(namespace: &Namespace, kubeconfig: Option<Kubeconfig>, args: &[&str]) -> OperatorOptions {
    OperatorOptions {
        namespaces: vec![namespace.name().to_owned()],
        kubeconfig,
        args: args.iter().map(ToString::to_string).collect(),
        env: vec![("KUBERNETES_SERVICE_HOST".to_owned(), String::new())],
    }
}

/// What an operator says that does not start.
async fn refusal(options: OperatorOptions) -> anyhow::Result<String> {
    let operator = Operator::spawn(ControlPlane::shared().await, options)?;
    let operator = tokio::sync::Mutex::new(operator);
    let code =
        until(DEADLINE, "it to end", async || operator.lock().await.exited()?.context("it runs")).await;
    assert_eq!(code, 1);
    Ok(operator.lock().await.logs())
}

/// Starts one, returns its log and stops it.
async fn starts(options: OperatorOptions) -> anyhow::Result<String> {
    let mut operator = Operator::start(ControlPlane::shared().await, options).await?;
    let log = operator.logs();
    assert_eq!(operator.stop(Duration::from_secs(60)).await?, 0);
    Ok(log)
}

const CANNOT_REACH: &str = "Prometheus in the cluster cannot reach it";

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn run_on_a_laptop_is_refused_while_a_pod_of_the_chart_is_ready() -> anyhow::Result<()> {
    let namespace = ControlPlane::shared().await.namespace("second").await?;
    let name = namespace.name();
    // Its pods run as that account.
    namespace.service_account("caas-operator").await?;
    namespace.apply(&deployment(&namespace)?.to_string()).await?.expect_ok();
    scale(&namespace, 1).await?;

    let told = refusal(options(&namespace, None, &[])).await?;
    let expected =
        format!("error: an operator is already running in this cluster: Deployment {name}/caas-operator.");
    assert!(told.contains(&expected) && told.contains("Scale it to 0"), "{told}");

    let log = starts(options(&namespace, None, &["--allow-second-operator"])).await?;
    assert!(log.contains(CANNOT_REACH), "{log}");

    // Who may not list the cluster's Deployments is shown those beside the Service.
    let user = namespace.service_account("somebody").await?;
    let beside = format!("--service-namespace={name}");
    let rules = json!([
        {"apiGroups": ["caas-operator.io"], "resources": ["caasaccounts"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["monitoring.coreos.com"], "resources": ["servicemonitors"], "verbs": ["get", "list", "watch"]},
    ]);
    let role = |rules: &Value| {
        let group = "rbac.authorization.k8s.io";
        let role = json!({"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": {"name": "own"}, "rules": rules});
        let binding = json!({
            "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": "own"},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "own"},
            "subjects": [{"kind": "ServiceAccount", "name": "somebody", "namespace": name}],
        });
        format!("{role}\n---\n{binding}")
    };
    namespace.apply(&role(&rules)).await?.expect_ok();
    let log = starts(options(&namespace, Some(user.clone()), &[&beside])).await?;
    assert!(log.contains("its Deployments cannot be listed") && log.contains("forbidden"), "{log}");

    let mut with_deployments = rules.clone();
    let deployments = json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]});
    with_deployments.as_array_mut().context("a list")?.push(deployments);
    namespace.apply(&role(&with_deployments)).await?.expect_ok();
    let told = refusal(options(&namespace, Some(user), &[&beside])).await?;
    assert!(told.contains(&expected), "{told}");

    scale(&namespace, 0).await?;
    let log = starts(options(&namespace, None, &[])).await?;
    assert!(log.contains(CANNOT_REACH) && !log.contains("already running in this cluster"), "{log}");

    // In a pod, nothing is looked for and nothing is said.
    let in_pod = OperatorOptions { env: Vec::new(), ..options(&namespace, None, &[]) };
    let log = starts(in_pod).await?;
    assert!(!log.contains(CANNOT_REACH), "{log}");
    Ok(())
}
