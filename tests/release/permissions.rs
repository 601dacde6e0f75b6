//! Permissions of the operator and of users: the chart's roles compared with the API server's audit log.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::api::Api;
use serde_json::json;

use crate::control::kubectl::kubectl;
use crate::harness::tenant::Tenant;
use crate::harness::trials::others_are_over;
use crate::harness::world::{NAMESPACE, World};

/// What this test does not see: an apply that creates an object requires `create`, but the audit log shows one call, `patch`; and
/// a Lease is deleted when its pod ends.
const INDIRECT: [(&str, &str); 2] =
    [("servicemonitors.monitoring.coreos.com", "create"), ("leases.coordination.k8s.io", "delete")];

/// Resource and verb, as in the audit log.
type Verb = (String, String);

fn granted(rules: Option<&[PolicyRule]>) -> BTreeSet<Verb> {
    let mut verbs = BTreeSet::new();
    for rule in rules.unwrap_or_default() {
        assert!(rule.resource_names.is_none() && rule.non_resource_urls.is_none(), "{rule:?}");
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let (kind, sub) = resource.split_once('/').unwrap_or((resource, ""));
                let group = if group.is_empty() { String::new() } else { format!(".{group}") };
                let sub = if sub.is_empty() { String::new() } else { format!("/{sub}") };
                verbs.extend(rule.verbs.iter().map(|verb| (format!("{kind}{group}{sub}"), verb.clone())));
            }
        }
    }
    verbs
}

pub(crate) async fn the_operator_uses_every_permission_and_requests_no_other(world: &'static World) {
    let (prometheus, team) = (world.released().await, Tenant::new(world, "verbs").await);
    team.apply_and_wait("acme", &world.cloud, "acme", json!({})).await;
    let up = format!("up{{namespace=\"{}\"}}", team.namespace);
    prometheus.until(&up, |series| series.len() == 1).await;
    team.apply_and_wait("acme", &world.cloud, "acme", json!({"serviceMonitor": {"mode": "Never"}})).await;
    prometheus.until_no_job(&team.namespace, "caas-acme").await;
    // Twice the same event: suspended, resumed, suspended.
    for suspend in [true, false, true] {
        team.apply("acme", &world.cloud, "acme", json!({"suspend": suspend})).await;
        team.wait("acme", if suspend { "Collecting=False" } else { "Collecting" }).await;
    }
    others_are_over().await;
    world.no_complaints();

    let roles: Api<ClusterRole> = Api::all(world.plane.client().await.unwrap());
    let mut granted_verbs = granted(roles.get("caas-operator").await.unwrap().rules.as_deref());
    let replicas: Api<Role> = Api::namespaced(world.plane.client().await.unwrap(), NAMESPACE);
    granted_verbs.extend(granted(replicas.get("caas-operator-replicas").await.unwrap().rules.as_deref()));
    let granted = granted_verbs;
    let operator = format!("system:serviceaccount:{NAMESPACE}:caas-operator");
    let log = world.plane.audit_log().unwrap();
    let used = log.used_by(&operator);

    let mut table: BTreeMap<Verb, [String; 2]> = BTreeMap::new();
    for verb in &granted {
        table.entry(verb.clone()).or_default()[0] = "yes".to_owned();
    }
    for (verb, usage) in &used {
        let codes: Vec<String> = usage.codes.iter().map(u16::to_string).collect();
        table.entry(verb.clone()).or_default()[1] = format!("{} calls: {}", usage.calls, codes.join(", "));
    }
    println!("| resource | verb | granted | used |\n|---|---|---|---|");
    for ((resource, verb), [granted, used]) in &table {
        println!("| {resource} | {verb} | {granted} | {used} |");
    }

    for (verb, usage) in &used {
        let refused = usage.codes.iter().any(|code| matches!(code, 401 | 403));
        assert!(!refused, "{verb:?} was refused: {usage:?}");
    }
    let indirect = INDIRECT.map(|(resource, verb)| (resource.to_owned(), verb.to_owned()));
    let unused: Vec<_> =
        granted.iter().filter(|verb| !used.contains_key(verb) && !indirect.contains(verb)).collect();
    assert!(unused.is_empty(), "granted and never used: {unused:?}");
    // What is allowed by other roles than ours: discovery, which everyone may read.
    let elsewhere: Vec<_> = used.keys().filter(|verb| !granted.contains(verb)).collect();
    assert!(
        elsewhere.iter().all(|(resource, verb)| resource.starts_with("/api") && verb == "get"),
        "{elsewhere:?}"
    );
}

pub(crate) async fn editors_manage_the_accounts_of_their_namespace_and_viewers_only_read_them(
    world: &'static World,
) {
    world.released().await;
    let (mine, other) = (Tenant::new(world, "mine").await, Tenant::new(world, "other").await);
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "readers", "namespace": mine.namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader"}]});
    world.plane.apply(&binding.to_string()).await.unwrap();
    let admin = world.plane.admin().unwrap();

    for (user, namespace, verb, resource, may) in [
        ("tenant", &mine.namespace, "create", "caasaccounts", true),
        ("tenant", &mine.namespace, "deletecollection", "caasaccounts", true),
        ("tenant", &mine.namespace, "patch", "caasaccounts/status", false),
        ("reader", &mine.namespace, "list", "caasaccounts", true),
        ("reader", &mine.namespace, "get", "caasaccounts/status", true),
        ("reader", &mine.namespace, "create", "caasaccounts", false),
        ("reader", &mine.namespace, "delete", "caasaccounts", false),
        ("reader", &other.namespace, "list", "caasaccounts", false),
    ] {
        let (resource, sub) = resource.split_once('/').unwrap_or((resource, ""));
        let (resource, sub) = (format!("{resource}.caas-operator.io"), format!("--subresource={sub}"));
        let words = ["auth", "can-i", verb, &resource, &sub, "--as", user, "--namespace", namespace];
        let answer = kubectl(&admin, &words, "").await.stdout;
        assert_eq!(
            answer.trim(),
            if may { "yes" } else { "no" },
            "{user} {verb} {resource} {sub} in {namespace}"
        );
    }
}
