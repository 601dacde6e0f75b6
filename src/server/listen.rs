//! An HTTP/1.1 listener with bounded connections: no client can keep the others from being served.
//!
//! Knows connections and time, but no path and no account.

use std::any::Any;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::header::CONNECTION;
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use super::connections::{Connections, OpenConnection};
use super::kept_body::KeptBody;
use super::response_body::ResponseBody;

/// The limits of one listener. Listeners share nothing, so a full metrics port does not slow down the health port.
///
/// A connection costs some 20 KiB, at most a chunk of a response that is made as it is read, and a send buffer in the kernel.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once. One more closes another one: one without a response under way first.
    pub connections: usize,
    /// How long a connection is safe from being evicted: for its request to arrive, its response to be read, and the end of
    /// that to be sent. These take a few milliseconds; and as long may a scrape wait for a connection.
    pub protected: Duration,
    /// How long a connection may be open or idle before a whole request head has arrived. Below 10 s, the usual scrape
    /// timeout: a scrape that waits for idle clients to time out is late but does not fail.
    pub head: Duration,
    /// How long a response may take, and the age at which a connection accepts no further request. The longest scrape
    /// timeout, which is a minute.
    pub response: Duration,
    /// How many bytes of bodies responses may keep in memory that have been replaced by newer ones. Beyond that, those that
    /// have read such for longest are closed.
    pub replaced: usize,
    /// How long responses under way may take to finish after a stop.
    pub grace: Duration,
}

impl Limits {
    /// The limits of the health port, which serves a kubelet and the odd person.
    pub fn health() -> Self {
        Self { response: Duration::from_secs(10), ..Self::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            protected: Duration::from_millis(50),
            head: Duration::from_secs(8),
            response: Duration::from_secs(60),
            // A sixteenth of the 512 MiB in which the tests attack the program.
            replaced: 32 << 20,
            grace: Duration::from_secs(10),
        }
    }
}

/// The most bytes of a request's head; hyper's minimum is 8 KiB.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// What the kernel buffers of a response (it takes twice that for its own use); without a limit it takes megabytes.
const SEND_BUFFER_BYTES: u32 = 64 << 10;
/// Connections that wait to be accepted, which takes microseconds. The kernel may allow fewer.
const BACKLOG: u32 = 1024;
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
    let listener = listener(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bound { listener, address, limits: Limits::default() })
}

fn listener(address: SocketAddr) -> io::Result<StdListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restarted process takes the address although connections of the one before are still closing.
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// A bound address that is not served yet: connections wait in the backlog.
#[derive(Debug)]
pub struct Bound {
    /// Belongs to no runtime yet.
    listener: StdListener,
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
        let Self { listener, limits, address } = self;
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, %address, "the address cannot be served");
                return;
            }
        };
        let open = Connections::new(limits.connections, limits.protected, limits.replaced);
        let router = router
            .layer(CatchPanicLayer::custom(internal_error))
            .layer(SetResponseHeaderLayer::if_not_present(CONNECTION, close_when_busy(open.clone())));
        let mut connections = JoinSet::new();
        while let Some((stream, slot)) = stop.run_until_cancelled(accept(&listener, &open)).await {
            while connections.try_join_next().is_some() {}
            connections.spawn(connection(stream, slot, router.clone(), limits, stop.clone()));
        }
        drop(listener);
        let finished = async { while connections.join_next().await.is_some() {} };
        if timeout(limits.grace, finished).await.is_err() {
            tracing::warn!(
                open = connections.len(),
                "connections were closed before their responses were read"
            );
        }
        connections.shutdown().await;
    }

    /// Serves on a thread with a runtime of its own, so that tasks which keep the threads of the main runtime busy do not
    /// delay it. The returned receiver ends with it, whether by a value or without.
    pub fn serve_on_own_thread(
        self,
        name: &str,
        router: Router,
        stop: CancellationToken,
    ) -> io::Result<oneshot::Receiver<()>> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (ended, end) = oneshot::channel();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(self.serve(router, stop));
            // Nobody may wait for it any longer.
            let _ = ended.send(());
        })?;
        Ok(end)
    }
}

/// Waits for a connection, and evicts another one where there are too many.
async fn accept(listener: &TcpListener, open: &Connections) -> (TcpStream, OpenConnection) {
    loop {
        match listener.accept().await {
            Ok((stream, client)) => return (stream, open.open(client.ip()).await),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                open.evict_one();
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until it is closed, evicted, or late.
async fn connection(
    stream: TcpStream,
    slot: OpenConnection,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    // Without it, latency suffers at worst.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: Request<Incoming>| {
        let responding = slot.respond();
        let response = router.clone().oneshot(request.map(Body::new));
        let sent = |response: Response| {
            if let Some(body) = response.extensions().get::<KeptBody>() {
                slot.keep(body.clone());
            }
            response.map(|body| ResponseBody::new(body, responding))
        };
        response.map(|response: Result<_, Infallible>| response.map(sent))
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service)
    );
    let opened = Instant::now();
    let mut retiring = false;
    loop {
        // A response that begins later has a later deadline.
        let deadline = slot.responding_since().map(|since| since + limits.response);
        let old = opened + if retiring { 2 * limits.response } else { limits.response };
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            () = slot.evicted() => {
                tracing::debug!("a connection was closed in favor of a new one");
                return;
            }
            () = stop.cancelled(), if !retiring => {}
            () = sleep_until(deadline.unwrap_or(old).min(old)) => {
                let now = Instant::now();
                let late = slot.responding_since().is_some_and(|since| since + limits.response <= now);
                if late || (retiring && old <= now) {
                    tracing::debug!("a connection was closed because its response was not read in time");
                    return;
                }
            }
        }
        if !retiring {
            retiring = stop.is_cancelled() || old <= Instant::now();
            if retiring {
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Asks clients to close their connections while more than half of them are taken: closing is kinder than evicting, which
/// may meet a request on its way.
fn close_when_busy(
    open: Connections,
) -> impl Fn(&Response) -> Option<HeaderValue> + Clone + Send + Sync + 'static {
    move |_| open.are_scarce().then(|| HeaderValue::from_static("close"))
}

/// The response to a request whose handler panicked. The panic hook has logged where.
fn internal_error(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request's handler panicked");
    (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n").into_response()
}
