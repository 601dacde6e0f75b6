//! Installs the process's one crypto provider and hands over to the command line.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Gives memory back that a large account has freed. glibc's allocator keeps it, once for each thread that ever needed much:
/// the process grows to several times what it holds.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // First of all: with two providers linked, the first use of TLS would panic. It fails only if one is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    caas_operator::cli::main()
}
