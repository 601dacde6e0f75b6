//! The build context of `docker build .`, as `.dockerignore` defines it.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The files and folders that are included. The first rule excludes everything else.
fn sent(project: &Path) -> Vec<String> {
    let text = fs::read_to_string(project.join(".dockerignore")).unwrap();
    let mut rules = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert_eq!(rules.next(), Some("*"));
    let exception = |rule: &str| {
        let path = rule.strip_prefix('!').unwrap_or_else(|| panic!("{rule} lets nothing through"));
        assert!(!path.contains(['*', '?', '[', '\\']), "{path} is a pattern, which this test does not read");
        path.to_owned()
    };
    rules.map(exception).collect()
}

#[test]
#[ignore = "builds the program once more: run make test"]
fn the_docker_build_context_contains_everything_the_build_reads() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    // One place for every run, and files as old as they are: where nothing changed, nothing is built.
    let built = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let context = built.join("image-context");
    let _ = fs::remove_dir_all(&context);
    fs::create_dir_all(&context).unwrap();
    let mut copy = Command::new("cp");
    copy.args(["--archive", "--parents"]).args(sent(project)).arg(&context).current_dir(project);
    assert!(copy.status().unwrap().success());
    assert!(context.join("static-build").exists(), "what the Dockerfile runs");

    // As `static-build`, and as a test, for which all dependencies are built already.
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--no-run", "--locked", "--offline", "--bin", "caas-operator", "--target-dir"]);
    cargo.arg(built.parent().unwrap()).current_dir(&context);
    // The variables that cargo set for this process would cause rebuilds.
    for (name, _) in std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
    }) {
        cargo.env_remove(name);
    }
    let output = cargo.output().unwrap();

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::remove_dir_all(&context).unwrap();
}
