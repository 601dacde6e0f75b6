//! What Artifact Hub reads in the chart: names and values that it takes, by its documentation of Helm annotations. It says nothing of
//! an annotation that it does not know, and shows a package without what it cannot read.

use std::fs;

use serde_json::Value;

use crate::chart::folder;
use crate::pages::shown;

/// The annotations that it knows, but for `signKey`, which is of charts with a PGP signature.
const ANNOTATIONS: [&str; 15] = [
    "alternativeName",
    "category",
    "changes",
    "containsSecurityUpdates",
    "crds",
    "crdsExamples",
    "images",
    "license",
    "links",
    "maintainers",
    "operator",
    "operatorCapabilities",
    "prerelease",
    "recommendations",
    "screenshots",
];

/// Those that this chart does without: a maintainer is shown by an address of e-mail, and the project has none.
const WITHOUT: [&str; 1] = ["maintainers"];

const CATEGORIES: [&str; 9] = [
    "ai-machine-learning",
    "database",
    "integration-delivery",
    "monitoring-logging",
    "networking",
    "security",
    "skip-prediction",
    "storage",
    "streaming-messaging",
];

const CAPABILITIES: [&str; 5] =
    ["Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot"];

const CHANGES: [&str; 6] = ["added", "changed", "deprecated", "removed", "fixed", "security"];

fn chart() -> Value {
    serde_saphyr::from_str(&fs::read_to_string(folder().join("Chart.yaml")).unwrap()).unwrap()
}

fn annotation(chart: &Value, name: &str) -> String {
    let value = chart["annotations"][format!("artifacthub.io/{name}")].as_str();
    value.unwrap_or_else(|| panic!("artifacthub.io/{name} is missing, or is no text")).to_owned()
}

/// The entries of an annotation that is a list in YAML.
fn list(chart: &Value, name: &str) -> Vec<Value> {
    let entries: Vec<Value> = serde_saphyr::from_str(&annotation(chart, name)).unwrap();
    assert!(!entries.is_empty(), "{name}");
    entries
}

/// A field that has to be there and to say something.
fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry[field].as_str().filter(|text| !text.is_empty()).unwrap_or_else(|| panic!("no {field} in {entry}"))
}

#[test]
fn every_annotation_of_artifact_hub_is_there_and_no_other() {
    let chart = chart();
    let have = chart["annotations"].as_object().unwrap().keys();
    let have: Vec<_> = have.filter_map(|name| name.strip_prefix("artifacthub.io/")).collect();
    for name in &have {
        assert!(ANNOTATIONS.contains(name), "artifacthub.io/{name} is unknown to Artifact Hub");
    }
    for name in ANNOTATIONS {
        assert_ne!(have.contains(&name), WITHOUT.contains(&name), "artifacthub.io/{name}");
    }
}

#[test]
fn artifact_hub_takes_each_annotation() {
    let chart = chart();
    let (name, other) = (text(&chart, "name"), annotation(&chart, "alternativeName"));
    assert!(name.contains(&other) || other.contains(name), "{other} has nothing of {name}");
    assert!(CATEGORIES.contains(&&*annotation(&chart, "category")));
    assert!(CAPABILITIES.contains(&&*annotation(&chart, "operatorCapabilities")));
    for name in ["operator", "prerelease", "containsSecurityUpdates"] {
        assert!(["true", "false"].contains(&&*annotation(&chart, name)), "{name}");
    }
    for change in list(&chart, "changes") {
        assert!(CHANGES.contains(&text(&change, "kind")), "{change}");
        text(&change, "description");
    }
    for link in list(&chart, "links") {
        text(&link, "name");
        assert!(text(&link, "url").starts_with("https://"), "{link}");
    }
    for image in list(&chart, "images") {
        text(&image, "name");
        let (_, tag) = text(&image, "image").rsplit_once(':').unwrap();
        assert_ne!(tag, "latest", "it is not scanned");
    }
    for recommended in list(&chart, "recommendations") {
        assert!(text(&recommended, "url").starts_with("https://artifacthub.io/packages/"), "{recommended}");
    }
    for picture in list(&chart, "screenshots") {
        text(&picture, "title");
        let file = shown(text(&picture, "url")).expect("a file of this project");
        assert!(fs::read(&file).unwrap().starts_with(b"\x89PNG"), "{}", file.display());
    }
    for definition in list(&chart, "crds") {
        for field in ["kind", "version", "name", "displayName", "description"] {
            text(&definition, field);
        }
    }
    let kinds: Vec<_> = list(&chart, "crds").iter().map(|crd| text(crd, "kind").to_owned()).collect();
    for example in list(&chart, "crdsExamples") {
        assert!(kinds.iter().any(|kind| *kind == text(&example, "kind")), "{example}");
    }
    // What it shows beside the annotations.
    for field in ["description", "appVersion", "home", "icon", "kubeVersion"] {
        text(&chart, field);
    }
    assert!(chart["keywords"].as_array().is_some_and(|words| !words.is_empty()));
    assert!(folder().join("README.md").is_file() && folder().join("values.schema.json").is_file());
}
