//! The variants in which the chart is installed: a values file for each (`tests/chart/values`).

use std::path::{Path, PathBuf};

/// The values files by name, and `None` for the chart's defaults.
pub(crate) fn ways() -> Vec<Option<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/values");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    std::iter::once(None).chain(files.into_iter().map(Some)).collect()
}
