//! Files that depend on each other, directly or through others.

use std::collections::{BTreeMap, BTreeSet};

/// The groups of files of which each reaches all others of its group.
pub(crate) fn find<'a>(arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<Vec<&'a str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        arrows.keys().map(|file| (*file, reached_from(file, arrows))).collect();
    let mut groups: Vec<Vec<&str>> = Vec::new();
    for file in arrows.keys().copied().filter(|file| reached[file].contains(file)) {
        if groups.iter().any(|group| group.contains(&file)) {
            continue;
        }
        let group = reached[file].iter().copied().filter(|other| reached[other].contains(file));
        groups.push(group.collect());
    }
    groups
}

/// The files that one leads to, over any number of arrows.
fn reached_from<'a>(file: &str, arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = arrows.get(file).into_iter().flatten().copied().collect();
    while let Some(next) = open.pop() {
        if reached.insert(next) {
            open.extend(arrows.get(next).into_iter().flatten());
        }
    }
    reached
}
