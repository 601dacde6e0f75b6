//! The definition itself.

use super::*;

#[test]
fn the_definition_in_crds_is_what_the_program_prints() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/caasaccounts.yaml");
    let printed = crate::cli::crd::text().unwrap();
    if std::env::var_os("UPDATE_CRDS").is_some() {
        std::fs::write(path, &printed).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(printed == kept, "run `caas-operator crd > crds/caasaccounts.yaml` and look at the difference");
}
