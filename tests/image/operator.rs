//! `run`, the image's own command, in the image's root: against a real API server, with a service account mounted and the
//! rights that an installation grants.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::authority::Authority;
use crate::cloud::{self, PASSWORD};
use crate::control::{ControlPlane, Namespace};
use crate::inside;
use crate::root::Root;

/// Where a program in a Pod looks for its service account; read-only, as everything there.
const SERVICE_ACCOUNT: &str = "var/run/secrets/kubernetes.io/serviceaccount";

#[test]
#[ignore = "needs the static binary and the real servers: run make test"]
fn the_operator_runs_in_that_root_as_a_service_account() {
    let test = async { in_a_cluster().await.unwrap() };
    inside::run("operator::the_operator_runs_in_that_root_as_a_service_account", test);
}

async fn in_a_cluster() -> anyhow::Result<()> {
    let plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    plane.install_service_monitors().await?;
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/install/cluster-wide.yaml");
    plane.apply(&fs::read_to_string(installed)?).await?;
    let authority = Authority::new()?;
    let (_cloud, endpoint) = cloud::start(&authority).await;
    let root = Root::new(&authority);
    let token = plane.kubectl(&["--namespace", "caas-system", "create", "token", "caas-operator"]).await?;
    for (name, content) in
        [("token", token.expect_ok().trim()), ("ca.crt", &plane.keys().ca), ("namespace", "caas-system")]
    {
        root.write(&format!("{SERVICE_ACCOUNT}/{name}"), content);
    }
    let files = root.files();

    let arguments = ["run", "--listen=127.0.0.1:8080", "--listen-health=127.0.0.1:8081"];
    let port = plane.url().rsplit(':').next().unwrap();
    let environment = [("KUBERNETES_SERVICE_HOST", "127.0.0.1"), ("KUBERNETES_SERVICE_PORT", port)];
    let allowed = "--allow-cidr=127.0.0.0/8";
    let mut program = root.start(&[&arguments[..], &[allowed]].concat(), &environment);
    program.until_answers("http://127.0.0.1:8081/readyz", |code, _| code == 200).await;
    let team = plane.namespace("team").await?;
    apply_account(&team, &endpoint).await?;
    let metrics = format!("http://127.0.0.1:8080/accounts/{}/acme/metrics", team.name());
    let collected = |_, body: &str| body.contains("caas_instance_memory_usage_bytes{");
    let body = program.until_answers(&metrics, collected).await;

    let up = format!("caas_account_up{{account_namespace=\"{}\",account=\"acme\"}} 1", team.name());
    assert!(body.contains(&up), "{body}");
    team.kubectl(&["wait", "caas/acme", "--for=condition=Ready", "--timeout=200s"]).await?.expect_ok();
    assert_eq!(root.files(), files, "nothing was written");
    program.exits_cleanly();
    Ok(())
}

async fn apply_account(team: &Namespace, endpoint: &str) -> anyhow::Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "acme"},
        "stringData": {"username": "acme", "password": PASSWORD},
    });
    let account = json!({
        "apiVersion": "caas-operator.io/v1alpha1", "kind": "CaasAccount", "metadata": {"name": "acme"},
        "spec": {
            "provider": {"alauda": {"endpoint": endpoint}},
            "credentials": {"secretRef": {"name": "acme"}},
            "collection": {"interval": "5s"},
        },
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [secret, account]});
    team.apply(&list.to_string()).await?.expect_ok();
    Ok(())
}
