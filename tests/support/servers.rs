//! Where the real servers are that some tests run: `make servers` builds them.

use std::path::PathBuf;

/// The binary of a real server or tool, such as `promtool`.
///
/// Looked for in the folder that `CAAS_TEST_SERVERS` names, else in `target/servers` of the project.
pub(crate) fn server(name: &str) -> PathBuf {
    let folder = std::env::var_os("CAAS_TEST_SERVERS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/servers"), PathBuf::from);
    let binary = folder.join(name);
    assert!(binary.is_file(), "{} is missing: build it with `make servers`", binary.display());
    binary
}
