//! The floors of the house: a module uses only what stands below it, and there are no circles.
//!
//! Reads the `crate::…` paths of every file in `src` and holds them against the table here, which is
//! the one place where the layers are written down.

// Helpers of tests, outside test functions: a tree that cannot be read fails the test, as it should.
#![allow(clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each room may use besides itself. A room that is not listed here fails the test.
const MAY_USE: &[(&str, &[&str])] = &[
    ("telemetry", &[]),
    ("api", &[]),
    ("simulator", &[]),
    ("cloud", &["telemetry"]),
    ("account", &["api", "cloud"]),
    ("exposition", &["cloud"]),
    ("collector", &["account", "exposition", "cloud", "telemetry"]),
    ("controller", &["collector", "account", "api", "cloud", "telemetry"]),
    ("standalone", &["account", "api", "cloud"]),
    ("server", &["collector", "account", "exposition", "cloud", "telemetry"]),
    (
        "cli",
        &[
            "controller",
            "standalone",
            "server",
            "collector",
            "account",
            "exposition",
            "api",
            "cloud",
            "simulator",
            "telemetry",
        ],
    ),
];

/// Crates that a room must not name: Kubernetes stays out of the rooms that know only values and HTTP.
const MUST_NOT_NAME: &[(&str, &[&str])] = &[
    ("cloud", &["kube", "k8s_openapi", "axum"]),
    ("exposition", &["kube", "k8s_openapi", "axum", "reqwest", "tokio"]),
    ("simulator", &["kube", "k8s_openapi", "reqwest"]),
    ("collector", &["kube", "k8s_openapi", "axum", "reqwest"]),
    ("controller", &["axum", "reqwest"]),
    ("server", &["kube", "k8s_openapi", "reqwest"]),
    ("telemetry", &["kube", "k8s_openapi", "axum", "reqwest"]),
];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("src can be read") {
        let path = entry.expect("src can be read").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The words that follow `prefix` in code, comments left out.
fn words_after(text: &str, prefix: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut words = BTreeSet::new();
    for line in code {
        for (place, _) in line.match_indices(prefix) {
            let before = line[..place].chars().next_back();
            if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == ':') {
                continue;
            }
            let rest = &line[place + prefix.len()..];
            // `use crate::{account, cloud}` names several.
            let list = rest.strip_prefix('{').map_or(rest, |rest| rest.split('}').next().unwrap_or(rest));
            let several = rest.starts_with('{');
            for part in list.split(',').take(if several { usize::MAX } else { 1 }) {
                let word: String = part
                    .trim()
                    .chars()
                    .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                    .collect();
                if !word.is_empty() {
                    words.insert(word);
                }
            }
        }
    }
    words
}

fn rooms() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    let mut rooms: BTreeMap<String, Vec<(PathBuf, String)>> = BTreeMap::new();
    for file in files {
        let inside = file.strip_prefix(&source).expect("below src");
        let room = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        if room != "lib.rs" && room != "main.rs" {
            let text = fs::read_to_string(&file).expect("a text file");
            rooms.entry(room.trim_end_matches(".rs").to_owned()).or_default().push((file, text));
        }
    }
    rooms
}

#[test]
fn a_module_uses_only_what_stands_below_it() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for (room, files) in rooms() {
        let Some(may_use) = allowed.get(room.as_str()) else {
            wrong.push(format!("src/{room} has no floor: add it to MAY_USE"));
            continue;
        };
        for (file, text) in files {
            for used in words_after(&text, "crate::") {
                if used != room && !may_use.contains(&used.as_str()) {
                    wrong.push(format!("{} uses {used}, which does not stand below {room}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_of_floors_has_no_circle() {
    let mut placed: BTreeSet<&str> = BTreeSet::new();
    for (room, may_use) in MAY_USE {
        let above: Vec<_> = may_use.iter().filter(|used| !placed.contains(**used)).collect();
        assert!(above.is_empty(), "{room} is listed before {above:?}, which it uses");
        placed.insert(room);
    }
}

#[test]
fn rooms_keep_to_their_crates() {
    let rooms = rooms();
    let mut wrong = Vec::new();
    for (room, forbidden) in MUST_NOT_NAME {
        for (file, text) in rooms.get(*room).into_iter().flatten() {
            // Tests of a room may stand a real HTTP peer beside it.
            if file.to_string_lossy().contains("tests") {
                continue;
            }
            for name in *forbidden {
                if !words_after(text, &format!("{name}::")).is_empty() {
                    wrong.push(format!("{} names {name}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_of_the_source_is_longer_than_one_idea() {
    let too_long: Vec<String> = rooms()
        .into_values()
        .flatten()
        .filter(|(_, text)| text.lines().count() > 450)
        .map(|(file, text)| format!("{} has {} lines", file.display(), text.lines().count()))
        .collect();
    assert!(too_long.is_empty(), "split these: {}", too_long.join(", "));
}

#[test]
fn the_reader_of_paths_sees_each_form_of_use() {
    let text = "use crate::cloud::{Cloud, model};\nuse crate::{account, exposition::Bodies};\n// use crate::api;\n\
                let x = crate::telemetry::Metrics::new(); other_crate::server::x();";
    let words: Vec<String> = words_after(text, "crate::").into_iter().collect();
    assert_eq!(words, ["account", "cloud", "exposition", "telemetry"]);
}
