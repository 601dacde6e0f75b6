//! The fenced blocks of the pages that people read, and the marks before them. Knows nothing of how a block is run.
//!
//! A block of commands has the language `sh`. An HTML comment on the line before it says how it differs from commands that
//! are simply typed: see [`Mark`].

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// What the tests have no means to run. A mark gives one of these as its reason.
pub(crate) const REASONS: [&str; 9] = [
    "compiles for minutes",
    "needs a container engine",
    "needs a registry",
    "needs a kubelet",
    "needs Argo CD",
    "needs Flux",
    "needs OpenShift",
    "needs Grafana Alloy",
    "needs the tools of Cloud Foundry",
];

/// The mark of a page that begins where the README ends: the operator is installed, and the first account is ready.
pub(crate) const CONTINUES: &str = "<!-- continues README.md -->";

/// How a block is to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Typed, in the page's order; it has to succeed.
    Typed,
    /// `<!-- not run: REASON -->`
    NotRun(&'static str),
    /// `<!-- until Ctrl-C -->`: it runs in the foreground, and the next block is typed in another terminal.
    UntilCtrlC,
    /// `<!-- new cluster -->`: an alternative to what stands before it on the page.
    NewCluster,
}

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    /// The line of its fence, counted from 1.
    pub(crate) line: usize,
    /// The heading that it stands under, without `#`.
    pub(crate) section: String,
    /// The word behind the fence.
    pub(crate) language: String,
    /// Its mark.
    pub(crate) mark: Mark,
    /// Its lines, without the indentation of the fence.
    pub(crate) text: String,
}

/// Every page, by its path in the project: the README first.
pub(crate) fn pages() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["docs", "docs/providers", "docs/runbooks"] {
        let entries = std::fs::read_dir(project().join(folder)).expect("the pages' folder");
        for entry in entries {
            let name = entry.expect("a page").file_name().into_string().expect("a name");
            if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
                found.push(format!("{folder}/{name}"));
            }
        }
    }
    found.sort();
    [vec!["README.md".to_owned(), "charts/caas-operator/README.md".to_owned()], found].concat()
}

/// The text of a page.
pub(crate) fn page(path: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(project().join(path)).with_context(|| path.to_owned())
}

/// The blocks of a page, in its order; fails for a fence that does not end and for a mark that is none.
pub(crate) fn blocks(text: &str) -> anyhow::Result<Vec<Block>> {
    let (mut found, mut section, mut before) = (Vec::new(), String::new(), "");
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let inner = line.trim_start();
        let Some(language) = inner.strip_prefix("```") else {
            if let Some(heading) = line.strip_prefix('#') {
                heading.trim_start_matches('#').trim().clone_into(&mut section);
            }
            if !inner.is_empty() {
                before = inner;
            }
            continue;
        };
        let indentation = &line[..line.len() - inner.len()];
        let mut text = String::new();
        loop {
            let (_, line) =
                lines.next().with_context(|| format!("line {}: the block has no end", number + 1))?;
            if line.trim() == "```" {
                break;
            }
            text.push_str(line.strip_prefix(indentation).unwrap_or(line.trim_start()));
            text.push('\n');
        }
        let mark = mark(before).with_context(|| format!("line {number}"))?;
        found.push(Block {
            line: number + 1,
            section: section.clone(),
            language: language.to_owned(),
            mark,
            text,
        });
        before = "";
    }
    Ok(found)
}

/// The commands under a heading, of all its blocks.
pub(crate) fn commands(path: &str, section: &str) -> anyhow::Result<Vec<String>> {
    let blocks = blocks(&page(path)?)?;
    let found = blocks.into_iter().filter(|block| block.section == section && block.language == "sh");
    let found: Vec<_> = found.map(|block| block.text).collect();
    if found.is_empty() {
        bail!("{path} has no commands under {section}");
    }
    Ok(found)
}

/// The mark that a line is; a line that is no comment marks nothing.
fn mark(line: &str) -> anyhow::Result<Mark> {
    let Some(comment) = line.strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->")) else {
        return Ok(Mark::Typed);
    };
    match comment.trim() {
        "until Ctrl-C" => Ok(Mark::UntilCtrlC),
        "new cluster" => Ok(Mark::NewCluster),
        _ if line == CONTINUES => Ok(Mark::Typed),
        other => {
            let reason = other.strip_prefix("not run: ").context("there is no such mark")?;
            let known = REASONS.into_iter().find(|known| *known == reason);
            known.map(Mark::NotRun).with_context(|| format!("{reason:?} is none of {REASONS:?}"))
        }
    }
}

fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
