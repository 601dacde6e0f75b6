//! Installs the process's one crypto provider and hands over to the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: with two providers linked, the first use of TLS would panic. It fails only if one is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    caas_operator::cli::main()
}
