//! Reads the manifests of a folder: `*.yaml`, `*.yml` and `*.json`, not hidden, not in folders below.
//!
//! Links are followed, so that a mounted `ConfigMap` or Secret, whose files are links into a hidden folder, works.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use super::text;

/// The most bytes of one file that are read.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// The texts of a folder's manifests by file name, or why a file could not be read.
pub type Texts = BTreeMap<String, Result<String, String>>;

/// Reads a folder; blocks. Fails where the folder itself cannot be listed.
pub fn read(folder: &Path) -> io::Result<Texts> {
    let mut texts = Texts::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| is_manifest(name))
        else {
            continue;
        };
        match content(&path) {
            Ok(Some(bytes)) => {
                let text = text::decode(bytes).map_err(|broken| format!("cannot be read: {broken}"));
                texts.insert(name.to_owned(), text);
            }
            Ok(None) => tracing::debug!(file = name, "is not a file, skipped"),
            // Gone between listing and reading: as if it had not been listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => drop(texts.insert(name.to_owned(), Err(format!("cannot be read: {error}")))),
        }
    }
    Ok(texts)
}

fn is_manifest(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    !name.starts_with('.') && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// A file's bytes; nothing where it is no regular file, since reading a pipe could wait for ever.
fn content(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Ok(None);
    }
    if metadata.len() > LARGEST_FILE {
        return Err(io::Error::other(format!("it is larger than {LARGEST_FILE} bytes: split it")));
    }
    fs::read(path).map(Some)
}
