//! The blocks of the pages are told apart by their language: commands, which `tests/release` types, or something to read.

use crate::blocks::{Mark, blocks, page, pages};

/// Every language of a block. Commands are `sh` throughout.
const LANGUAGES: [&str; 7] = ["sh", "text", "yaml", "promql", "alloy", "lua", "json"];

/// What a line begins with that somebody is to type.
const PROGRAMS: [&str; 14] = [
    "$ ",
    "cargo ",
    "caas-operator ",
    "curl ",
    "docker ",
    "helm ",
    "kind ",
    "kubectl ",
    "make ",
    "oc ",
    "promtool ",
    "flux ",
    "argocd ",
    "export ",
];

/// The lines of a page that are indented like a block outside of any fence: after an empty line, by four spaces, in no list.
fn indented(text: &str) -> Vec<&str> {
    let (mut found, mut fenced, mut in_list, mut before) = (Vec::new(), false, false, "");
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let is_item = line.trim_start().starts_with(['-', '*'])
            || line.starts_with(|first: char| first.is_ascii_digit());
        in_list = is_item || (in_list && (line.is_empty() || line.starts_with(' ')));
        if !fenced && !in_list && before.is_empty() && line.starts_with("    ") {
            found.push(line);
        }
        before = line;
    }
    found
}

#[test]
fn every_command_of_a_page_is_in_a_block_that_is_typed_or_says_why_not() {
    let (mut typed, mut marked) = (0, 0);
    for path in pages() {
        let text = page(&path).unwrap();
        assert_eq!(indented(&text), Vec::<&str>::new(), "{path}: fence it, with a language");
        for block in blocks(&text).unwrap_or_else(|error| panic!("{path}: {error:#}")) {
            let place = format!("{path}:{}", block.line);
            assert!(
                LANGUAGES.contains(&&*block.language),
                "{place}: {:?} is none of {LANGUAGES:?}",
                block.language
            );
            if block.language == "sh" {
                if matches!(block.mark, Mark::NotRun(_)) {
                    marked += 1;
                } else {
                    typed += 1;
                }
                continue;
            }
            assert_eq!(block.mark, Mark::Typed, "{place}: a mark before what is no command");
            // The reference page shows what `--help` prints, with its examples.
            if path != "docs/cli.md" && block.language == "text" {
                let command =
                    block.text.lines().find(|line| PROGRAMS.iter().any(|program| line.starts_with(program)));
                assert_eq!(command, None, "{place}: write it as sh");
            }
        }
    }
    println!("{typed} blocks of commands are typed, {marked} are marked");
    assert!(typed > 30 && marked < typed / 2, "{typed} typed, {marked} marked");
}

#[test]
fn the_index_names_every_page_and_runbooks_by_that_of_alerts() {
    let index = page("docs/README.md").unwrap();
    for path in pages().iter().filter_map(|path| path.strip_prefix("docs/")) {
        let is_index = path == "README.md" || path.starts_with("runbooks/");
        assert!(is_index || index.contains(&format!("]({path})")), "docs/README.md does not name {path}");
    }
}

#[test]
fn the_versions_that_are_said_to_be_tested_are_those_that_the_tests_build() {
    let built = page("tests/servers/README.md").unwrap();
    let support = page("docs/support.md").unwrap();
    let manifest = page("Cargo.toml").unwrap();
    for (program, module) in [
        ("Kubernetes", "kubernetes"),
        ("Prometheus", "prometheus"),
        ("Prometheus Operator", "prometheus-operator"),
        ("Helm", "helm"),
        ("OpenTelemetry Collector", "otelcol"),
    ] {
        let row = |text: &str, first: &str| {
            let row = text.lines().find(|line| line.starts_with(&format!("| {first} |"))).unwrap();
            row.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
        };
        let tested = row(&support, program)[3].clone();
        let version = row(&built, &format!("`{module}`"))[2].clone();
        let is_named = version.split([' ', ',']).any(|word| word == tested);
        assert!(is_named, "{program}: docs/support.md says {tested}, built is {version}");
    }
    let oldest = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
    let oldest = oldest.trim_matches('"');
    assert!(support.contains(&format!("| Rust, for building | {oldest} or newer |")), "{oldest}");
}

#[test]
fn a_block_is_found_with_its_mark_wherever_it_is_indented() {
    let page = "# A\n## B\n1. One:\n\n   <!-- until Ctrl-C -->\n   ```sh\n   a \\\n     b\n   ```\n```text\nc\n```\n";
    let found = blocks(page).unwrap();
    assert_eq!((found[0].line, &*found[0].section, found[0].mark), (6, "B", Mark::UntilCtrlC));
    assert_eq!(found[0].text, "a \\\n  b\n");
    assert_eq!((&*found[1].language, found[1].mark), ("text", Mark::Typed));
}

#[test]
fn a_mark_that_is_none_and_a_reason_that_is_not_on_the_list_are_refused() {
    for mark in ["<!-- not run: no time -->", "<!-- later -->"] {
        assert!(blocks(&format!("{mark}\n```sh\na\n```\n")).is_err(), "{mark}");
    }
    assert!(blocks("```sh\na\n").is_err());
}
