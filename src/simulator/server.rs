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
use super::faults::{Fault, FaultError};
use super::handler;
use super::sessions::Login;
use super::settings::Settings;
use super::state::State;
use super::world::World;

/// How long requests in flight have after the cloud begins to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// How long to wait after a connection could not be accepted, as with too many open files.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(20);

/// A simulated cloud that cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Another process listens there.
    #[error("{0} is in use; choose another address with --listen, for example --listen 127.0.0.1:0")]
    InUse(SocketAddr),
    /// The system refuses the address for another reason.
    #[error("cannot listen on {address}; choose another address with --listen: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        error: io::Error,
    },
    /// A fault of the settings does not fit the cloud.
    #[error(transparent)]
    Fault(#[from] FaultError),
}

/// Starts simulated clouds.
#[derive(Debug, Clone, Copy)]
pub struct Simulator;

impl Simulator {
    /// Starts a cloud, which runs until it is stopped or dropped.
    pub async fn start(settings: Settings) -> Result<Running, StartError> {
        let address = settings.listen;
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => StartError::InUse(address),
            _ => StartError::Listen { address, error },
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        let state = Arc::new(State::new(&settings, scheme, CancellationToken::new())?);
        let task = tokio::spawn(serve(listener, settings.tls.map(TlsAcceptor::from), Arc::clone(&state)));
        Ok(Running { addr, scheme, state, task: Some(task) })
    }
}

/// A simulated cloud that runs. Dropping it stops it at once; [`Running::stop`] waits for it.
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    scheme: &'static str,
    state: Arc<State>,
    task: Option<JoinHandle<()>>,
}

impl Running {
    /// The endpoint that clients are given, such as `http://127.0.0.1:8500/v1/`.
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.addr, self.state.provider.base_path())
    }

    /// The provider's name in sentences.
    pub fn title(&self) -> &'static str {
        self.state.provider.title()
    }

    /// For each user: its credentials, and commands that use them.
    pub fn instructions(&self) -> Vec<String> {
        let instructions = |login: &Login| self.state.provider.instructions(login, &self.url());
        self.credentials().iter().map(instructions).collect()
    }

    /// The credentials of each account.
    pub fn credentials(&self) -> Vec<Login> {
        self.state.accounts.sessions.logins()
    }

    /// All tokens that logins returned, so that tests can look for them where they must not be.
    pub fn tokens(&self) -> Vec<String> {
        self.state.accounts.sessions.tokens()
    }

    /// What exists in an account, by the name it was started with: the truth that tests compare with.
    pub fn world(&self, username: &str) -> Option<Arc<World>> {
        let account = self.state.accounts.iter().find(|account| account.username == username);
        account.map(|account| Arc::clone(&account.world))
    }

    /// Its time, in seconds since the epoch.
    pub fn now(&self) -> f64 {
        self.state.clock.now()
    }

    /// Requests so far.
    pub fn counts(&self) -> Counts {
        self.state.counter.counts()
    }

    /// Method, path and query of the newest 10,000 requests, oldest first.
    pub fn requests(&self) -> Vec<String> {
        self.state.counter.log()
    }

    /// Starts all counts at zero again.
    pub fn reset_counts(&self) {
        self.state.counter.reset();
    }

    /// Adds a fault, unless it names what this cloud does not have.
    pub fn set_fault(&self, fault: Fault) -> Result<(), FaultError> {
        self.state.set_fault(fault)
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// Makes all tokens invalid.
    pub fn revoke_tokens(&self) {
        self.state.accounts.sessions.revoke();
    }

    /// Gives a user another password; where there is no such user, the first account gets the name too. Tokens of
    /// logins stay valid.
    pub fn set_credentials(&self, username: &str, password: &str) {
        self.state.accounts.sessions.set(username, password);
    }

    /// Stops it: no new connections, a second for the requests in flight, then all connections are closed.
    pub async fn stop(mut self) {
        self.state.stop.cancel();
        if let Some(task) = self.task.take() {
            // An error would mean that the task panicked, and then it has stopped as well.
            let _ = task.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.state.stop.cancel();
    }
}

/// Accepts connections until the cloud is to stop.
async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let mut connections = JoinSet::new();
    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            biased;
            () = state.stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, tls.clone(), graceful.watcher(), Arc::clone(&state)));
                }
                Err(_) => tokio::time::sleep(ACCEPT_RETRY_DELAY).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(STOP_TIMEOUT, graceful.shutdown()).await;
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, watcher: Watcher, state: Arc<State>) {
    // Without it a client on a kept connection waits 40 ms for small responses. A failure costs only that.
    let _ = stream.set_nodelay(true);
    match tls {
        None => http(stream, watcher, state).await,
        Some(tls) => {
            let handshake = tokio::select! {
                handshake = tls.accept(stream) => handshake,
                () = state.stop.cancelled() => return,
            };
            // Some tests have a client refuse the certificate: that is not an error here.
            if let Ok(stream) = handshake {
                http(stream, watcher, state).await;
            }
        }
    }
}

async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    watcher: Watcher,
    state: Arc<State>,
) {
    let service = service_fn(move |request: Request<Incoming>| handler::handle(Arc::clone(&state), request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // It ends with an error whenever a client disconnects or a fault closes the connection: both are usual here.
    let _ = watcher.watch(connection).await;
}
