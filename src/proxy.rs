//! An HTTP proxy that tunnels connections (CONNECT): its URL, and the connector through it.
//!
//! The proxy resolves the host. Nothing here shows the user and password of the URL, which the CONNECT request alone carries.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use tower::Service;
use url::Url;

type BoxError = Box<dyn Error + Send + Sync>;

/// The most bytes of the head of the proxy's answer.
const MAX_HEAD: usize = 64 << 10;

/// A proxy, with the credentials that it is sent.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Scheme, host and port, nothing else.
    url: Uri,
    /// Whether the connection to the proxy itself is TLS, and for which name.
    tls: Option<ServerName<'static>>,
    /// `Debug` does not print it, as it is marked as sensitive.
    authorization: Option<HeaderValue>,
}

/// Why a text is not the URL of a proxy. Repeats no byte of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProxyProblem {
    /// Another kind of proxy.
    #[error("SOCKS proxies are not supported; use an HTTP proxy: http://host:port or https://host:port")]
    Socks,
    /// No URL, or one of another scheme, or with a path.
    #[error(
        "it is not the URL of a proxy; use http://host:port or https://host:port, with user:password@ before the host if the proxy requires them, and %40 for an @ in them"
    )]
    NotAProxy,
}

/// What the proxy does instead of connecting: the rest of a sentence about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProxyFault {
    /// No connection to the proxy itself.
    #[error("cannot be reached")]
    Unreachable,
    /// No TLS handshake with the proxy itself, as where the system does not trust its certificate.
    #[error(
        "is not trusted: its TLS certificate must be valid for the host in its URL and signed by a CA of this system (SSL_CERT_FILE), and its port must be an https port"
    )]
    NotTrusted,
    /// It answers 407.
    #[error("requires a user and password, or rejects those in its URL (407)")]
    Credentials,
    /// It answers 403.
    #[error("refuses to connect to the host (403)")]
    Forbidden,
    /// It answers with another status than 2xx, or with none, as where it does not find the host.
    #[error("cannot connect to the host")]
    NoTunnel,
}

/// Why there is no connection through the proxy.
#[derive(Debug, Error)]
#[error("the proxy {fault}")]
pub struct ProxyError {
    /// What it does instead.
    pub fault: ProxyFault,
    #[source]
    source: Option<BoxError>,
}

impl ProxyError {
    fn new(fault: ProxyFault, source: impl Into<BoxError>) -> Self {
        Self { fault, source: Some(source.into()) }
    }

    /// The proxy answers with this status.
    fn answered(status: StatusCode) -> Self {
        match status {
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => ProxyFault::Credentials.into(),
            StatusCode::FORBIDDEN => ProxyFault::Forbidden.into(),
            other => Self::new(ProxyFault::NoTunnel, format!("it answers {other}")),
        }
    }
}

impl From<ProxyFault> for ProxyError {
    fn from(fault: ProxyFault) -> Self {
        Self { fault, source: None }
    }
}

impl FromStr for Proxy {
    type Err = ProxyProblem;

    /// Without a scheme it is `http`, as for curl and Go.
    fn from_str(text: &str) -> Result<Self, ProxyProblem> {
        let text = text.trim();
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&whole).map_err(|_| ProxyProblem::NotAProxy)?;
        let is_tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other if other.starts_with("socks") => return Err(ProxyProblem::Socks),
            _ => return Err(ProxyProblem::NotAProxy),
        };
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let (Some(host), Some(port), true) = (url.host_str(), url.port_or_known_default(), is_bare) else {
            return Err(ProxyProblem::NotAProxy);
        };
        let invalid = |_| ProxyProblem::NotAProxy;
        let bare: Uri =
            format!("{}://{host}:{port}", url.scheme()).parse().map_err(|_| ProxyProblem::NotAProxy)?;
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = is_tls.then(|| ServerName::try_from(name)).transpose().map_err(invalid)?;
        Ok(Self { url: bare, tls, authorization: authorization(&url) })
    }
}

/// The header with the URL's user and password, if it has any.
fn authorization(url: &Url) -> Option<HeaderValue> {
    let password = url.password().unwrap_or_default();
    if url.username().is_empty() && password.is_empty() {
        return None;
    }
    let decoded = |text| percent_decode_str(text).collect::<Vec<u8>>();
    let pair = [decoded(url.username()), vec![b':'], decoded(password)].concat();
    let mut header = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// Scheme, host and port.
impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.url.to_string().trim_end_matches('/'))
    }
}

impl Proxy {
    /// Connects through the proxy, whose name this resolver looks up and whose certificate, if it is an https one, is verified so.
    pub fn tunnels<R, E>(
        &self,
        resolver: R,
        tls: impl FnOnce() -> Result<ClientConfig, E>,
    ) -> Result<Tunnels<R>, E> {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let tls = match &self.tls {
            Some(name) => Some((TlsConnector::from(Arc::new(tls()?)), name.clone())),
            None => None,
        };
        Ok(Tunnels { tcp, tls, proxy: self.clone() })
    }
}

/// A connection, be it TLS or not.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Connection for Box<dyn Stream> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// Opens a tunnel to the host and port of a URI; without a port it is the scheme's.
#[derive(Clone)]
pub struct Tunnels<R> {
    tcp: HttpConnector<R>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    proxy: Proxy,
}

impl<R> Service<Uri> for Tunnels<R>
where
    HttpConnector<R>: Service<Uri, Response = TokioIo<TcpStream>>,
    <HttpConnector<R> as Service<Uri>>::Future: Send + 'static,
    <HttpConnector<R> as Service<Uri>>::Error: Into<BoxError>,
{
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = ProxyError;
    type Future = BoxFuture<'static, Result<Self::Response, ProxyError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ProxyError>> {
        self.tcp.poll_ready(context).map_err(|error| ProxyError::new(ProxyFault::Unreachable, error))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = self.tcp.call(self.proxy.url.clone());
        let (tls, authorization) = (self.tls.clone(), self.proxy.authorization.clone());
        Box::pin(async move {
            let unreachable = |error: BoxError| ProxyError::new(ProxyFault::Unreachable, error);
            let tcp = connecting.await.map_err(|error| unreachable(error.into()))?.into_inner();
            let stream: Box<dyn Stream> = match tls {
                Some((tls, name)) => Box::new(
                    tls.connect(name, tcp)
                        .await
                        .map_err(|error| ProxyError::new(ProxyFault::NotTrusted, error))?,
                ),
                None => Box::new(tcp),
            };
            tunnel(stream, &to, authorization).await
        })
    }
}

/// Asks the proxy at the other end of this connection to connect it with the host.
async fn tunnel(
    proxy: Box<dyn Stream>,
    to: &Uri,
    authorization: Option<HeaderValue>,
) -> Result<TokioIo<Box<dyn Stream>>, ProxyError> {
    let broken = |error: BoxError| ProxyError::new(ProxyFault::NoTunnel, error);
    let port = to.port_u16().unwrap_or(if to.scheme_str() == Some("http") { 80 } else { 443 });
    let host = format!("{}:{port}", to.host().unwrap_or_default());
    let mut request = Request::builder().method(Method::CONNECT).uri(&host).header(HOST, &host);
    if let Some(authorization) = authorization {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| broken(error.into()))?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(proxy))
        .await
        .map_err(|error| broken(error.into()))?;
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection.with_upgrades()));
    let response = sender.send_request(request).await.map_err(|error| broken(error.into()))?;
    if !response.status().is_success() {
        return Err(ProxyError::answered(response.status()));
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(|error| broken(error.into()))?;
    Ok(TokioIo::new(Box::new(TokioIo::new(upgraded)) as Box<dyn Stream>))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sent to this proxy as credentials, decoded.
    fn sent(url: &str) -> Option<String> {
        let header = url.parse::<Proxy>().unwrap().authorization?;
        let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        Some(String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap())
    }

    #[test]
    fn user_and_password_are_sent_as_they_are_meant() {
        assert_eq!(sent("http://ann:a%40b%3Ac%25@proxy.example:3128"), Some("ann:a@b:c%".to_owned()));
        assert_eq!(sent("http://ann@proxy.example:3128"), Some("ann:".to_owned()));
        assert_eq!(sent("http://proxy.example:3128"), None);
    }

    #[test]
    fn neither_user_nor_password_is_shown() {
        let proxy: Proxy = "https://ann:hunter2@proxy.example".parse().unwrap();
        assert_eq!(proxy.to_string(), "https://proxy.example:443");
        let shown = format!("{proxy:?}");
        assert!(shown.contains("Sensitive") && !shown.contains("ann") && !shown.contains("Basic"), "{shown}");
    }

    #[test]
    fn a_proxy_is_written_as_for_curl_and_go() {
        for (text, means) in [
            ("proxy.example:3128", "http://proxy.example:3128"),
            ("ann:x@10.0.0.1:3128", "http://10.0.0.1:3128"),
            ("http://proxy.example", "http://proxy.example:80"),
            ("https://[fd00::1]:8443/\n", "https://[fd00::1]:8443"),
        ] {
            assert_eq!(text.parse::<Proxy>().unwrap().to_string(), means, "{text}");
        }
        for (text, problem) in [
            ("socks5://proxy.example:1080", ProxyProblem::Socks),
            ("socks5h://proxy.example:1080", ProxyProblem::Socks),
            ("ftp://proxy.example", ProxyProblem::NotAProxy),
            ("http://proxy.example/path", ProxyProblem::NotAProxy),
            ("http://", ProxyProblem::NotAProxy),
            ("", ProxyProblem::NotAProxy),
        ] {
            assert_eq!(text.parse::<Proxy>().unwrap_err(), problem, "{text}");
        }
    }
}
