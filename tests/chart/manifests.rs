//! What the chart renders, for all the ways in which people install it (`tests/chart/values`).

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::chart::{errors, folder, of_kind, only, project, render, render_way, run};
use crate::ways::ways;

/// Kinds of the chart that belong to no namespace.
const CLUSTER_WIDE: [&str; 3] = ["CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"];

fn way(name: &str) -> Vec<Value> {
    render_way(Some(&project(&format!("tests/chart/values/{name}.yaml"))))
}

fn container(objects: &[Value]) -> Value {
    only(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0].clone()
}

/// The verbs that a role grants on a resource.
fn verbs<'a>(role: &'a Value, resource: &str) -> BTreeSet<&'a str> {
    let rules = role["rules"].as_array().unwrap().iter();
    rules
        .filter(|rule| rule["resources"].as_array().unwrap().contains(&json!(resource)))
        .flat_map(|rule| rule["verbs"].as_array().unwrap())
        .map(|verb| verb.as_str().unwrap())
        .collect()
}

fn set<const N: usize>(words: [&str; N]) -> BTreeSet<&str> {
    BTreeSet::from(words)
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn helm_lint_finds_nothing() {
    for way in ways() {
        let chart = folder();
        let mut arguments = vec!["lint", "--strict", "--quiet", chart.to_str().unwrap()];
        if let Some(file) = &way {
            arguments.extend(["--values", file.to_str().unwrap()]);
        }
        let output = run("helm", arguments);
        assert!(
            output.status.success(),
            "{way:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            errors(&output)
        );
    }
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn the_templates_unit_tests_pass() {
    let output = run("helm-unittest", ["--strict", folder().to_str().unwrap()]);
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), errors(&output));
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn every_object_has_the_standard_labels_and_a_namespace() {
    for way in ways() {
        for object in render_way(way.as_deref()) {
            let (kind, metadata) = (object["kind"].as_str().unwrap(), &object["metadata"]);
            let name = metadata["name"].as_str().unwrap();
            let namespace = metadata["namespace"].as_str();
            assert_eq!(namespace.is_none(), CLUSTER_WIDE.contains(&kind), "{way:?}: {kind} {name}");
            if !name.starts_with("more") && !name.ends_with("-extra") {
                assert_eq!(metadata["labels"]["app.kubernetes.io/part-of"], "caas-operator", "{kind} {name}");
            }
        }
    }
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn every_pod_meets_the_restricted_pod_security_standard() {
    for way in ways() {
        let objects = render_way(way.as_deref());
        let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{way:?}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{way:?}");
        let container = &pod["containers"][0]["securityContext"];
        let expected = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
        assert_eq!(container, &expected, "{way:?}");
        let image = pod["containers"][0]["image"].as_str().unwrap();
        assert!(
            !image.ends_with(":latest") && image.rsplit('/').next().unwrap().contains([':', '@']),
            "{image}"
        );
    }
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn the_operators_role_grants_exactly_what_it_needs() {
    let objects = render(&[]);
    let role =
        of_kind(&objects, "ClusterRole").find(|role| role["metadata"]["name"] == "caas-operator").unwrap();
    assert_eq!(verbs(role, "caasaccounts"), set(["list", "watch"]));
    assert_eq!(verbs(role, "caasaccounts/status"), set(["patch"]));
    assert_eq!(verbs(role, "secrets"), set(["get"]));
    assert_eq!(verbs(role, "servicemonitors"), set(["get", "list", "watch", "create", "patch", "delete"]));
    assert_eq!(verbs(role, "events"), set(["create", "patch"]));
    assert_eq!(role["rules"].as_array().unwrap().len(), 5, "no rule beyond these");
    assert!(!role.to_string().contains('*'));
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn secrets_are_listed_only_if_they_are_watched() {
    let objects = render(&["--set", "watchSecrets=true"]);
    let role =
        of_kind(&objects, "ClusterRole").find(|role| role["metadata"]["name"] == "caas-operator").unwrap();
    assert_eq!(verbs(role, "secrets"), set(["get", "list", "watch"]));
    assert!(container(&objects)["args"].as_array().unwrap().contains(&json!("--watch-secrets")));
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn with_namespaces_nothing_is_cluster_wide() {
    let objects = way("namespaced");
    assert!(objects.iter().all(|object| !CLUSTER_WIDE.contains(&object["kind"].as_str().unwrap())));
    for kind in ["Role", "RoleBinding"] {
        let namespaces: BTreeSet<_> =
            of_kind(&objects, kind).filter_map(|object| object["metadata"]["namespace"].as_str()).collect();
        // That of the release is for the Leases of its pods.
        assert_eq!(namespaces, BTreeSet::from(["caas-system", "team-a", "team-b"]), "{kind}");
    }
    let subject = &of_kind(&objects, "RoleBinding").next().unwrap()["subjects"][0];
    assert_eq!(subject["namespace"], "caas-system");
    let args = container(&objects)["args"].clone();
    assert!(
        ["--namespace=team-a", "--namespace=team-b"]
            .iter()
            .all(|arg| args.as_array().unwrap().contains(&json!(arg)))
    );
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn with_namespaces_the_rules_are_those_of_the_cluster_role() {
    let (all, some) = (render(&[]), way("namespaced"));
    let cluster =
        of_kind(&all, "ClusterRole").find(|role| role["metadata"]["name"] == "caas-operator").unwrap();
    let of_accounts = |role: &&Value| role["metadata"]["namespace"] != "caas-system";
    assert!(of_kind(&some, "Role").filter(of_accounts).all(|role| role["rules"] == cluster["rules"]));
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn accounts_are_scraped_through_the_charts_service() {
    for way in ways() {
        let objects = render_way(way.as_deref());
        let service = only(&objects, "Service");
        let env = container(&objects)["env"].clone();
        let value = |name: &str| {
            env.as_array().unwrap().iter().find(|variable| variable["name"] == name).unwrap()["value"].clone()
        };
        assert_eq!(value("CAAS_OPERATOR_SERVICE_NAME"), service["metadata"]["name"], "{way:?}");
        assert_eq!(
            service["metadata"]["labels"]["caas-operator.io/service"], service["metadata"]["name"],
            "{way:?}"
        );
        assert_eq!(
            value("CAAS_OPERATOR_SERVICE_PORT"),
            service["spec"]["ports"][0]["port"].to_string(),
            "{way:?}"
        );
        let pod = &only(&objects, "Deployment")["spec"]["template"]["metadata"]["labels"];
        let selector = service["spec"]["selector"].as_object().unwrap();
        assert!(selector.iter().all(|(label, value)| &pod[label] == value), "{way:?}");
    }
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn the_crd_is_kept_unless_crds_keep_is_false() {
    let policy = |objects: &[Value]| {
        only(objects, "CustomResourceDefinition")["metadata"]["annotations"]["helm.sh/resource-policy"]
            .clone()
    };
    assert_eq!(policy(&render(&[])), "keep");
    assert_eq!(policy(&render(&["--set", "crds.keep=false"])), Value::Null);
    let objects = render(&["--set", "crds.annotations.note=ours"]);
    assert_eq!(policy(&objects), "keep");
    let annotations = &only(&objects, "CustomResourceDefinition")["metadata"]["annotations"];
    assert_eq!(annotations["note"], "ours");
    let without = render(&["--set", "crds.enabled=false"]);
    assert_eq!(of_kind(&without, "CustomResourceDefinition").count(), 0);
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn the_charts_crd_is_the_one_that_the_program_prints() {
    let printed = fs::read_to_string(project("crds/caasaccounts.yaml")).unwrap();
    assert!(fs::read_to_string(folder().join("files/crd.yaml")).unwrap() == printed, "run make generate");
    let printed: Value = serde_saphyr::from_str(&printed).unwrap();
    let objects = render(&[]);
    let rendered = &only(&objects, "CustomResourceDefinition")["spec"];
    assert!(plain(rendered) == plain(&printed["spec"]), "the template changes what it should only label");
}

/// A value in which a number is a number, with a fraction of nothing or without.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        _ => value.clone(),
    }
}

#[test]
fn chart_program_and_image_have_one_version() {
    let chart: Value =
        serde_saphyr::from_str(&fs::read_to_string(folder().join("Chart.yaml")).unwrap()).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let images = chart["annotations"]["artifacthub.io/images"].as_str().unwrap();
    assert!(images.contains(&format!(":{}", env!("CARGO_PKG_VERSION"))), "{images}");
}

#[test]
fn every_value_has_a_comment_in_the_readme() {
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    let bare: Vec<_> =
        readme.lines().filter(|line| line.starts_with("| ") && line.ends_with("|  |")).collect();
    assert!(bare.is_empty(), "{bare:?}");
    let values: Value =
        serde_saphyr::from_str(&fs::read_to_string(folder().join("values.yaml")).unwrap()).unwrap();
    for name in values.as_object().unwrap().keys() {
        assert!(readme.contains(&format!("| {name} |")) || readme.contains(&format!("| {name}.")), "{name}");
    }
}
