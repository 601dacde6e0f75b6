//! `check --from-cluster` on a real API server: what the files lack is read there, with the rights of the kubeconfig's user.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::kubectl::{Ran, ended};
use crate::harness::{ControlPlane, Namespace};
use crate::operator_fixture::{self, OperatorFixture, cloud, login, manifest, spec};

/// Runs `check` with this kubeconfig and something on its standard input.
async fn check(kubeconfig: &Path, words: &[&str], input: &str) -> anyhow::Result<Ran> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_caas-operator"));
    command
        .arg("check")
        .args(["--allow-http", "--allow-cidr=127.0.0.0/8"])
        .args(words)
        .env_clear()
        .env("KUBECONFIG", kubeconfig);
    Ok(ended(command, input).await?.into())
}

/// The administrator's kubeconfig with this namespace in a context `here`, which is not the current one.
fn with_context(namespace: &Namespace) -> anyhow::Result<PathBuf> {
    let admin = namespace.cluster().admin()?;
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(admin.path())?)?;
    let mut context = config["contexts"][0].clone();
    context["name"] = json!("here");
    context["context"]["namespace"] = json!(namespace.name());
    config["contexts"].as_array_mut().context("a list")?.push(context);
    let path = admin.path().with_file_name(format!("{}.kubeconfig", namespace.name()));
    std::fs::write(&path, config.to_string())?;
    Ok(path)
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_secret_that_no_file_holds_is_read_from_the_cluster() -> anyhow::Result<()> {
    let namespace = ControlPlane::shared().await.namespace("check-secret").await?;
    let (admin, cloud) = (namespace.cluster().admin()?, cloud().await?);
    operator_fixture::secret(&namespace, "acme", &login(&cloud)).await?;
    let account = manifest("acme", &spec(&cloud, "acme")).to_string();
    let name = namespace.name();

    let alone = check(admin.path(), &["-", "-n", name], &account).await?;
    assert!(!alone.ok && alone.stdout.contains("SecretNotFound"), "{alone:?}");
    assert!(alone.stdout.contains("add --from-cluster"), "{alone:?}");

    let here = with_context(&namespace)?;
    for (config, words) in [
        (admin.path(), &["-", "--from-cluster", "--namespace", name][..]),
        // The context's namespace is that of a manifest that names none.
        (&here, &["-", "--from-cluster", "--context", "here"]),
    ] {
        let ran = check(config, words, &account).await?;
        assert!(ran.ok && ran.stdout.starts_with(&format!("{name}/acme: Collected\n")), "{ran:?}");
    }

    // What a file says goes before.
    let wrong = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "acme"},
        "stringData": {"username": "acme", "password": "wrong"}});
    let ran =
        check(&here, &["-", "--from-cluster", "--context", "here"], &format!("{account}\n---\n{wrong}"))
            .await?;
    assert!(ran.stdout.contains("LoginRejected"), "{ran:?}");

    // In the current context's namespace, which is `default`, there is no such Secret.
    let ran = check(&here, &["-", "--from-cluster"], &account).await?;
    assert!(ran.stdout.contains("Secret default/acme does not exist"), "{ran:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn accounts_are_read_by_name_or_all_of_the_namespace() -> anyhow::Result<()> {
    let namespace = ControlPlane::shared().await.namespace("check-accounts").await?;
    let (here, cloud) = (with_context(&namespace)?, cloud().await?);
    let name = namespace.name();
    let checked = async |words: &[&str]| {
        check(&here, &[&["--from-cluster", "--context", "here"], words].concat(), "").await
    };
    let none = checked(&[]).await?;
    assert!(!none.ok && none.stdout.is_empty(), "{none:?}");
    assert!(
        none.stderr.contains(&format!("there is no CaasAccount in namespace {name} of the cluster")),
        "{none:?}"
    );

    operator_fixture::secret(&namespace, "acme", &login(&cloud)).await?;
    for (account, secret) in [("good", "acme"), ("bad", "gone")] {
        operator_fixture::put(&namespace, account, spec(&cloud, secret)).await?;
    }
    let all = checked(&[]).await?;
    assert!(all.stdout.contains(&format!("{name}/good: Collected")), "{all:?}");
    assert!(all.stdout.contains(&format!("{name}/bad: SecretNotFound")), "{all:?}");
    assert_eq!(all.stderr, "error: 1 of 2 accounts not collected completely; see above\n");

    for named in ["good".to_owned(), format!("{name}/good")] {
        let one = checked(&[&named]).await?;
        assert!(one.ok && one.stdout.starts_with(&format!("{name}/good: Collected\n")), "{one:?}");
        assert!(!one.stdout.contains("bad"), "{one:?}");
    }
    let missing = checked(&["good", "other/gone"]).await?;
    assert!(!missing.ok && missing.stdout.contains("good: Collected"), "{missing:?}");
    assert!(missing.stdout.contains("CaasAccount other/gone does not exist in the cluster"), "{missing:?}");
    let path = checked(&["some/folder/acme"]).await?;
    assert!(path.stderr.contains("NAME or NAMESPACE/NAME"), "{path:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn what_kubectl_prints_is_taken_with_status_and_managed_fields() -> anyhow::Result<()> {
    let fixture = OperatorFixture::new("check-printed").await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;
    let admin = fixture.namespace.cluster().admin()?;
    let expected = format!("{}/acme: Collected\n", fixture.namespace.name());
    for (get, words) in [
        (&["get", "caas,secret"][..], &["-"][..]),
        (&["get", "caas,secret", "--show-managed-fields"], &["-"]),
        (&["get", "caasaccount", "acme"], &["-", "--from-cluster"]),
        (&["get", "caasaccount", "acme", "--show-managed-fields"], &["-", "--from-cluster"]),
    ] {
        for format in ["yaml", "json"] {
            let printed = fixture.namespace.kubectl(&[get, &["-o", format]].concat()).await?.expect_ok();
            assert!(printed.contains("resourceVersion") && printed.contains("conditions"), "{printed}");
            let ran = check(admin.path(), words, &printed).await?;
            assert!(ran.ok && ran.stdout.starts_with(&expected), "{get:?} {format}: {ran:?}");
        }
    }
    Ok(())
}

/// A service account that may do this in its namespace, and nothing else.
fn role(namespace: &Namespace, rules: &Value) -> String {
    let name = "checker";
    let group = "rbac.authorization.k8s.io";
    let role = json!({"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": {"name": name}, "rules": rules});
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace.name()}],
    });
    format!("{role}\n---\n{binding}")
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_right_to_read_is_all_that_it_takes_and_a_missing_one_is_told() -> anyhow::Result<()> {
    let namespace = ControlPlane::shared().await.namespace("check-rights").await?;
    let cloud = cloud().await?;
    operator_fixture::secret(&namespace, "acme", &login(&cloud)).await?;
    operator_fixture::put(&namespace, "acme", spec(&cloud, "acme")).await?;
    let user = namespace.service_account("checker").await?;
    let name = namespace.name();
    let checked = async |words: &[&str]| {
        check(user.path(), &[&["--from-cluster", "-n", name], words].concat(), "").await
    };
    for words in [&[][..], &["acme"]] {
        let nothing = checked(words).await?;
        assert!(nothing.stdout.is_empty() && nothing.stderr.contains("cannot be read"), "{nothing:?}");
        assert!(nothing.stderr.contains("ask the cluster's administrator"), "{nothing:?}");
    }

    let accounts =
        json!({"apiGroups": ["caas-operator.io"], "resources": ["caasaccounts"], "verbs": ["get", "list"]});
    namespace.apply(&role(&namespace, &json!([accounts]))).await?.expect_ok();
    let no_secret = checked(&[]).await?;
    let told =
        format!("Secret {name}/acme cannot be read with this kubeconfig: request permission to get Secrets");
    assert!(
        no_secret.stdout.contains("SecretForbidden") && no_secret.stdout.contains(&told),
        "{no_secret:?}"
    );

    let secrets =
        json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["acme"], "verbs": ["get"]});
    namespace.apply(&role(&namespace, &json!([accounts, secrets]))).await?.expect_ok();
    let all = checked(&[]).await?;
    assert!(all.ok && all.stdout.contains("Collected"), "{all:?}");
    Ok(())
}
