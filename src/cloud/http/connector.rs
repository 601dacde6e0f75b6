//! Opens connections to clouds: resolves the host and dials an address that the policy allows, or has the administrator's proxy
//! do that, and does the TLS handshake.
//!
//! `reqwest` makes the requests, but its client has no bound on the head of an answer, on informational answers, or on the
//! idle connections of all hosts together, and wraps no connection that could have one. So these are hyper's own.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use tower::Service;
use url::{Host, Position, Url};

use super::body;
use super::global_limits::MAX_HEAD;
use super::resolve::{GuardedResolver, NoAddress};
use super::tls;
use crate::cloud::CloudError;
use crate::cloud::error::{Refusal, Unreachable};
use crate::proxy::{ProxyFault, Stream, Tunnels};

/// From the first packet to the end of the TLS handshake, over all addresses of a name.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens connections that trust one set of certificates.
pub(super) struct Connector {
    way: Way,
    tls: TlsConnector,
}

/// How a host is reached.
enum Way {
    /// At an address that the policy allows.
    Direct(GuardedResolver),
    /// As the proxy sees fit.
    Proxy(Box<Tunnels<GuardedResolver>>),
}

/// An open HTTP/1.1 connection without a request in flight. Dropping it closes its socket.
pub(super) struct Connection {
    pub(super) sender: SendRequest<reqwest::Body>,
    _driver: AbortOnDropHandle<()>,
}

impl Connector {
    /// Dials the addresses that this resolver finds.
    pub(super) fn direct(resolver: GuardedResolver, tls: ClientConfig) -> Self {
        Self { way: Way::Direct(resolver), tls: TlsConnector::from(Arc::new(tls)) }
    }

    /// Has a proxy connect.
    pub(super) fn through(proxy: Tunnels<GuardedResolver>, tls: ClientConfig) -> Self {
        Self { way: Way::Proxy(Box::new(proxy)), tls: TlsConnector::from(Arc::new(tls)) }
    }

    /// Connects to the origin of this URL, for an account of this namespace.
    pub(super) async fn connect(&self, url: &Url, namespace: &Arc<str>) -> Result<Connection, CloudError> {
        let timed_out = |_| match self.way {
            Way::Direct(_) => Err(Unreachable::Connect.into()),
            Way::Proxy(_) => Err(Unreachable::Proxy(ProxyFault::NoTunnel).into()),
        };
        timeout(CONNECT_TIMEOUT, self.open(url, namespace)).await.unwrap_or_else(timed_out)
    }

    async fn open(&self, url: &Url, namespace: &Arc<str>) -> Result<Connection, CloudError> {
        let origin: Uri = url[..Position::AfterPort].parse().map_err(|_| Refusal::NotAnEndpoint)?;
        let stream = self.way.connect(origin, namespace).await?;
        if url.scheme() == "http" {
            return drive(TokioIo::new(stream)).await;
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => {
                ServerName::try_from(name.to_owned()).map_err(|_| Refusal::NotAnEndpoint)?
            }
            Some(Host::Ipv4(address)) => ServerName::IpAddress(address.into()),
            Some(Host::Ipv6(address)) => ServerName::IpAddress(address.into()),
            None => return Err(Refusal::NotAnEndpoint.into()),
        };
        let stream = self.tls.connect(host, stream).await.map_err(|error| not_secure(&error))?;
        drive(TokioIo::new(stream)).await
    }
}

impl Way {
    async fn connect(&self, origin: Uri, namespace: &Arc<str>) -> Result<Box<dyn Stream>, CloudError> {
        match self {
            Self::Direct(resolver) => {
                let mut tcp = HttpConnector::new_with_resolver(resolver.of(namespace));
                tcp.enforce_http(false);
                tcp.set_nodelay(true);
                tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
                let tcp = tcp.call(origin).await.map_err(|error| not_connected(&error))?;
                Ok(Box::new(tcp.into_inner()))
            }
            Self::Proxy(proxy) => {
                let tunnel = proxy.clone().call(origin).await.map_err(|error| {
                    tracing::debug!(%error, cause = error.source(), "cannot connect through the proxy for clouds");
                    Unreachable::Proxy(error.fault)
                })?;
                Ok(tunnel.into_inner())
            }
        }
    }
}

/// Starts the task that reads and writes the connection.
async fn drive(io: impl Read + Write + Unpin + Send + 'static) -> Result<Connection, CloudError> {
    let handshake =
        http1::Builder::new().max_buf_size(MAX_HEAD).max_header_size(MAX_HEAD).handshake(io).await;
    let (sender, connection) = handshake.map_err(|_| Unreachable::BrokeOff)?;
    let driver = tokio::spawn(async move {
        // The request in flight gets the error.
        let _ = connection.await;
    });
    Ok(Connection { sender, _driver: AbortOnDropHandle::new(driver) })
}

fn not_connected(error: &(dyn Error + 'static)) -> CloudError {
    match body::cause(error) {
        Some(NoAddress::AllRefused) => Refusal::PrivateAddress.into(),
        Some(NoAddress::Unknown) => Unreachable::Dns(None).into(),
        None => Unreachable::Connect.into(),
    }
}

fn not_secure(error: &io::Error) -> CloudError {
    let problem = error.get_ref().and_then(|inside| inside.downcast_ref());
    problem.map_or(Unreachable::Connect, |problem| Unreachable::Tls(tls::problem(problem))).into()
}
