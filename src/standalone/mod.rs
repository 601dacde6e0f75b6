//! Accounts without a cluster: the same CaasAccount and Secret manifests, read from a folder and followed.
//!
//! Knows no supervisor: what should run leaves as a value, [`Desired`], each time that it changed.

pub mod environment;
pub mod folder;
pub mod manifests;
pub mod text;
pub mod variables;
pub mod watch;

use std::fmt;

use crate::account::{Account, Uncollected};

pub use watch::watch;

/// What the manifests define.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Desired {
    /// The accounts to collect, by namespace and name.
    pub accounts: Vec<Account>,
    /// The accounts that cannot be collected, by namespace and name, and why: what a condition would say.
    pub problems: Vec<Uncollected>,
    /// Files and documents that could not be used.
    pub faults: Vec<Fault>,
}

/// A file or a document of it that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it is.
    pub location: Location,
    /// What is wrong and what to do; never a value of a Secret.
    pub message: String,
}

/// A location in a folder of manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Name of the file.
    pub file: String,
    /// Number of the document in the file, from 1; 0 where it is the file as a whole.
    pub document: usize,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if self.document > 0 {
            write!(formatter, ", document {}", self.document)?;
        }
        self.line.map_or(Ok(()), |line| write!(formatter, ", line {line}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.location, self.message)
    }
}
