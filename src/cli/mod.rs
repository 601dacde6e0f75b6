//! The command line: a file each command.

pub mod crd;
