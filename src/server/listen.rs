//! A bounded HTTP/1.1 listener: whatever one client does, the others are served.
//!
//! Knows connections and time, no path and no account.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::answer::Answer;
use super::slots::{Slot, Slots, Watched};

/// What a listener bears.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once. Each costs some 20 KiB; Prometheus needs one or two an account.
    pub connections: usize,
    /// How long a connection may do nothing useful while another waits for its place; one that is answered goes at once.
    pub quiet: Duration,
    /// How long the next request, with all its headers, may take to come. Above the usual scrape intervals, so
    /// that Prometheus keeps its connection from one scrape to the next.
    pub request: Duration,
    /// How long a client may take none of its answer's bytes.
    pub write_stall: Duration,
    /// How long an answer may take from its request to its last byte. Above the longest scrape; whoever takes a few bytes
    /// at a time would else keep in memory for hours what was newest when it asked.
    pub answer: Duration,
    /// How long answers under way may take to end after a stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            quiet: Duration::from_secs(1),
            request: Duration::from_secs(75),
            write_stall: Duration::from_secs(15),
            answer: Duration::from_secs(120),
            grace: Duration::from_secs(10),
        }
    }
}

/// The most bytes of a request's head; hyper takes no less than 8 KiB.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// How long to wait after an accept that failed, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why there is no listener.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The address is taken, not this machine's, or not permitted.
    #[error("cannot listen on {address}: {error}; choose another address with {option}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// The option that it came from, such as `--listen`.
        option: &'static str,
        /// What the system says.
        error: io::Error,
    },
}

/// Takes an address; `option` is the command line's name for it, for the error.
pub async fn bind(address: SocketAddr, option: &'static str) -> Result<Bound, ListenError> {
    let failed = |error| ListenError::Bind { address, option, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bound { listener, address, limits: Limits::default() })
}

/// An address that is taken and not served yet: connections wait in the backlog.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
}

impl Bound {
    /// The address, with the port that was given where 0 was asked for.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Other limits than the default ones.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Serves until `stop`; then takes no new connection and gives answers under way the time to end.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let Self { listener, limits, .. } = self;
        let slots = Slots::new(limits.connections, limits.quiet);
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        while let Some((stream, slot)) = next(&listener, &slots, &stop).await {
            while connections.try_join_next().is_some() {}
            connections.spawn(connection(stream, slot, router.clone(), limits, graceful.watcher()));
        }
        drop(listener);
        if tokio::time::timeout(limits.grace, graceful.shutdown()).await.is_err() {
            tracing::warn!(open = connections.len(), "connections closed before their answers were taken");
        }
        connections.shutdown().await;
    }
}

/// The next connection with a place of its own; `None` after a stop.
async fn next(
    listener: &TcpListener,
    slots: &Arc<Slots>,
    stop: &CancellationToken,
) -> Option<(TcpStream, Slot)> {
    let accepted = async {
        loop {
            match listener.accept().await {
                // A place is taken only now: else idle connections would make room for nobody.
                Ok((stream, _)) => return (stream, slots.take().await),
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    stop.run_until_cancelled(accepted).await
}

async fn connection(stream: TcpStream, slot: Slot, router: Router, limits: Limits, watcher: Watcher) {
    // Costs latency at worst.
    let _ = stream.set_nodelay(true);
    let slot = Arc::new(slot);
    let mut stream = TimeoutStream::new(Watched { stream, slot: Arc::clone(&slot) });
    stream.set_write_timeout(Some(limits.write_stall));

    let service = service_fn(|request: Request<Incoming>| {
        let (router, slot) = (router.clone(), Arc::clone(&slot));
        async move {
            if !slot.asked() {
                // The connection ends in a moment, and a client may ask again where it saw nothing of an answer.
                std::future::pending::<()>().await;
            }
            let response = answer(router, request.map(Body::new)).await;
            Ok::<_, Infallible>(response.map(|body| Answer { body, slot }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.request)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    tokio::select! {
        result = watcher.watch(connection) => {
            if let Err(error) = result {
                tracing::debug!(%error, "a connection ended early");
            }
        }
        () = slot.lost() => tracing::debug!("a quiet connection made room for a new one"),
        () = slot.overdue(limits.answer) => tracing::debug!("an answer was not taken in time"),
    }
}

/// The router's answer; a panic inside costs this one request.
async fn answer(router: Router, request: Request<Body>) -> Response {
    match AssertUnwindSafe(router.oneshot(request)).catch_unwind().await {
        Ok(Ok(response)) => response,
        Err(_) => {
            tracing::error!("a request's handler panicked");
            (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n").into_response()
        }
    }
}
