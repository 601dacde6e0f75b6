//! Values that are null: a section whose lines are all commented out, and `--set KEY=null`. Each is as if it were not there.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Map, Value, json};

use crate::chart::{errors, folder, project, render, run};

/// What Kubernetes gets as it stands: null takes the chart's default away, as people expect of probes, requests and contexts.
const AS_THEY_STAND: [&str; 8] = [
    "podSecurityContext",
    "securityContext",
    "resources",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "strategy.rollingUpdate",
    "dashboards.labels",
];

/// What is off by default, so that every template renders something.
const SECTIONS: [&str; 6] = [
    "dashboards",
    "networkPolicy",
    "podDisruptionBudget",
    "prometheusRule",
    "scrapeConfig",
    "serviceMonitor",
];

type Path = Vec<String>;

fn schema() -> Value {
    serde_json::from_str(&fs::read_to_string(folder().join("values.schema.json")).unwrap()).unwrap()
}

/// The paths of all keys below a schema's node, those inside lists aside.
fn paths(schema: &Value, node: &Value, above: &[String], into: &mut BTreeSet<Path>) {
    let referred = node["$ref"].as_str().map(|name| schema.pointer(name.trim_start_matches('#')).unwrap());
    for (key, below) in referred.unwrap_or(node)["properties"].as_object().into_iter().flatten() {
        let path = [above, std::slice::from_ref(key)].concat();
        paths(schema, below, &path, into);
        into.insert(path);
    }
}

/// The paths of all keys of a map.
fn keys(values: &Value, above: &[String], into: &mut BTreeSet<Path>) {
    for (key, below) in values.as_object().into_iter().flatten() {
        let path = [above, std::slice::from_ref(key)].concat();
        keys(below, &path, into);
        into.insert(path);
    }
}

/// All keys that the schema knows, which are all of values.yaml and those without a default.
fn known() -> BTreeSet<Path> {
    let mut known = BTreeSet::new();
    let schema = schema();
    paths(&schema, &schema, &[], &mut known);
    known
}

fn stands(path: &[String]) -> bool {
    let path = path.join(".");
    AS_THEY_STAND.iter().any(|name| path == *name || path.starts_with(&format!("{name}.")))
}

/// A map in which each of these paths is null.
fn nulls<'a>(paths: impl Iterator<Item = &'a Path>) -> Value {
    let mut all = json!({});
    for path in paths {
        let (last, sections) = path.split_last().unwrap();
        let inside = sections.iter().fold(&mut all, |node, key| {
            node.as_object_mut().unwrap().entry(key).or_insert_with(|| Value::Object(Map::new()))
        });
        inside[last] = Value::Null;
    }
    all
}

/// What is rendered with these values and with all sections enabled.
fn with_all_enabled(mut values: Value) -> Vec<Value> {
    for section in SECTIONS {
        values[section]["enabled"] = json!(true);
    }
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    // YAML includes JSON.
    fs::write(file.path(), values.to_string()).unwrap();
    render(&["--values", file.path().to_str().unwrap()])
}

#[test]
fn the_schema_knows_every_key_of_the_values() {
    let values = serde_saphyr::from_str(&fs::read_to_string(folder().join("values.yaml")).unwrap()).unwrap();
    let mut have = BTreeSet::new();
    keys(&values, &[], &mut have);
    // Inside what Kubernetes gets as it stands, keys are its own.
    have.retain(|path| !stands(path));
    let known = known();
    assert!(have.len() > 100 && have.is_subset(&known), "{:?}", have.difference(&known).collect::<Vec<_>>());
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn null_is_as_if_the_key_were_not_there() {
    let known = known();
    let expected = with_all_enabled(json!({}));
    let is_enabled = |path: &Path| match path.as_slice() {
        [section] => SECTIONS.contains(&section.as_str()),
        [section, key] => SECTIONS.contains(&section.as_str()) && key == "enabled",
        _ => false,
    };
    for depth in 1..=5 {
        let these = known.iter().filter(|path| path.len() == depth && !stands(path) && !is_enabled(path));
        let values = nulls(these);
        assert!(values != json!({}) || depth == 5, "no keys at {depth}");
        assert!(with_all_enabled(values.clone()) == expected, "{values}");
    }
    assert!(known.iter().all(|path| path.len() <= 5));
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn every_key_may_be_null_alone() {
    let expected = render(&[]);
    for path in known() {
        let key = path.join(".");
        let objects = render(&[&format!("--set={key}=null")]);
        assert!(stands(&path) || objects == expected, "{key}");
    }
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn what_kubernetes_gets_as_it_stands_is_left_out_where_it_is_null() {
    for (key, pointer) in [
        ("startupProbe", "/containers/0/startupProbe"),
        ("resources", "/containers/0/resources"),
        ("resources.limits", "/containers/0/resources/limits"),
        ("resources.limits.memory", "/containers/0/resources/limits/memory"),
        ("securityContext", "/containers/0/securityContext"),
        ("podSecurityContext.runAsUser", "/securityContext/runAsUser"),
    ] {
        let pod = |objects: &[Value]| {
            crate::chart::only(objects, "Deployment")["spec"]["template"]["spec"].pointer(pointer).cloned()
        };
        assert!(pod(&render(&[])).is_some(), "{key}");
        assert_eq!(pod(&render(&[&format!("--set={key}=null")])), None, "{key}");
    }
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn null_is_no_label_and_no_limit_of_its_own() {
    let objects = render(&["--set=podLabels.team=null,nodeSelector.disk=null,resources.limits.cpu=null"]);
    assert!(objects == render(&[]));
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn a_parent_chart_may_comment_sections_out_too() {
    let parent = tempfile::tempdir().unwrap();
    let values = nulls(known().iter().filter(|path| path.len() == 1 && !stands(path)));
    fs::write(parent.path().join("Chart.yaml"), "{apiVersion: v2, name: parent, version: 0.1.0}").unwrap();
    fs::write(parent.path().join("values.yaml"), json!({"caas-operator": values}).to_string()).unwrap();
    fs::create_dir(parent.path().join("charts")).unwrap();
    std::os::unix::fs::symlink(folder(), parent.path().join("charts/caas-operator")).unwrap();
    let arguments =
        ["template", "caas-operator", parent.path().to_str().unwrap(), "--namespace", "caas-system"];

    let output = run("helm", arguments);

    assert!(output.status.success(), "{}", errors(&output));
    let objects = crate::chart::objects(&String::from_utf8(output.stdout).unwrap());
    assert!(objects == render(&[]));
}

#[test]
fn every_template_begins_with_the_values_made_complete() {
    for file in crate::chart::files(&project("charts/caas-operator/templates")) {
        let text = fs::read_to_string(&file).unwrap();
        let begins = text.starts_with("{{- include \"caas-operator.complete\" . -}}\n");
        assert!(begins || file.ends_with("_helpers.tpl"), "{}", file.display());
    }
}
