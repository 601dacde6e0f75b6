//! A simulated cloud's sockets: bound, served with or without TLS, closed in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::counts::Counts;
use super::faults::Fault;
use super::sessions::Login;
use super::settings::Settings;
use super::traffic::Shared;
use super::world::World;

/// How long requests under way have after the cloud is told to stop.
const GRACE: Duration = Duration::from_secs(1);

/// How long to wait after the system could not give us a connection (too many open files, say).
const BREATH: Duration = Duration::from_millis(20);

/// Why a simulated cloud cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Something else listens there.
    #[error("{0} is in use; choose another address with --listen, for example --listen 127.0.0.1:0")]
    InUse(SocketAddr),
    /// The system refuses the address for another reason.
    #[error("cannot listen on {address}; choose another address with --listen: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        error: io::Error,
    },
}

/// Starts simulated clouds.
#[derive(Debug, Clone, Copy)]
pub struct Simulator;

impl Simulator {
    /// Starts an Alauda cloud, which runs until it is stopped or dropped.
    pub async fn start(settings: Settings) -> Result<Running, StartError> {
        let address = settings.listen;
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => StartError::InUse(address),
            _ => StartError::Listen { address, error },
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared::new(&settings, stop.clone()));
        let tls = settings.tls.map(TlsAcceptor::from);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let task = tokio::spawn(serve(listener, tls, Arc::clone(&shared)));
        Ok(Running { addr, scheme, shared, stop, task: Some(task) })
    }
}

/// A simulated cloud that runs. Dropping it stops it at once; [`Running::stop`] waits for it.
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Running {
    /// The endpoint that clients are given, such as `http://127.0.0.1:8500/v1/`.
    pub fn url(&self) -> String {
        format!("{}://{}/v1/", self.scheme, self.addr)
    }

    /// What one logs in with, an entry an account.
    pub fn credentials(&self) -> Vec<Login> {
        self.shared.alauda.sessions.logins()
    }

    /// All tokens that were given, so that tests can look for them where they must not stand.
    pub fn tokens(&self) -> Vec<String> {
        self.shared.alauda.sessions.tokens()
    }

    /// What exists in an account, by the name it was started with: the truth that tests compare with.
    pub fn world(&self, username: &str) -> Option<Arc<World>> {
        let accounts = &self.shared.alauda.accounts;
        accounts.iter().find(|account| account.username == username).map(|account| Arc::clone(&account.world))
    }

    /// Its time, in seconds since the epoch.
    pub fn now(&self) -> f64 {
        self.shared.clock.now()
    }

    /// Requests so far.
    pub fn counts(&self) -> Counts {
        self.shared.counter.counts()
    }

    /// Method, path and query of the newest 10,000 requests, oldest first.
    pub fn requests(&self) -> Vec<String> {
        self.shared.counter.log()
    }

    /// Begins to count again.
    pub fn reset_counts(&self) {
        self.shared.counter.reset();
    }

    /// Sets one fault more.
    pub fn set_fault(&self, fault: Fault) {
        self.shared.faults.set(fault);
    }

    /// Takes all faults away.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Makes all tokens invalid.
    pub fn revoke_tokens(&self) {
        self.shared.alauda.sessions.revoke();
    }

    /// Gives a user another password; where there is no such user, the first account gets the name too. Tokens stay.
    pub fn set_credentials(&self, username: &str, password: &str) {
        self.shared.alauda.sessions.set(username, password);
    }

    /// Stops it: no new connections, a second for the requests under way, then all is closed.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // An error would mean that the task panicked, and then it has stopped as well.
            let _ = task.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Accepts until told to stop.
async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, tls.clone(), graceful.watcher(), Arc::clone(&shared)));
                }
                Err(_) => tokio::time::sleep(BREATH).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, watcher: Watcher, shared: Arc<Shared>) {
    // Without it a client on a kept connection waits 40 ms for small answers. Failing costs only that.
    let _ = stream.set_nodelay(true);
    match tls {
        None => http(stream, watcher, shared).await,
        Some(tls) => {
            let handshake = tokio::select! {
                handshake = tls.accept(stream) => handshake,
                () = shared.stop.cancelled() => return,
            };
            // A client that refuses our certificate is what tests are after: no error here.
            if let Ok(stream) = handshake {
                http(stream, watcher, shared).await;
            }
        }
    }
}

async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    watcher: Watcher,
    shared: Arc<Shared>,
) {
    let service = service_fn(move |request: Request<Incoming>| Arc::clone(&shared).handle(request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Ends with an error whenever a client goes away or a fault closes the connection: both are usual here.
    let _ = watcher.watch(connection).await;
}
