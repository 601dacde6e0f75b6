//! The documents name tests that exist.

use std::path::Path;

/// All Rust sources below a folder, concatenated.
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

/// Numbers of rows whose mechanism is planned, as the page says.
const PLANNED: [&str; 2] = ["F36", "T12"];

#[test]
fn the_matrix_has_a_row_for_every_fault_and_threat() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let matrix = std::fs::read_to_string(project.join("docs/faults-and-threats.md")).unwrap();
    let rows: Vec<&str> = matrix
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" |"))
        .map(|(number, _)| number)
        .filter(|number| number.trim_start_matches(['F', 'T']).parse::<u8>().is_ok())
        .collect();
    let faults = (1..=37).map(|number| format!("F{number}"));
    let expected = faults.chain((1..=20).map(|number| format!("T{number}")));
    let expected: Vec<String> = expected.filter(|number| !PLANNED.contains(&number.as_str())).collect();
    assert_eq!(rows, expected);
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
    assert!(found.len() > 110, "{}", found.len());
}
