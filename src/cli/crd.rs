//! `caas-operator crd`: prints the definition of the custom resource, to be installed with `kubectl apply -f -`.

use std::io::{self, Write};

use thiserror::Error;

use crate::api;

/// Why the definition could not be printed.
#[derive(Debug, Error)]
pub enum CrdError {
    /// Does not happen with the definition as it stands; the text says what to report.
    #[error("the definition cannot be written as YAML, please report it: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
    /// The output is closed or full.
    #[error("the definition cannot be printed: {0}")]
    Output(#[from] io::Error),
}

/// The definition as YAML, ending in a newline.
pub fn text() -> Result<String, CrdError> {
    let yaml = serde_saphyr::to_string(&api::crd())?;
    Ok(format!("# Made by `caas-operator crd`; do not edit.\n{}\n", yaml.trim_end()))
}

/// Prints the definition.
pub fn run(mut out: impl Write) -> Result<(), CrdError> {
    out.write_all(text()?.as_bytes())?;
    Ok(out.flush()?)
}
