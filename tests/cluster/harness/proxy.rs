//! The API server with faults on demand: a reverse proxy in front of it, TLS on both sides, that passes every byte as it
//! comes (watches too) and counts what passes. Which call meets which fault is decided in [`super::faults`].

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use http::header::{CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cluster::Cluster;
use super::faults::{Calls, Fault, Faults, Times};
use super::keys::Keys;
use super::kubeconfig::Kubeconfig;
use super::request::Request;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, Error>;

/// A running proxy; ends when dropped, or with the runtime that started it.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    _end: DropGuard,
}

/// A call that came by.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The call.
    pub(crate) request: Request,
    /// When it came.
    pub(crate) at: Instant,
    /// The answer's code; none while there is no answer yet.
    pub(crate) code: Option<u16>,
}

struct Shared {
    upstream: String,
    client: reqwest::Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    faults: Faults,
    seen: Vec<Seen>,
    /// Open watches, each with what stalls it.
    watches: Vec<(usize, Request, CancellationToken)>,
    /// Cancelled to let go what is held back; replaced then.
    held: CancellationToken,
    /// Cancelled to cut all connections there are; replaced then.
    connections: CancellationToken,
}

impl Proxy {
    /// Starts one in front of a control plane's API server.
    pub(crate) async fn start(cluster: &Cluster) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let acceptor = acceptor(cluster.keys())?;
        let shared = Arc::new(Shared {
            upstream: cluster.url().to_owned(),
            client: cluster.http_client()?,
            state: Mutex::default(),
        });
        let end = CancellationToken::new();
        tokio::spawn(end.clone().run_until_cancelled_owned(accept(
            listener,
            acceptor,
            Arc::clone(&shared),
            end.clone(),
        )));
        Ok(Self { port, shared, _end: end.drop_guard() })
    }

    /// A user's kubeconfig that leads here.
    pub(crate) fn kubeconfig(&self, of: &Kubeconfig) -> anyhow::Result<Kubeconfig> {
        of.at(&format!("proxy-{}", self.port), &format!("https://127.0.0.1:{}", self.port))
    }

    /// From now on, calls meet a fault. If several match a call, the oldest counts until it is used up.
    pub(crate) fn inject(&self, calls: Calls, fault: Fault, times: Times) {
        self.shared.state().faults.add(calls, fault, times);
    }

    /// Ends all faults, and lets go what is held back. Streams that are stalled stay so, as after a real silence nobody comes back to an old connection.
    pub(crate) fn heal(&self) {
        let mut state = self.shared.state();
        state.faults.clear();
        std::mem::take(&mut state.held).cancel();
    }

    /// Silences the open watches among `calls`: neither a byte nor an end comes any more. Returns how many there were.
    /// New ones pass, unless [`Fault::Stall`] is injected too.
    pub(crate) fn stall(&self, calls: &Calls) -> usize {
        let state = self.shared.state();
        let open = state.watches.iter().filter(|(_, request, _)| calls.contain(request));
        open.map(|(_, _, gate)| gate.cancel()).count()
    }

    /// How many watches among `calls` are open, the stalled ones included.
    pub(crate) fn open_watches(&self, calls: &Calls) -> usize {
        self.shared.state().watches.iter().filter(|(_, request, _)| calls.contain(request)).count()
    }

    /// Closes all connections at once, whatever they are doing. New ones are taken.
    pub(crate) fn cut_connections(&self) {
        let mut state = self.shared.state();
        std::mem::take(&mut state.connections).cancel();
    }

    /// How many of `calls` came by, those that met a fault included.
    pub(crate) fn count(&self, calls: &Calls) -> usize {
        self.shared.state().seen.iter().filter(|seen| calls.contain(&seen.request)).count()
    }

    /// What came by among `calls`, in order.
    pub(crate) fn seen(&self, calls: &Calls) -> Vec<Seen> {
        self.shared.state().seen.iter().filter(|seen| calls.contain(&seen.request)).cloned().collect()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call and says under which number, and which fault it meets.
    fn note(&self, request: &Request) -> (usize, Option<Fault>) {
        let mut state = self.state();
        state.seen.push(Seen { request: request.clone(), at: Instant::now(), code: None });
        (state.seen.len() - 1, state.faults.meet(request))
    }

    fn note_code(&self, number: usize, code: StatusCode) {
        if let Some(seen) = self.state().seen.get_mut(number) {
            seen.code = Some(code.as_u16());
        }
    }
}

fn acceptor(keys: &Keys) -> anyhow::Result<TlsAcceptor> {
    let certificate = CertificateDer::from_pem_slice(keys.server_certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(keys.server_key.as_bytes())?;
    let config =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>, end: CancellationToken) {
    while let Ok((stream, _)) = listener.accept().await {
        let cut = shared.state().connections.clone();
        let (acceptor, shared, end) = (acceptor.clone(), Arc::clone(&shared), end.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = end.cancelled() => {}
                () = cut.cancelled() => {}
                () = connection(stream, acceptor, shared) => {}
            }
        });
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    // A client that goes away in the middle is its own affair, not a failure of the proxy's.
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = hyper::service::service_fn(move |request| serve(Arc::clone(&shared), request));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn serve(shared: Arc<Shared>, request: http::Request<Incoming>) -> Result<Response<Body>, Error> {
    let call = Request::from_http(request.method(), request.uri());
    let (number, fault) = shared.note(&call);
    let stalled = match fault {
        None => false,
        Some(Fault::Stall) => true,
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Hold) => {
            let held = shared.state().held.clone();
            held.cancelled().await;
            false
        }
        Some(Fault::Cut) => return Err("cut on demand".into()),
        Some(Fault::Status { code, reason, retry_after }) => {
            let answer = status_answer(code, reason, retry_after)?;
            shared.note_code(number, answer.status());
            return Ok(answer);
        }
        Some(Fault::WatchError { code, reason }) => {
            shared.note_code(number, StatusCode::OK);
            return Ok(event_answer("ERROR", &status(code, reason))?);
        }
        Some(Fault::WatchModified(object)) => {
            shared.note_code(number, StatusCode::OK);
            return Ok(event_answer("MODIFIED", &object)?);
        }
    };
    // An API server that cannot be reached looks here as it does without a proxy: the connection ends.
    let answer = forward(&shared, request).await?;
    shared.note_code(number, answer.status());
    let gate = CancellationToken::new();
    if stalled {
        gate.cancel();
    }
    let guard = (call.verb == "watch").then(|| OpenWatch::new(&shared, number, call, gate.clone()));
    Ok(pass(answer, gate, guard))
}

async fn forward(shared: &Shared, request: http::Request<Incoming>) -> Result<reqwest::Response, Error> {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = head.headers;
    for hop in [HOST, CONNECTION, TRANSFER_ENCODING] {
        headers.remove(hop);
    }
    let body = body.collect().await?.to_bytes();
    let url = format!("{}{path}", shared.upstream);
    Ok(shared.client.request(head.method, url).headers(headers).body(body).send().await?)
}

fn pass(answer: reqwest::Response, gate: CancellationToken, guard: Option<OpenWatch>) -> Response<Body> {
    let (status, headers) = (answer.status(), passed_on(answer.headers()));
    let frames = gated(answer.bytes_stream(), gate, guard).map(|chunk| Ok(Frame::data(chunk?)));
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for hop in [CONNECTION, TRANSFER_ENCODING] {
        headers.remove(hop);
    }
    headers
}

/// The stream until the gate falls; then silence without an end.
fn gated(
    answer: impl Stream<Item = reqwest::Result<Bytes>> + Send + 'static,
    gate: CancellationToken,
    guard: Option<OpenWatch>,
) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
    stream::unfold((Box::pin(answer), gate, guard), |(mut answer, gate, guard)| async move {
        let next = match gate.run_until_cancelled(answer.next()).await {
            Some(next) => next?,
            None => std::future::pending().await,
        };
        Some((next.map_err(Error::from), (answer, gate, guard)))
    })
}

/// Lists a watch as open for as long as its answer's body lives.
struct OpenWatch {
    shared: Arc<Shared>,
    number: usize,
}

impl OpenWatch {
    fn new(shared: &Arc<Shared>, number: usize, request: Request, gate: CancellationToken) -> Self {
        shared.state().watches.push((number, request, gate));
        Self { shared: Arc::clone(shared), number }
    }
}

impl Drop for OpenWatch {
    fn drop(&mut self) {
        self.shared.state().watches.retain(|(number, ..)| *number != self.number);
    }
}

fn status(code: u16, reason: &str) -> serde_json::Value {
    let message = format!("{reason}: the test's proxy says so");
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "code": code})
}

fn status_answer(code: u16, reason: &str, retry_after: Option<u32>) -> anyhow::Result<Response<Body>> {
    let mut answer = json_answer(StatusCode::from_u16(code)?, status(code, reason).to_string())?;
    if let Some(seconds) = retry_after {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    Ok(answer)
}

/// A watch of one event.
fn event_answer(kind: &str, object: &serde_json::Value) -> anyhow::Result<Response<Body>> {
    let event = json!({"type": kind, "object": object});
    json_answer(StatusCode::OK, format!("{event}\n"))
}

fn json_answer(code: StatusCode, body: String) -> anyhow::Result<Response<Body>> {
    let body = Full::new(Bytes::from(body)).map_err(|never: Infallible| match never {}).boxed_unsync();
    Response::builder()
        .status(code)
        .header(CONTENT_TYPE, "application/json")
        .body(body)
        .context("building an answer")
}
