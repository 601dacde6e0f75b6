//! An HTTP or HTTPS proxy on loopback that tunnels (CONNECT): it notes the hosts, and asks for credentials, refuses or hangs on
//! demand.
//!
//! Whatever host it is asked for, it connects to one address, so names that nothing resolves work through it alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What it does with a CONNECT.
#[derive(Clone)]
pub(crate) enum Conduct {
    /// Tunnels.
    Tunnel,
    /// Tunnels for this user and password only.
    TunnelFor(&'static str, &'static str),
    /// Answers this status.
    Answer(u16),
    /// Never answers.
    Hang,
}

/// See the module; ends when dropped.
pub(crate) struct ConnectProxy {
    scheme: &'static str,
    port: u16,
    hosts: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl ConnectProxy {
    /// Starts one that connects to this address.
    pub(crate) async fn start(to: SocketAddr, conduct: Conduct) -> std::io::Result<Self> {
        Self::accept(to, conduct, None).await
    }

    /// The same for clients that speak TLS with it, by this configuration.
    pub(crate) async fn start_tls(
        to: SocketAddr,
        conduct: Conduct,
        tls: Arc<rustls::ServerConfig>,
    ) -> std::io::Result<Self> {
        Self::accept(to, conduct, Some(TlsAcceptor::from(tls))).await
    }

    async fn accept(to: SocketAddr, conduct: Conduct, tls: Option<TlsAcceptor>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let hosts = Arc::<Mutex<Vec<String>>>::default();
        let (noted, scheme) = (Arc::clone(&hosts), if tls.is_some() { "https" } else { "http" });
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (noted, conduct, tls) = (Arc::clone(&noted), conduct.clone(), tls.clone());
                // A client that goes away or does not trust it ends its tunnel, which is no failure here.
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => serve(tls.accept(client).await?, to, conduct, &noted).await,
                        None => serve(client, to, conduct, &noted).await,
                    }
                });
            }
        });
        Ok(Self { scheme, port, hosts, accepting })
    }

    /// Its URL, with this before the host, such as `user:password@`.
    pub(crate) fn url(&self, user: &str) -> String {
        format!("{}://{user}127.0.0.1:{}", self.scheme, self.port)
    }

    /// The hosts, with their ports, that it was asked for so far.
    pub(crate) fn hosts(&self) -> Vec<String> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    to: SocketAddr,
    conduct: Conduct,
    hosts: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split_ascii_whitespace();
    let (method, host) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method != "CONNECT" {
        return answer(&mut client, 405).await;
    }
    hosts.lock().unwrap_or_else(PoisonError::into_inner).push(host.to_owned());
    match conduct {
        Conduct::Answer(status) => return answer(&mut client, status).await,
        Conduct::Hang => std::future::pending().await,
        Conduct::TunnelFor(user, password) if !head.contains(&credentials(user, password)) => {
            return answer(&mut client, 407).await;
        }
        Conduct::Tunnel | Conduct::TunnelFor(..) => {}
    }
    let mut server = TcpStream::connect(to).await?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    client.flush().await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

async fn answer(client: &mut (impl AsyncWrite + Unpin), status: u16) -> std::io::Result<()> {
    client.write_all(format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n").as_bytes()).await?;
    client.flush().await
}

fn credentials(user: &str, password: &str) -> String {
    format!("asic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
}
