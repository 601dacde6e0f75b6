//! `caas-operator crd`: prints the CRD, to be installed with `kubectl apply --server-side -f -`.

use std::io::{self, Write};

use thiserror::Error;

use crate::api;
use crate::cloud::Providers;

/// What `--help` shows below the options.
pub(super) const EXAMPLES: &str = "Examples:
  caas-operator crd | kubectl apply --server-side -f -
  caas-operator crd > caasaccounts.yaml";

/// Why the CRD could not be printed.
#[derive(Debug, Error)]
pub(super) enum CrdError {
    /// Does not happen with the current CRD; the message says what to report.
    #[error("the CRD cannot be written as YAML, please report this: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
    /// The output is closed or full.
    #[error("the CRD cannot be printed: {0}")]
    Output(#[from] io::Error),
}

/// The CRD as YAML, ending in a newline.
fn text() -> Result<String, CrdError> {
    let yaml = serde_saphyr::to_string(&api::crd(Providers::ALL))?;
    Ok(format!("# Made by `caas-operator crd`; do not edit.\n{}\n", yaml.trim_end()))
}

/// Prints the CRD.
pub(super) fn run(mut out: impl Write) -> Result<(), CrdError> {
    out.write_all(text()?.as_bytes())?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crd_in_the_repository_is_what_the_program_prints() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/caasaccounts.yaml");
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(text().unwrap() == kept, "run `make generate` and review the difference");
    }
}
