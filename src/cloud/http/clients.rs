//! One HTTP client per set of trusted certificates, shared by all accounts of the process.
//!
//! A client per account would cost more than 100 KB each, and connections of its own to the same host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use rustls::RootCertStore;
use thiserror::Error;

use super::guard::Policy;
use super::resolve::{GuardedResolver, Lookup, Lookups};
use super::tls::{self, CaBundleProblem};

/// From the first packet to the end of the TLS handshake, over all addresses of a name.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the default interval of 30 s, so that a cycle finds the connections of the one before.
///
/// Nothing here bounds the age of a connection that each cycle uses. A cloud whose name moved is found at its new address
/// once the old one closes the connection or fails, as it does when it is taken out of service; servers and load
/// balancers also close connections after a number of requests or some minutes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// Why there is no client.
#[derive(Debug, Error)]
pub enum ClientProblem {
    /// The account's CA bundle cannot be used.
    #[error("the CA bundle cannot be used: {0}")]
    CaBundle(#[from] CaBundleProblem),
    /// The TLS library rejects its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP library rejects its settings.
    #[error("the HTTP client cannot be set up")]
    Http(#[source] reqwest::Error),
}

/// An HTTP client, with its connections and the certificates that it trusts.
pub(super) struct Client {
    pub(super) http: reqwest::Client,
    /// Whether it trusts any certificate. Without one, no https request can succeed.
    pub(super) has_roots: bool,
}

/// The CA bundle (PEM) that a client trusts; `None` means the system's certificates.
type TrustedBundle = Option<Arc<[u8]>>;

/// The clients in use, by the bundle that they trust.
pub(super) struct Clients {
    policy: Arc<Policy>,
    lookups: Arc<Lookups>,
    in_use: Mutex<HashMap<TrustedBundle, Weak<Client>>>,
}

impl Clients {
    pub(super) fn new(policy: Arc<Policy>, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy, lookups: Arc::new(Lookups::new(lookup)), in_use: Mutex::default() }
    }

    /// The client that trusts this CA bundle (PEM) or, without one, the system's certificates.
    pub(super) fn get(&self, ca_bundle: Option<&[u8]>) -> Result<Arc<Client>, ClientProblem> {
        let key = ca_bundle.map(Arc::<[u8]>::from);
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = in_use.get(&key).and_then(Weak::upgrade) {
            return Ok(client);
        }
        let roots = ca_bundle.map_or_else(|| Ok(tls::system_roots()), tls::bundled_roots)?;
        let client = Arc::new(self.build(roots)?);
        in_use.retain(|_, other| other.strong_count() > 0);
        in_use.insert(key, Arc::downgrade(&client));
        Ok(client)
    }

    fn build(&self, roots: RootCertStore) -> Result<Client, ClientProblem> {
        let has_roots = !roots.is_empty();
        let resolver =
            GuardedResolver { policy: Arc::clone(&self.policy), lookups: Arc::clone(&self.lookups) };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(roots)?)
            .dns_resolver(resolver)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .http1_only()
            .gzip(true)
            .referer(false)
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .default_headers(HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]))
            .build()
            .map_err(ClientProblem::Http)?;
        Ok(Client { http, has_roots })
    }
}

#[cfg(test)]
mod tests {
    use super::super::global_limits::{Capacity, GlobalLimits};
    use super::super::resolve::SystemLookup;
    use super::super::{AccountClient, AccountLimits, ApiRequest, ClientState};
    use super::*;
    use crate::cloud::CloudError;
    use crate::cloud::error::Unreachable;
    use crate::limits::ProcessLimits;
    use crate::telemetry::Metrics;

    fn clients() -> Clients {
        Clients::new(Arc::default(), Arc::new(SystemLookup))
    }

    fn bundle() -> Vec<u8> {
        rcgen::generate_simple_self_signed(vec!["a.example.com".to_owned()]).unwrap().cert.pem().into_bytes()
    }

    #[test]
    fn accounts_that_trust_the_same_bundle_share_a_client_and_others_do_not() {
        let clients = clients();
        let (ours, theirs) = (bundle(), bundle());
        let first = clients.get(Some(&ours)).unwrap();
        assert!(Arc::ptr_eq(&first, &clients.get(Some(&ours)).unwrap()));
        assert!(!Arc::ptr_eq(&first, &clients.get(Some(&theirs)).unwrap()));
    }

    #[test]
    fn an_unused_client_is_removed() {
        let clients = clients();
        drop(clients.get(Some(&bundle())).unwrap());
        let _kept = clients.get(Some(&bundle())).unwrap();
        assert_eq!(clients.in_use.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_system_without_certificates_is_reported_as_such_and_not_as_a_fault_of_the_cloud() {
        let client = clients().build(RootCertStore::empty()).unwrap();
        let limits = AccountLimits {
            request_timeout: Duration::from_secs(1),
            max_concurrent: 1,
            requests_per_second: 1,
        };
        let account = AccountClient {
            policy: Arc::default(),
            client: Arc::new(client),
            quota: GlobalLimits::new(Capacity::default()).account("team-a"),
            workers: ProcessLimits::default().workers.of("team-a"),
            memory: ProcessLimits::default().memory.holder("team-a", "acme"),
            limits,
            state: Arc::new(ClientState::new(limits)),
            rate: None,
            meter: Metrics::new().account("team-a", "acme"),
        };
        let request = ApiRequest::new("services", "https://caas.example.com/v1/".parse().unwrap(), 1);
        let fetched = account.fetch(&request, |_| Ok::<(), CloudError>(())).await;
        assert_eq!(fetched, Err(CloudError::Unreachable(Unreachable::NoRoots)));
    }
}
