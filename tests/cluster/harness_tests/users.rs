//! Users may do what RBAC grants them, through `kubectl` and through a kube client.

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;

use crate::harness::ControlPlane;

/// What `subject` may: get Secrets in the namespace.
fn grant(subject: &str) -> String {
    format!(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: reader}}
rules: [{{apiGroups: [''], resources: [secrets], verbs: [get]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: reader}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}}
subjects: [{subject}]
---
apiVersion: v1
kind: Secret
metadata: {{name: acme}}
stringData: {{token: t}}
"
    )
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn kubectl_as_the_operator_is_forbidden_what_it_is_not_granted() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("operator-user").await?;
    let operator = plane.kubeconfig_for("operator")?;
    namespace.apply(&grant("{kind: User, name: operator}")).await?.expect_ok();

    let granted = namespace.kubectl_as(&operator, &["get", "secret", "acme", "-o", "name"], "").await?;
    assert_eq!(granted.expect_ok().trim(), "secret/acme");
    let refused = namespace.kubectl_as(&operator, &["get", "secrets"], "").await?;
    assert!(!refused.ok);
    assert!(refused.stderr.contains("Forbidden"), "{refused:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_service_account_is_granted_what_its_role_says() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("operator-account").await?;
    let subject = format!("{{kind: ServiceAccount, name: caas-operator, namespace: {}}}", namespace.name());
    namespace.apply(&grant(&subject)).await?.expect_ok();

    let client = namespace.service_account("caas-operator").await?.client().await?;
    let secrets: Api<Secret> = Api::namespaced(client, namespace.name());
    assert!(secrets.get("acme").await?.data.is_some());
    let refused = secrets.list(&kube::api::ListParams::default()).await;
    assert!(matches!(&refused, Err(kube::Error::Api(status)) if status.code == 403), "{refused:?}");
    Ok(())
}
