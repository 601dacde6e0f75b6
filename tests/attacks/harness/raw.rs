//! A cloud that writes bytes which no HTTP server would write.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::raw_http::read_request;

/// What the cloud writes for a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// A complete response of this body.
    Body(String),
    /// The begin of a head, in bytes, and nothing more.
    HeadWithoutEnd(usize),
    /// Informational responses until the client goes away.
    Informational,
}

type Replies = Arc<dyn Fn(&str) -> Reply + Send + Sync>;

/// A running cloud; it ends when it is dropped.
pub(crate) struct RawCloud {
    endpoint: String,
    serving: JoinHandle<()>,
}

impl RawCloud {
    /// A cloud that takes any login and replies to other requests for a path as the closure says.
    pub(crate) async fn start(replies: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/v1/", listener.local_addr().unwrap());
        let replies: Replies = Arc::new(replies);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&replies)));
            }
        });
        Self { endpoint, serving }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }
}

impl Drop for RawCloud {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Serves one connection until it ends.
async fn serve(stream: TcpStream, replies: Replies) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let Some(path) = read_request(&mut stream).await? else { return Ok(()) };
        let reply = match replies(&path) {
            Reply::Body(_) if path.contains("generate-api-token") => {
                Reply::Body(r#"{"token": "t"}"#.to_owned())
            }
            reply => reply,
        };
        match reply {
            Reply::Body(body) => {
                let head = format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).await?;
            }
            Reply::HeadWithoutEnd(bytes) => {
                let head = format!("HTTP/1.1 200 X\r\nx-more: {}", "x".repeat(bytes));
                stream.write_all(head.as_bytes()).await?;
                // Until the client goes away.
                let _ = stream.read(&mut [0]).await;
                return Ok(());
            }
            Reply::Informational => {
                let many = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n".repeat(100);
                loop {
                    stream.write_all(many.as_bytes()).await?;
                }
            }
        }
    }
}
