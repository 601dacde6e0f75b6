//! Who shares the accounts, and what a member does with one.

use std::sync::Arc;

use tokio::time::Instant;

/// A replica that holds a live Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its pod's name.
    pub name: Arc<str>,
    /// Host and port of its main port.
    pub address: Arc<str>,
}

/// What this replica does with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Share {
    /// It collects it.
    Mine,
    /// It collects it, unless this live member goes on with it, which may not have been told of this replica.
    MineUnless(Member),
    /// It collects it from then on; until then another one may.
    Later(Instant),
    /// This member collects it.
    Of(Member),
}

impl Share {
    /// Whether this replica collects the account, or asks another one whether it may.
    pub fn is_mine(&self) -> bool {
        matches!(self, Self::Mine | Self::MineUnless(_))
    }
}

/// A member's Lease as it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenLease {
    /// Who holds it.
    pub member: Member,
    /// The object's UID.
    pub uid: String,
    /// The object's `resourceVersion`, which each renewal changes.
    pub version: String,
}

#[cfg(test)]
impl Member {
    /// A member of this name.
    pub(super) fn test(name: &str) -> Self {
        Self { name: name.into(), address: format!("{name}:8080").into() }
    }
}
