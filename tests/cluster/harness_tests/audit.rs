//! The audit log shows who did what.

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;

use crate::harness::ControlPlane;

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_audit_log_shows_a_call_and_its_answer() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("audited").await?;
    let client = namespace.service_account("visitor").await?.client().await?;
    let secrets: Api<Secret> = Api::namespaced(client, namespace.name());
    let refused = secrets.get("acme").await;
    assert!(refused.is_err(), "{refused:?}");

    let user = format!("system:serviceaccount:{}:visitor", namespace.name());
    let log = plane.audit_log()?;

    assert_eq!(
        log.table(&user),
        "| resource | verb | answers |\n|---|---|---|\n| `secrets` | `get` | 403 |\n"
    );
    let mine = log.used_by(&user);
    let usage = &mine[&("secrets".to_owned(), "get".to_owned())];
    assert_eq!(usage.calls, 1);
    assert!(usage.namespaces.contains(namespace.name()), "{usage:?}");
    let admin = log.used_by("admin");
    assert!(admin.contains_key(&("serviceaccounts/token".to_owned(), "create".to_owned())), "{admin:?}");
    Ok(())
}
