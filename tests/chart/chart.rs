//! Runs helm on the chart. Knows nothing of what it should render.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::servers::server;

/// A path of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The chart's folder.
pub(crate) fn folder() -> PathBuf {
    project("charts/caas-operator")
}

/// The files of a folder, by name.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Runs one of the tools and returns its result.
pub(crate) fn run<I: AsRef<OsStr>>(tool: &str, arguments: impl IntoIterator<Item = I>) -> Output {
    Command::new(server(tool)).args(arguments).env("HELM_NO_PLUGINS", "1").output().unwrap()
}

/// What a tool wrote to stderr.
pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `helm template` with further arguments, as release `caas-operator` in `caas-system`.
pub(crate) fn template(arguments: &[&str]) -> Output {
    let chart = folder();
    let fixed = ["template", "caas-operator", chart.to_str().unwrap(), "--namespace", "caas-system"];
    run("helm", fixed.iter().chain(arguments))
}

/// The objects that the chart renders with further arguments.
pub(crate) fn render(arguments: &[&str]) -> Vec<Value> {
    let output = template(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", errors(&output));
    objects(&String::from_utf8(output.stdout).unwrap())
}

/// The objects that the chart renders in one of the [`crate::ways`].
pub(crate) fn render_way(way: Option<&Path>) -> Vec<Value> {
    match way {
        Some(file) => render(&["--values", file.to_str().unwrap()]),
        None => render(&[]),
    }
}

/// The objects of a text of several YAML documents.
pub(crate) fn objects(manifests: &str) -> Vec<Value> {
    let documents = manifests.split("\n---").map(|document| document.trim_start_matches("---"));
    documents
        .map(|document| {
            serde_saphyr::from_str::<Value>(document).unwrap_or_else(|error| panic!("{error}\n{document}"))
        })
        .filter(|object| !object.is_null())
        .collect()
}

/// The only object of a kind.
pub(crate) fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found: Vec<_> = of_kind(objects, kind).collect();
    assert_eq!(found.len(), 1, "{kind}");
    found[0]
}

/// The objects of a kind.
pub(crate) fn of_kind<'a>(objects: &'a [Value], kind: &str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}
