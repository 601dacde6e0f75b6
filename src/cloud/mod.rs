//! Clouds: queries a provider's HTTP API and turns its responses into plain values.
//!
//! Knows no Kubernetes and no custom resource. A provider is a folder of its own (`alauda`) that describes
//! itself as a [`Provider`] and collects as a [`Cloud`]; what providers share on the wire is in [`http`].

pub mod alauda;
pub mod cloudfoundry;
pub mod credentials;
pub mod digitalocean;
pub mod error;
pub mod filter;
pub mod http;
pub mod kit;
pub mod model;
pub mod northflank;
pub mod provider;
pub mod providers;
pub mod railway;
pub mod render;
pub mod secret;
pub mod variables;

use futures::future::BoxFuture;

pub use credentials::Credentials;
pub use error::CloudError;
pub use filter::ServiceFilter;
pub use model::Collection;
pub use provider::{Provider, ProviderAccount};
pub use providers::Providers;
pub use variables::{Part, Variable};

/// A client for one account at one provider.
///
/// An implementation keeps what outlives a cycle (the session's token, the rate budget) and no data.
pub trait Cloud: Send + Sync {
    /// Fetches the inventory of the services that `filter` selects and the newest sample of every running instance,
    /// once.
    ///
    /// A failure that costs the whole cycle (login, first page) is the error. A smaller one is inside the
    /// [`Collection`], where it happened. Dropping the future cancels all its requests.
    fn collect<'a>(&'a self, filter: &'a ServiceFilter) -> BoxFuture<'a, Result<Collection, CloudError>>;

    /// What it keeps from one cycle to the next, in bytes. 0 where that is bounded without the cloud's doing.
    fn kept_bytes(&self) -> usize {
        0
    }

    /// Drops what it keeps: the account has to give up its memory.
    fn forget(&self) {}
}
