//! One HTTP client per set of trusted certificates, shared by all accounts of the process.
//!
//! A client per account would cost more than 100 KB each, and connections of its own to the same host.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::response::Parts;
use hyper::body::Incoming;
use hyper::ext::on_informational;
use ipnet::{Ipv4Net, Ipv6Net};
use rustls::ClientConfig;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::body;
use super::connector::{Connection, Connector};
use super::guard::Policy;
use super::pool::{Destination, Pool, Pooled};
use super::request::ApiRequest;
use super::resolve::{GuardedResolver, Lookup, Lookups};
use super::tls::{self, CaBundleProblem, Trusted};
use crate::cloud::CloudError;
use crate::cloud::error::AnswerProblem;
use crate::hash::keyed_hash;

/// The most informational (1xx) answers before an answer.
const MAX_INFORMATIONAL: usize = 3;
/// How long an answer that is read may take to set its connection free: a turn of the task that drives it.
const READY_TIMEOUT: Duration = Duration::from_millis(100);

/// Why there is no client.
#[derive(Debug, Error)]
pub enum ClientProblem {
    /// The account's CA bundle cannot be used.
    #[error("the CA bundle cannot be used: {0}")]
    CaBundle(#[from] CaBundleProblem),
    /// The TLS library rejects its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// TLS settings for another client than those of clouds: they trust this CA bundle (PEM) or, without one, the system's
/// certificates.
pub(crate) fn client_config(ca_bundle: Option<&[u8]>) -> Result<ClientConfig, ClientProblem> {
    let trusted = ca_bundle.map_or_else(|| Ok(tls::system()), tls::bundle)?;
    Ok(tls::client_config(trusted)?)
}

/// An HTTP client, with its connections and the certificates that it trusts.
pub(super) struct Client {
    /// Tells its idle connections from those of other clients.
    id: u64,
    bundle: TrustedBundle,
    connector: Connector,
    pool: Arc<Pool<Connection>>,
    /// Whether it trusts any certificate. Without one, no https request can succeed.
    pub(super) has_roots: bool,
}

/// An answer whose head has come.
pub(super) struct Answer {
    pub(super) head: Parts,
    pub(super) body: Incoming,
    /// What carries it, free again once the body has come.
    connection: Connection,
    destination: Destination,
}

impl Pooled for Connection {
    fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }
}

impl Client {
    /// Sends the request of an account of this namespace over an idle connection or a new one, and waits for the head of the
    /// answer. No redirect is followed, and no proxy is used but the administrator's.
    ///
    /// Dropping the future or the answer closes the connection.
    pub(super) async fn send(
        &self,
        request: &ApiRequest,
        namespace: &Arc<str>,
    ) -> Result<Answer, CloudError> {
        let destination = Destination { client: self.id, origin: request.url.origin() };
        loop {
            let idle = self.pool.take(&destination);
            let is_new = idle.is_none();
            let mut connection = match idle {
                Some(connection) => connection,
                // In a box: few requests need it, and each would be larger by it.
                None => Box::pin(self.connector.connect(&request.url, namespace)).await?,
            };
            let informational = Arc::new(Informational::default());
            let mut sent = request.to_http()?;
            let counted = Arc::clone(&informational);
            on_informational(&mut sent, move |_| counted.count());
            let answer = tokio::select! {
                answer = connection.sender.try_send_request(sent) => answer,
                () = informational.limit.notified() => return Err(AnswerProblem::Informational.into()),
            };
            match answer {
                // They may have come together with the answer.
                Ok(_) if informational.is_exceeded() => return Err(AnswerProblem::Informational.into()),
                Ok(answer) => {
                    let (head, body) = answer.into_parts();
                    return Ok(Answer { head, body, connection, destination });
                }
                // The server closed an idle connection before anything was written to it.
                Err(failed) if failed.message().is_some() && !is_new => {}
                Err(failed) => return Err(body::failure(failed.error())),
            }
        }
    }

    /// Ends an exchange: its connection is kept for later requests, unless the answer has not come to its end.
    pub(super) async fn finish(&self, answer: Answer, namespace: &Arc<str>) {
        let Answer { body, mut connection, destination, .. } = answer;
        drop(body);
        // The task that drives the connection has to see the end of the answer first.
        if matches!(timeout(READY_TIMEOUT, connection.sender.ready()).await, Ok(Ok(()))) {
            self.pool.put(destination, Arc::clone(namespace), connection);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.pool.remove(self.id);
    }
}

/// The informational (1xx) answers before an answer: some are usual, a flood of them costs CPU until the deadline.
#[derive(Default)]
struct Informational {
    seen: AtomicUsize,
    limit: Notify,
}

impl Informational {
    fn count(&self) {
        self.seen.fetch_add(1, Ordering::Relaxed);
        if self.is_exceeded() {
            self.limit.notify_one();
        }
    }

    fn is_exceeded(&self) -> bool {
        self.seen.load(Ordering::Relaxed) > MAX_INFORMATIONAL
    }
}

/// The CA bundle (PEM) that a client trusts; `None` means the system's certificates.
type TrustedBundle = Option<Arc<[u8]>>;

/// The clients in use, by the hash of the bundle that they trust.
pub(super) struct Clients {
    policy: Arc<Policy>,
    lookups: Arc<Lookups>,
    pool: Arc<Pool<Connection>>,
    in_use: Mutex<HashMap<Option<u64>, Weak<Client>>>,
    made: AtomicU64,
}

impl Clients {
    /// Clients that keep `max_idle` idle connections between them.
    pub(super) fn new(policy: Arc<Policy>, lookup: Arc<dyn Lookup>, max_idle: usize) -> Self {
        Self::sharing(policy, Arc::new(Lookups::new(lookup)), max_idle)
    }

    /// The same with another number of idle connections, and no client yet.
    pub(super) fn with_max_idle(&self, max_idle: usize) -> Self {
        Self::sharing(Arc::clone(&self.policy), Arc::clone(&self.lookups), max_idle)
    }

    fn sharing(policy: Arc<Policy>, lookups: Arc<Lookups>, max_idle: usize) -> Self {
        let pool = Arc::new(Pool::new(max_idle));
        Self { policy, lookups, pool, in_use: Mutex::default(), made: AtomicU64::new(0) }
    }

    /// The client that trusts this CA bundle (PEM) or, without one, the system's certificates.
    pub(super) fn get(&self, ca_bundle: Option<&Arc<[u8]>>) -> Result<Arc<Client>, ClientProblem> {
        let key = ca_bundle.map(keyed_hash);
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let known = in_use.get(&key).and_then(Weak::upgrade);
        if let Some(client) = known.filter(|client| client.bundle.as_ref() == ca_bundle) {
            return Ok(client);
        }
        let trusted = ca_bundle.map_or_else(|| Ok(tls::system()), |pem| tls::bundle(pem))?;
        let client = Arc::new(self.build(ca_bundle.cloned(), trusted)?);
        in_use.retain(|_, other| other.strong_count() > 0);
        in_use.insert(key, Arc::downgrade(&client));
        Ok(client)
    }

    fn build(&self, bundle: TrustedBundle, trusted: Trusted) -> Result<Client, ClientProblem> {
        let has_roots = !trusted.is_empty();
        let tls = tls::client_config(trusted)?;
        let resolver =
            |policy| GuardedResolver { policy, lookups: Arc::clone(&self.lookups), namespace: "".into() };
        let connector = match &self.policy.proxy {
            None => Connector::direct(resolver(Arc::clone(&self.policy)), tls),
            Some(proxy) => {
                // The administrator chose the proxy, wherever it is.
                let allow_cidrs = vec![Ipv4Net::default().into(), Ipv6Net::default().into()];
                let anywhere = Policy { allow_cidrs, ..Policy::default() };
                let to_proxy = || tls::client_config(tls::system());
                Connector::through(proxy.tunnels(resolver(Arc::new(anywhere)), to_proxy)?, tls)
            }
        };
        let id = self.made.fetch_add(1, Ordering::Relaxed);
        Ok(Client { id, bundle, connector, pool: Arc::clone(&self.pool), has_roots })
    }
}

#[cfg(test)]
mod tests {
    use super::super::global_limits::{Capacity, GlobalLimits};
    use super::super::resolve::SystemLookup;
    use super::super::{AccountClient, AccountLimits, ClientState};
    use super::*;
    use crate::cloud::error::Unreachable;
    use crate::limits::ProcessLimits;
    use crate::telemetry::Metrics;

    fn clients() -> Clients {
        Clients::new(Arc::default(), Arc::new(SystemLookup), 1)
    }

    fn bundle() -> Arc<[u8]> {
        let certificate = rcgen::generate_simple_self_signed(vec!["a.example.com".to_owned()]).unwrap();
        certificate.cert.pem().into_bytes().into()
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
        let removed = bundle();
        drop(clients.get(Some(&removed)).unwrap());
        assert_eq!(Arc::strong_count(&removed), 1, "nothing has the bundle any more");
        let _kept = clients.get(Some(&bundle())).unwrap();
        assert_eq!(clients.in_use.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_system_without_certificates_is_reported_as_such_and_not_as_a_fault_of_the_cloud() {
        let client = clients().build(None, Trusted::none()).unwrap();
        let limits = AccountLimits {
            request_timeout: Duration::from_secs(1),
            max_concurrent: 1,
            requests_per_second: 1,
        };
        let account = AccountClient {
            policy: Arc::default(),
            namespace: "team-a".into(),
            client: Arc::new(client),
            quota: GlobalLimits::new(Capacity::default()).account("team-a"),
            workers: ProcessLimits::default().workers.of("team-a"),
            memory: ProcessLimits::default().memory.holder("team-a", "acme"),
            limits,
            state: Arc::new(ClientState::new(limits)),
            rate: None,
            endpoint_host: None,
            meter: Metrics::new().account("team-a", "acme"),
        };
        let request = ApiRequest::new("services", "https://caas.example.com/v1/".parse().unwrap(), 1);
        let fetched = account.fetch(&request, |_| Ok::<(), CloudError>(())).await;
        assert_eq!(fetched, Err(CloudError::Unreachable(Unreachable::NoRoots)));
    }
}
