//! The image: its build context and its file system: the static binary in an empty root with CA
//! certificates only, read-only, as user 65532, with a name server of its own. Needs Linux, util-linux and
//! `target/static` (`make static`).
//!
//! A test of the file system starts itself again in its own namespaces, where it may mount, and where port 53 is
//! free.

// Helpers of tests, outside test functions: what cannot be set up fails the test, as it should.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/authority.rs"]
mod authority;
#[path = "../cluster/harness/mod.rs"]
mod control;
#[path = "../support/namespaces.rs"]
mod namespaces;
#[path = "../support/servers.rs"]
mod servers;

mod cloud;
mod context;
mod inside;
mod operator;
mod root;
mod standalone;

use std::fs;
use std::path::{Path, PathBuf};

fn binary() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/static/caas-operator");
    assert!(path.exists(), "{} is missing: build it with `make static`", path.display());
    path
}

/// The program header that names a dynamic loader (ELF, 64 bits, little endian).
const PT_INTERP: u32 = 3;

#[test]
#[ignore = "needs the static binary: run make test"]
fn the_binary_needs_no_dynamic_loader() {
    let elf = fs::read(binary()).unwrap();
    assert_eq!(&elf[..4], b"\x7fELF");
    let number = |at: usize, bytes: usize| {
        elf[at..at + bytes].iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    let (start, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    assert!(count > 0);
    for header in 0..count {
        assert_ne!(number(start + header * size, 4), PT_INTERP as usize, "the binary is linked dynamically");
    }
}
