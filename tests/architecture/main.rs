//! The layers of the program: a module uses only what lies below it, and no two files depend on each other.
//!
//! Reads the paths that every file of `src` names and compares them with the tables here, the one place where the layers
//! are written down.

// Helpers of tests, outside test functions: a tree that cannot be read fails the test, as it should.
#![allow(clippy::expect_used, clippy::panic)]

mod cycles;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use sources::{SourceFile, Sources};

/// What each module may use besides itself, lowest first. A module that is not listed here fails the test.
const MAY_USE: &[(&str, &[&str])] = &[
    ("hash", &[]),
    ("telemetry", &[]),
    ("schema", &[]),
    ("limits", &["hash"]),
    ("proxy", &[]),
    ("simulator", &[]),
    ("cloud", &["hash", "limits", "proxy", "schema", "telemetry"]),
    ("api", &["cloud", "schema"]),
    ("account", &["api", "cloud", "limits", "schema"]),
    ("exposition", &["cloud"]),
    (
        "collector",
        &["account", "api", "exposition", "cloud", "hash", "limits", "proxy", "schema", "telemetry"],
    ),
    ("otlp", &["collector", "account", "exposition", "cloud", "hash", "limits", "telemetry"]),
    ("replicas", &["collector", "account", "api", "cloud", "exposition", "limits", "telemetry"]),
    (
        "controller",
        &["replicas", "collector", "account", "api", "cloud", "hash", "limits", "proxy", "telemetry"],
    ),
    ("standalone", &["account", "api", "cloud", "schema"]),
    ("server", &["replicas", "collector", "account", "exposition", "cloud", "limits", "telemetry"]),
    (
        "cli",
        &[
            "controller",
            "standalone",
            "server",
            "otlp",
            "replicas",
            "collector",
            "account",
            "exposition",
            "api",
            "cloud",
            "limits",
            "proxy",
            "schema",
            "simulator",
            "telemetry",
        ],
    ),
];

/// Crates that a module must not name: Kubernetes stays out of the modules that know only values and HTTP.
const MUST_NOT_NAME: &[(&str, &[&str])] = &[
    ("cloud", &["kube", "k8s_openapi", "axum"]),
    ("exposition", &["kube", "k8s_openapi", "axum", "reqwest", "tokio"]),
    ("simulator", &["kube", "k8s_openapi", "reqwest"]),
    ("collector", &["kube", "k8s_openapi", "axum", "reqwest"]),
    ("otlp", &["kube", "k8s_openapi", "axum"]),
    ("replicas", &["kube", "k8s_openapi", "axum", "reqwest"]),
    ("controller", &["axum", "reqwest"]),
    ("server", &["kube", "k8s_openapi", "reqwest"]),
    ("telemetry", &["kube", "k8s_openapi", "axum", "reqwest"]),
    ("limits", &["kube", "k8s_openapi", "axum", "reqwest", "http", "hyper"]),
];

/// The most lines that a file of `src` may have.
const LONGEST_FILE: usize = 450;

impl SourceFile {
    /// The top-level module that the file belongs to; `None` for the crate's root.
    fn top(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }

    /// The top-level modules that the file names, its own included.
    fn uses(&self) -> BTreeSet<&str> {
        self.paths.iter().filter_map(|path| path.first()).map(String::as_str).collect()
    }
}

#[test]
fn a_module_uses_only_what_lies_below_it() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for file in &Sources::read().files {
        let Some(top) = file.top() else { continue };
        let Some(may_use) = allowed.get(top) else {
            wrong.push(format!("{top} has no layer: add it to MAY_USE"));
            continue;
        };
        for used in file.uses().into_iter().filter(|used| *used != top && !may_use.contains(used)) {
            wrong.push(format!("{} uses {used}, which does not lie below {top}", file.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_of_layers_has_no_cycle() {
    let mut listed: BTreeSet<&str> = BTreeSet::new();
    for (module, may_use) in MAY_USE {
        let above: Vec<_> = may_use.iter().filter(|used| !listed.contains(**used)).collect();
        assert!(above.is_empty(), "{module} is listed before {above:?}, which it uses");
        listed.insert(module);
    }
}

#[test]
fn no_two_files_depend_on_each_other() {
    let sources = Sources::read();
    let arrows = sources.arrows();
    assert!(arrows.values().map(BTreeSet::len).sum::<usize>() > 100, "the reader sees no arrows: {arrows:?}");
    let cycles: Vec<String> = cycles::find(&arrows).iter().map(|cycle| cycle.join(" -> ")).collect();
    assert!(cycles.is_empty(), "files that depend on each other:\n{}", cycles.join("\n"));
}

#[test]
fn modules_keep_to_their_crates() {
    let mut wrong = Vec::new();
    for file in &Sources::read().files {
        for (module, forbidden) in MUST_NOT_NAME.iter().filter(|(module, _)| file.top() == Some(*module)) {
            for name in forbidden.iter().filter(|name| file.crates.contains(**name)) {
                wrong.push(format!("{} names {name}, which {module} must not know", file.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_of_the_source_is_longer_than_one_idea() {
    let length = |file: &SourceFile| file.text.lines().count();
    let files = Sources::read().files;
    let too_long: Vec<String> = files
        .iter()
        .filter(|file| length(file) > LONGEST_FILE)
        .map(|file| format!("{} has {} lines", file.name, length(file)))
        .collect();
    assert!(too_long.is_empty(), "split these: {}", too_long.join(", "));
}

mod reader {
    //! The reader of sources is held against small trees, since everything else rests on what it sees.

    use super::{Sources, cycles};

    fn tree(files: &[(&str, &str)]) -> Sources {
        Sources::parse(files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())))
    }

    /// The files that the first of these depends on.
    fn used_by_first(files: &[(&str, &str)]) -> Vec<String> {
        tree(files).arrows()[files[0].0].iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn each_form_of_path_is_an_arrow_to_the_file_that_defines_the_item() {
        let others =
            [("a/mod.rs", "pub use inner::Thing; pub struct Own;"), ("a/inner.rs", "pub struct Thing;")];
        for (code, target) in [
            ("use crate::a::inner::Thing;", "a/inner.rs"),
            ("use crate::a::Thing;", "a/inner.rs"),
            ("use crate::a::{Thing as Other};", "a/inner.rs"),
            ("use crate::a::Own;", "a/mod.rs"),
            ("fn f() -> crate::a::Own { todo!() }", "a/mod.rs"),
            ("fn f() { println!(\"{}\", crate::a::inner::thing()) }", "a/inner.rs"),
        ] {
            let files = [&[("b.rs", code)], &others[..]].concat();
            assert_eq!(used_by_first(&files), [target], "{code}");
        }
        let sibling = [("a/other.rs", "use super::inner::Thing; use super::Own;"), others[0], others[1]];
        assert_eq!(used_by_first(&sibling), ["a/inner.rs", "a/mod.rs"]);
        let child = [("a/mod.rs", "mod inner; fn f(thing: inner::Thing) {}"), others[1]];
        assert_eq!(used_by_first(&child), ["a/inner.rs"]);
    }

    #[test]
    fn a_table_of_contents_and_code_for_tests_are_no_arrows() {
        let child = ("a/inner.rs", "use super::Own;");
        assert!(
            used_by_first(&[("a/mod.rs", "mod inner; pub use inner::Thing; pub struct Own;"), child])
                .is_empty()
        );
        let tests = "#[cfg(test)] mod tests { use crate::a::inner::Thing; }";
        assert!(used_by_first(&[("b.rs", tests), ("a/mod.rs", ""), child]).is_empty());
    }

    #[test]
    fn a_circle_of_three_files_is_found_and_one_that_only_hangs_on_it_is_not_part_of_it() {
        let sources = tree(&[
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::c::C;"),
            ("c.rs", "use crate::a::A;"),
            ("d.rs", "use crate::a::A;"),
        ]);
        assert_eq!(cycles::find(&sources.arrows()), [["a.rs", "b.rs", "c.rs"]]);
    }
}
