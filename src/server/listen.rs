//! An HTTP/1.1 listener with bounded connections: no client can keep the others from being served for longer than a deadline.
//!
//! Knows connections and time, but no path and no account.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::header::CONNECTION;
use http::{HeaderValue, StatusCode};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

/// The limits of one listener. Listeners share nothing, so a full metrics port does not slow down the health port.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; further ones wait in the kernel's backlog. Each costs some 20 KiB.
    pub connections: usize,
    /// How long a connection may be open or idle before a whole request head has arrived. Below 10 s, the usual scrape
    /// timeout: a scrape that waits for idle clients to time out is late but does not fail.
    pub head: Duration,
    /// The age at which a connection accepts no further request; its last response may take as long again. At least the
    /// longest scrape timeout, which is a minute.
    pub response: Duration,
    /// How long responses under way may take to finish after a stop.
    pub grace: Duration,
}

impl Limits {
    /// The limits of the health port, which serves a kubelet and the odd person.
    pub fn health() -> Self {
        Self { connections: 64, ..Self::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            head: Duration::from_secs(8),
            response: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

/// The most bytes of a request's head; hyper's minimum is 8 KiB.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// How long to wait after a failed accept, which usually means that file descriptors are exhausted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why there is no listener.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The address is in use, does not belong to this machine, or is not permitted.
    #[error("cannot listen on {address}: {error}; choose another address with {option}")]
    Bind {
        /// The requested address.
        address: SocketAddr,
        /// The option that sets it, such as `--listen`.
        option: &'static str,
        /// The system's error.
        error: io::Error,
    },
}

/// Binds an address; `option` is the command line option that sets it, for the error.
pub async fn bind(address: SocketAddr, option: &'static str) -> Result<Bound, ListenError> {
    let failed = |error| ListenError::Bind { address, option, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bound { listener, address, limits: Limits::default() })
}

/// A bound address that is not served yet: connections wait in the backlog.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
}

impl Bound {
    /// The address, with the actual port where port 0 was requested.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Replaces the default limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Serves until `stop`; then accepts no further connection and lets responses under way finish.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let Self { listener, limits, .. } = self;
        let permits = Arc::new(Semaphore::new(limits.connections));
        let router = router
            .layer(CatchPanicLayer::custom(internal_error))
            .layer(SetResponseHeaderLayer::if_not_present(CONNECTION, close_when_busy(&permits, limits)));
        let mut connections = JoinSet::new();
        while let Some(Some((stream, permit))) = stop.run_until_cancelled(accept(&listener, &permits)).await {
            while connections.try_join_next().is_some() {}
            connections.spawn(connection(stream, permit, router.clone(), limits, stop.clone()));
        }
        drop(listener);
        let finished = async { while connections.join_next().await.is_some() {} };
        if timeout(limits.grace, finished).await.is_err() {
            tracing::warn!(open = connections.len(), "connections closed before their responses were read");
        }
        connections.shutdown().await;
    }
}

/// Waits for a permit and then for a connection. Never `None`, since the semaphore is not closed.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some((stream, permit)),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection. The permit is held until the connection is closed.
async fn connection(
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    // Without it, latency suffers at worst.
    let _ = stream.set_nodelay(true);
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let result = tokio::select! {
        result = connection.as_mut() => Ok(result),
        () = async { tokio::select! { () = stop.cancelled() => {}, () = sleep(limits.response) => {} } } => {
            connection.as_mut().graceful_shutdown();
            timeout(limits.response, connection).await
        }
    };
    match result {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
        Err(_) => tracing::debug!("a connection was closed because its response was not read in time"),
    }
}

/// Asks clients to close their connections while more than half of the permits are taken: idle connections of one crowd
/// of scrapers would otherwise hold the permits that the next one needs.
fn close_when_busy(
    permits: &Arc<Semaphore>,
    limits: Limits,
) -> impl Fn(&Response) -> Option<HeaderValue> + Clone + Send + Sync + 'static {
    let permits = Arc::clone(permits);
    move |_| {
        let busy = permits.available_permits() * 2 < limits.connections;
        busy.then(|| HeaderValue::from_static("close"))
    }
}

/// The response to a request whose handler panicked. The panic hook has logged where.
fn internal_error(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request's handler panicked");
    (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n").into_response()
}
