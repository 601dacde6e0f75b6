//! The name of an account.

use std::fmt;
use std::sync::Arc;

/// Which account: namespace and name of its CaasAccount.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId {
    /// The CaasAccount's namespace.
    pub namespace: Arc<str>,
    /// The CaasAccount's name.
    pub name: Arc<str>,
}

impl AccountId {
    /// The account of this namespace and name.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The path under which the account's series are served.
    pub fn metrics_path(&self) -> String {
        format!("/accounts/{}/{}/metrics", self.namespace, self.name)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}
