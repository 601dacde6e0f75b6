//! `top` through the API server's proxy, with the rights that its page names and without them.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::blocks::{blocks, page};
use crate::control::Kubeconfig;
use crate::control::kubectl::Ran;
use crate::harness::PATIENCE;
use crate::harness::tenant::Tenant;
use crate::harness::world::{NAMESPACE, World};

/// `caas-operator top` of somebody with this kubeconfig.
async fn top(who: &Kubeconfig, words: &[&str]) -> Ran {
    let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_caas-operator")));
    command.arg("top").args(words).env_clear().env("KUBECONFIG", who.path());
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    tokio::time::timeout(PATIENCE, output).await.expect("it ends").expect("it starts").into()
}

/// The role of the page, for this user.
async fn grant(world: &World, user: &str) {
    let blocks = blocks(&page("docs/top.md").unwrap()).unwrap();
    let role = blocks.iter().find(|block| block.language == "yaml").expect("a role");
    world.plane.apply(&role.text).await.unwrap();
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "caas-top", "namespace": NAMESPACE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "caas-top"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]});
    world.plane.apply(&binding.to_string()).await.unwrap();
}

pub(crate) async fn top_asks_the_operator_through_the_api_server_as_far_as_rights_allow(
    world: &'static World,
) {
    world.released().await;
    let team = Tenant::new(world, "top").await;
    team.apply_and_wait("acme", &world.cloud, "acme", json!({})).await;
    let admin = world.plane.admin().unwrap();

    // The Service is found by its label.
    let only = ["--namespace", &team.namespace];
    let table = top(&admin, &[&["accounts", "--cluster"], &only[..]].concat()).await.expect_ok();
    assert!(
        table.lines().nth(1).unwrap().starts_with(&format!("{}/acme   alauda", team.namespace)),
        "{table}"
    );
    let instances = top(&admin, &[&["instances", "--cluster", "-o", "json"], &only[..]].concat()).await;
    let instances: Value = serde_json::from_str(&instances.expect_ok()).unwrap();
    assert!(instances["total"].as_u64().unwrap() > 0);
    assert!(instances["instances"].as_array().unwrap().iter().all(|one| one["account"] == "acme"));

    // Without rights, each step says which one is missing.
    let tenant = world.plane.kubeconfig_for("tenant").unwrap();
    let named = ["--service-namespace", NAMESPACE, "--service-name", "caas-operator"];
    let unlisted = top(&tenant, &["accounts", "--cluster"]).await;
    let unproxied = top(&tenant, &[&["accounts"], &named[..]].concat()).await;
    for (refused, says) in [
        (unlisted, ["cannot list resource \"services\"", "--service-namespace and --service-name"]),
        (unproxied, ["cannot get resource \"services/proxy\"", "resource name caas-operator:http"]),
    ] {
        assert!(!refused.ok && refused.stdout.is_empty(), "{refused:?}");
        assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
        assert!(says.iter().all(|word| refused.stderr.contains(word)), "{refused:?}");
    }
    grant(world, "tenant").await;
    // As an API server that has just been told allows it.
    let granted = crate::control::until(PATIENCE, "the right to count", async || {
        let ran = top(&tenant, &[&["accounts"], &named[..], &only[..]].concat()).await;
        anyhow::ensure!(ran.ok, "{}", ran.stderr);
        Ok(ran.stdout)
    })
    .await;
    assert!(granted.contains("/acme"), "{granted}");

    let elsewhere = ["accounts", "--service-namespace", &team.namespace];
    for (words, says) in [
        (&elsewhere[..], "there is no Service with the label caas-operator.io/service"),
        (&["--service-namespace", "default", "--service-name", "nobody"], "services \"nobody\" not found"),
    ] {
        let ran = top(&admin, words).await;
        assert!(!ran.ok && ran.stderr.contains(says), "{ran:?}");
    }
}
