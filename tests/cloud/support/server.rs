//! A small Alauda over HTTP/1.1 whose responses a test may replace, down to single bytes on the wire.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) body: String,
    /// How many requests with this path came before.
    pub(crate) earlier: usize,
}

/// How the server responds to a request.
pub(crate) enum Reply {
    /// Status, more headers, body.
    Http(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// These bytes, then the connection is closed.
    Raw(Vec<u8>),
    /// This JSON after this long.
    Late(Duration, String),
    /// Nothing, forever.
    Hang,
    /// The head of a response and so many bytes of its body, then a byte every 50 ms.
    Drip(usize),
    /// This start, then this piece every 50 ms: a head that does not end.
    DripHead(&'static str, &'static str),
    /// This start, then this piece repeatedly until the client disconnects.
    Flood(&'static str, Vec<u8>),
    /// The head of a gzip response and this start, then this piece repeatedly until the client disconnects.
    Endless(Vec<u8>, Vec<u8>),
}

pub(crate) fn json(body: impl Into<String>) -> Reply {
    Reply::Http(200, Vec::new(), body.into().into_bytes())
}

pub(crate) fn status(code: u16) -> Reply {
    Reply::Http(code, Vec::new(), b"secret-of-the-cloud".to_vec())
}

pub(crate) fn limited(name: &'static str, value: &str) -> Reply {
    Reply::Http(429, vec![(name, value.to_string())], Vec::new())
}

type Handler = Arc<dyn Fn(&Seen) -> Option<Reply> + Send + Sync>;

/// A running server.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    gone: CancellationToken,
    pub(crate) connections: Arc<AtomicUsize>,
    /// The most requests that were in progress at once.
    pub(crate) most_at_once: Arc<AtomicUsize>,
    /// Bytes of endless responses that were sent.
    pub(crate) sent: Arc<AtomicUsize>,
    /// Bytes that were sent one by one.
    pub(crate) dripped: Arc<AtomicUsize>,
    /// Connections that are closed.
    pub(crate) closed: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

pub(crate) const TOKEN: &str = "0123456789abcdef";
pub(crate) const ONE_PAGE: &str = r#"{"next": null, "results": [{"service_name": "web", "current_status": "Running",
    "instances": [{"instance_name": "web.0", "uuid": "w0"}, {"instance_name": "web.1", "uuid": "w1"}]},
    {"service_name": "db", "instances": [{"instance_name": "db.0", "uuid": "d0"}]}]}"#;

/// The points of an instance, measured now.
pub(crate) fn points() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    format!(r#"{{"columns": ["time", "memory_usage"], "points": [[{now}, 16]]}}"#)
}

/// A page of one service with so many instances.
pub(crate) fn large_page(instances: usize) -> String {
    let list: Vec<_> = (0..instances).map(|id| format!(r#"{{"uuid": "i{id}"}}"#)).collect();
    format!(r#"{{"results": [{{"service_name": "big", "instances": [{}]}}]}}"#, list.join(","))
}

fn healthy(seen: &Seen) -> Reply {
    match seen.path.split('?').next().unwrap() {
        "/v1/generate-api-token/" => json(format!(r#"{{"token": "{TOKEN}"}}"#)),
        "/v1/services/acme/" => json(ONE_PAGE),
        path if path.ends_with("/metrics") => json(points()),
        _ => status(404),
    }
}

impl Fake {
    /// A healthy cloud.
    pub(crate) async fn healthy() -> Self {
        Self::with(|_| None).await
    }

    /// A cloud that responds as the closure says, and like a healthy one where it returns `None`.
    pub(crate) async fn with(handler: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self::listening(TcpListener::bind("127.0.0.1:0").await.unwrap(), handler)
    }

    /// The same at this address.
    pub(crate) fn listening(
        listener: TcpListener,
        handler: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let fake = Self::new(&listener);
        let parts = fake.parts(Arc::new(handler));
        let gone = fake.gone.clone();
        tokio::spawn(gone.clone().run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                parts.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(gone.clone().run_until_cancelled_owned(parts.clone().serve(stream)));
            }
        }));
        fake
    }

    /// Closes its socket and all connections.
    pub(crate) fn go_away(&self) {
        self.gone.cancel();
    }

    /// The same behind TLS.
    pub(crate) async fn with_tls(config: Arc<rustls::ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self::new(&listener);
        let parts = fake.parts(Arc::new(|_| None));
        let acceptor = tokio_rustls::TlsAcceptor::from(config);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, parts) = (acceptor.clone(), parts.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        parts.serve(stream).await;
                    }
                });
            }
        });
        fake
    }

    fn new(listener: &TcpListener) -> Self {
        Self {
            address: listener.local_addr().unwrap(),
            gone: CancellationToken::new(),
            connections: Arc::default(),
            most_at_once: Arc::default(),
            sent: Arc::default(),
            dripped: Arc::default(),
            closed: Arc::default(),
            seen: Arc::default(),
        }
    }

    fn parts(&self, handler: Handler) -> Parts {
        Parts {
            handler,
            connections: Arc::clone(&self.connections),
            at_once: Arc::default(),
            most_at_once: Arc::clone(&self.most_at_once),
            sent: Arc::clone(&self.sent),
            dripped: Arc::clone(&self.dripped),
            closed: Arc::clone(&self.closed),
            seen: Arc::clone(&self.seen),
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests had this in their path.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.seen().iter().filter(|seen| seen.path.contains(part)).count()
    }

    pub(crate) fn connected(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        // In this order: a connection that closes meanwhile is counted as open, and none twice as closed.
        let closed = self.closed.load(Ordering::SeqCst);
        self.connections.load(Ordering::SeqCst).saturating_sub(closed)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}/v1/", self.address)
    }
}

#[derive(Clone)]
struct Parts {
    handler: Handler,
    connections: Arc<AtomicUsize>,
    at_once: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
    sent: Arc<AtomicUsize>,
    dripped: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Parts {
    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut stream = BufReader::new(stream);
        while let Some(mut seen) = read_request(&mut stream).await {
            {
                let mut all = self.seen.lock().unwrap();
                seen.earlier = all.iter().filter(|other| other.path == seen.path).count();
                all.push(seen.clone());
            }
            let reply = (self.handler)(&seen).unwrap_or_else(|| healthy(&seen));
            if !self.write_reply(&mut stream, reply).await {
                break;
            }
        }
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the connection stays open.
    async fn write_reply(&self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin), reply: Reply) -> bool {
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        if let Reply::Late(wait, _) = &reply {
            tokio::time::sleep(*wait).await;
        }
        // Before the client can have the answer and send the next request.
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        match reply {
            Reply::Late(_, body) => {
                let head = format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).await.is_ok() && stream.flush().await.is_ok()
            }
            Reply::Http(code, headers, body) => {
                let mut head =
                    format!("HTTP/1.1 {code} X\r\ncontent-length: {}\r\n", body.len()).into_bytes();
                for (name, value) in headers {
                    write!(head, "{name}: {value}\r\n").unwrap();
                }
                head.extend_from_slice(b"\r\n");
                head.extend_from_slice(&body);
                stream.write_all(&head).await.is_ok() && stream.flush().await.is_ok()
            }
            Reply::Raw(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                false
            }
            Reply::Hang => {
                // Until the client goes away.
                let _ = stream.read(&mut [0; 1]).await;
                false
            }
            Reply::Drip(at_once) => {
                let head = format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", at_once + 10_000);
                let _ = stream.write_all(&[head.as_bytes(), &vec![b' '; at_once]].concat()).await;
                let mut ticks = tokio::time::interval(Duration::from_millis(50));
                while stream.write_all(b" ").await.is_ok() && stream.flush().await.is_ok() {
                    self.dripped.fetch_add(1, Ordering::Relaxed);
                    ticks.tick().await;
                }
                false
            }
            Reply::DripHead(start, piece) => {
                let _ = stream.write_all(start.as_bytes()).await;
                let mut ticks = tokio::time::interval(Duration::from_millis(50));
                while stream.write_all(piece.as_bytes()).await.is_ok() && stream.flush().await.is_ok() {
                    ticks.tick().await;
                }
                false
            }
            Reply::Flood(start, piece) => {
                let _ = stream.write_all(start.as_bytes()).await;
                while stream.write_all(&piece).await.is_ok() && stream.flush().await.is_ok() {
                    self.sent.fetch_add(piece.len(), Ordering::Relaxed);
                }
                false
            }
            Reply::Endless(start, piece) => {
                let head = b"HTTP/1.1 200 X\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(head).await;
                let _ = stream.write_all(&start).await;
                while stream.write_all(&piece).await.is_ok() && stream.flush().await.is_ok() {
                    self.sent.fetch_add(piece.len(), Ordering::Relaxed);
                }
                false
            }
        }
    }
}

async fn read_request(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut authorization, mut host, mut length) = (None, None, 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match &*name.to_ascii_lowercase() {
            "authorization" => authorization = Some(value.to_owned()),
            "host" => host = Some(value.to_owned()),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { method, path, authorization, host, body: String::from_utf8(body).unwrap(), earlier: 0 })
}
