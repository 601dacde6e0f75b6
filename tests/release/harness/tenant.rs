//! A team with its own namespace and only the rights of `edit` there. It applies what the documentation says.

use serde_json::{Value, json};

use super::cloud::{Cloud, PASSWORD, authority};
use super::timeout;
use super::world::World;
use crate::control::kubectl::{Ran, kubectl};

/// See the module documentation.
pub(crate) struct Tenant {
    /// Its namespace.
    pub(crate) namespace: String,
    world: &'static World,
}

impl Tenant {
    /// A new tenant whose namespace starts with `hint`.
    pub(crate) async fn new(world: &'static World, hint: &str) -> Self {
        Self::named(world, &world.plane.unique(hint)).await
    }

    /// A tenant with a namespace of exactly this name.
    pub(crate) async fn named(world: &'static World, namespace: &str) -> Self {
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": "team", "namespace": namespace},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "tenant"}]},
        ]});
        world.plane.apply(&objects.to_string()).await.expect("a namespace");
        Self { namespace: namespace.to_owned(), world }
    }

    /// Applies a Secret and an account of that name for the cloud's user, with `more` merged into its spec, without waiting.
    pub(crate) async fn apply(&self, account: &str, cloud: &Cloud, user: &str, more: Value) {
        let mut spec = json!({
            "provider": {"alauda": {"endpoint": cloud.endpoint}},
            "credentials": {"secretRef": {"name": format!("{account}-alauda")}},
            "tls": {"caBundleSecretRef": {"name": format!("{account}-alauda")}},
            "collection": {"interval": "5s"},
        });
        lay_over(&mut spec, more);
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("{account}-alauda")},
                "stringData": {"username": user, "password": PASSWORD, "ca.crt": authority().pem}},
            {"apiVersion": "caas-operator.io/v1alpha1", "kind": "CaasAccount", "metadata": {"name": account}, "spec": spec},
        ]});
        self.kubectl(&["apply", "-f", "-"], &objects.to_string()).await.expect_ok();
    }

    /// The same, and waits until the account is ready.
    pub(crate) async fn apply_and_wait(&self, account: &str, cloud: &Cloud, user: &str, more: Value) {
        self.apply(account, cloud, user, more).await;
        self.wait(account, "Ready").await;
    }

    /// Waits for a condition of an account.
    pub(crate) async fn wait(&self, account: &str, condition: &str) {
        let condition = format!("--for=condition={condition}");
        let ran = self.kubectl(&["wait", &format!("caas/{account}"), &condition, &timeout()], "").await;
        if !ran.ok {
            let shown = self.kubectl(&["get", "caas", account, "-o", "yaml"], "").await;
            panic!("{}\n{}\n{}", ran.stderr, shown.stdout, self.world.log("caas-operator"));
        }
    }

    /// `kubectl` in its namespace, with its rights.
    pub(crate) async fn kubectl(&self, words: &[&str], input: &str) -> Ran {
        let who = self.world.plane.kubeconfig_for("tenant").expect("the tenant's kubeconfig");
        let words: Vec<&str> =
            ["--namespace", &self.namespace].into_iter().chain(words.iter().copied()).collect();
        kubectl(&who, &words, input).await
    }
}

fn lay_over(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                lay_over(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}
