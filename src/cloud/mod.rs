//! Clouds: what a provider's HTTP API is asked, and what came back, as plain values.
//!
//! Knows no Kubernetes and no custom resource. A provider is a folder of its own (`alauda`) behind the
//! [`Cloud`] trait; everything that providers share on the wire lies in [`http`].

pub mod alauda;
pub mod credentials;
pub mod error;
pub mod filter;
pub mod http;
pub mod model;

use futures::future::BoxFuture;

pub use credentials::Credentials;
pub use error::CloudError;
pub use filter::ServiceFilter;
pub use model::Collection;

/// One account at one provider, ready to be asked.
///
/// An implementation keeps what outlives a cycle (the session's token, the rate budget) and no data.
pub trait Cloud: Send + Sync {
    /// Fetches the inventory and the newest sample of every running instance, once.
    ///
    /// A failure that costs the whole cycle (login, first page) is the error; one that costs less
    /// stands inside the [`Collection`], where it happened. Dropping the future cancels all its requests.
    fn collect(&self) -> BoxFuture<'_, Result<Collection, CloudError>>;
}
