//! The custom resource `CaasAccount` (`caas-operator.io/v1alpha1`): what people write, and what they read back.
//!
//! Only types, their schema and the rules that an API server applies to them. Does no I/O. Of clouds it knows what a
//! provider says of its settings, for the schema.

pub mod cel;
pub mod condition;
mod crd;
pub mod provider;
pub mod spec;
pub mod status;

pub use condition::{ConditionType, Finding, Reason, shortened};
pub use crd::crd;
pub use provider::ProviderSpec;
pub use spec::{CaasAccount, CaasAccountSpec};
pub use status::CaasAccountStatus;

pub use crate::schema::Duration;

/// The API group.
pub const GROUP: &str = "caas-operator.io";

/// `apiVersion` of every CaasAccount.
pub const API_VERSION: &str = "caas-operator.io/v1alpha1";

/// `kind` of every CaasAccount.
pub const KIND: &str = "CaasAccount";

#[cfg(test)]
mod tests;
