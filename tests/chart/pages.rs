//! The pages that people read: links lead somewhere, from wherever a page is shown, and commands do not work against each other.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::chart::{files, folder, project};

/// Where files of the project are shown, and where they are fetched from.
const SHOWN: [&str; 3] = [
    "https://github.com/caas-operator/caas-operator/blob/main/",
    "https://github.com/caas-operator/caas-operator/tree/main/",
    "https://raw.githubusercontent.com/caas-operator/caas-operator/main/",
];

fn pages() -> Vec<PathBuf> {
    let folders = ["docs", "docs/providers", "docs/runbooks"];
    let pages = folders.iter().flat_map(|folder| files(&project(folder)));
    let others = ["README.md", "CONTRIBUTING.md", "charts/caas-operator/README.md"].map(project);
    pages.filter(|page| page.extension().is_some_and(|extension| extension == "md")).chain(others).collect()
}

/// The targets of a page's links, without anchors.
fn links(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap();
    let targets = text.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap());
    targets.filter(|target| !target.is_empty()).map(str::to_owned).collect()
}

/// The file of the project that an address shows, where it is one of ours.
pub(crate) fn shown(address: &str) -> Option<PathBuf> {
    SHOWN.iter().find_map(|place| address.strip_prefix(place)).map(project)
}

#[test]
fn links_between_pages_resolve() {
    for page in pages() {
        for link in links(&page) {
            let file = match shown(&link) {
                None if link.contains("://") => continue,
                None => page.parent().unwrap().join(&link),
                Some(file) => file,
            };
            assert!(file.exists(), "{} links to {link}", page.display());
        }
    }
}

#[test]
fn the_charts_readme_has_only_links_that_work_outside_the_repository() {
    let links = links(&folder().join("README.md"));
    assert!(links.len() > 5 && links.iter().all(|link| link.starts_with("https://")), "{links:?}");
}

#[test]
fn the_chart_says_what_registries_of_charts_show() {
    let chart: Value =
        serde_saphyr::from_str(&fs::read_to_string(folder().join("Chart.yaml")).unwrap()).unwrap();
    let icon = shown(chart["icon"].as_str().unwrap()).unwrap();
    assert!(fs::read_to_string(&icon).unwrap().starts_with("<svg "), "{}", icon.display());
    let parsed = |name: &str| -> Value {
        let text = chart["annotations"][format!("artifacthub.io/{name}")].as_str().unwrap();
        serde_saphyr::from_str(text).unwrap()
    };
    for link in parsed("links").as_array().unwrap() {
        let url = link["url"].as_str().unwrap();
        assert!(shown(url).is_none_or(|file| file.exists()), "{url}");
    }
    let crd: Value =
        serde_saphyr::from_str(&fs::read_to_string(folder().join("files/crd.yaml")).unwrap()).unwrap();
    let named = &parsed("crds")[0];
    assert_eq!(named["name"], crd["metadata"]["name"]);
    assert_eq!(named["kind"], crd["spec"]["names"]["kind"]);
    assert_eq!(named["version"], crd["spec"]["versions"][0]["name"]);
    let version = crd["spec"]["versions"][0]["name"].as_str().unwrap();
    let group = crd["spec"]["group"].as_str().unwrap();
    assert_eq!(parsed("crdsExamples")[0]["apiVersion"], format!("{group}/{version}"));
    assert!(parsed("changes").as_array().is_some_and(|changes| !changes.is_empty()));
}

#[test]
fn everything_is_applied_by_the_server() {
    // One way throughout: what kubectl applied itself and what the server applied are two owners of one field.
    let programs =
        ["src/cli/crd.rs", "src/cli/mod.rs", "charts/caas-operator/templates/NOTES.txt"].map(project);
    let mut applies = 0;
    for page in pages().into_iter().chain(programs) {
        let text = fs::read_to_string(&page).unwrap();
        for line in text.lines().filter(|line| line.contains("kubectl") && line.contains("apply ")) {
            if line.contains(" -f ") || line.contains(" -k ") {
                assert!(line.contains("--server-side"), "{}: {line}", page.display());
                applies += 1;
            }
        }
    }
    assert!(applies > 10, "{applies}");
}
