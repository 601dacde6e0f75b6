//! What a simulated cloud does wrong, on demand: `fault` says what and on which requests, `parse` is the grammar
//! of the command line, `active` holds the active faults, and `wire` applies them to responses.

mod active;
mod content;
mod fault;
pub(super) mod parse;
#[cfg(test)]
mod tests;
pub(super) mod wire;

pub(super) use active::Faults;
pub use content::ContentFaults;
pub(super) use content::NameFormat;
pub use fault::{Fault, FaultError, FaultKind, RetryAfter, Revocation, Scope};
