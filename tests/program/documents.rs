//! What the documents say of tests is so.

use std::path::Path;

/// All Rust sources below a folder, in one text.
fn sources(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.extension() {
            _ if path.is_dir() => sources(&path),
            Some(extension) if extension == "rs" => std::fs::read_to_string(&path).unwrap(),
            _ => String::new(),
        })
        .collect()
}

#[test]
fn every_test_that_the_matrix_of_faults_and_threats_names_exists() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let matrix = std::fs::read_to_string(project.join("docs/faults-and-threats.md")).unwrap();
    let sources = sources(&project.join("src")) + &sources(&project.join("tests"));
    let named = matrix.split('`').skip(1).step_by(2).filter(|word| word.matches('_').count() > 2);
    let (found, missing): (Vec<&str>, Vec<&str>) =
        named.partition(|name| sources.contains(&format!("fn {name}(")));
    assert_eq!(missing, Vec::<&str>::new());
    assert!(found.len() > 60, "{}", found.len());
}
