//! `caas-operator crd`: prints the definition of the custom resource, to be installed with `kubectl apply -f -`.

use std::io::{self, Write};

use thiserror::Error;

use crate::api;

/// What `--help` shows below the options.
pub(super) const EXAMPLES: &str = "Examples:
  caas-operator crd | kubectl apply -f -
  caas-operator crd > caasaccounts.yaml";

/// Why the definition could not be printed.
#[derive(Debug, Error)]
pub(super) enum CrdError {
    /// Does not happen with the definition as it stands; the text says what to report.
    #[error("the definition cannot be written as YAML, please report it: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
    /// The output is closed or full.
    #[error("the definition cannot be printed: {0}")]
    Output(#[from] io::Error),
}

/// The definition as YAML, ending in a newline.
fn text() -> Result<String, CrdError> {
    let yaml = serde_saphyr::to_string(&api::crd())?;
    Ok(format!("# Made by `caas-operator crd`; do not edit.\n{}\n", yaml.trim_end()))
}

/// Prints the definition.
pub(super) fn run(mut out: impl Write) -> Result<(), CrdError> {
    out.write_all(text()?.as_bytes())?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_in_crds_is_what_the_program_prints() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/caasaccounts.yaml");
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(text().unwrap() == kept, "run `make generate` and look at the difference");
    }
}
