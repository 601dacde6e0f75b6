//! The manifests in `examples/` are what a reader may trust: each is taken as an API server would take it.

use std::path::Path;

use caas_operator::account::admission::Admission;
use caas_operator::cloud::Providers;
use caas_operator::standalone::{folder, manifests};

#[test]
fn every_example_makes_accounts_without_a_complaint() {
    let admission = Admission::new(Providers::ALL);
    for (path, accounts) in [("examples", 7), ("examples/several-accounts", 2)] {
        let texts = folder::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        assert!(!texts.is_empty());
        let parse = |(name, text): (&String, &Result<String, String>)| {
            manifests::parse(&admission, name, text.as_ref().unwrap())
        };
        let files: Vec<_> = texts.iter().map(parse).collect();
        let desired = manifests::desired(Providers::ALL, &files, |_| Ok(()));
        assert_eq!(desired.faults, [], "{path}");
        assert_eq!(desired.problems, [], "{path}");
        assert_eq!(desired.accounts.len(), accounts, "{path}");
    }
}
