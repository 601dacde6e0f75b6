//! A minimal HTTP client: one connection, one request at a time, so that a measured time is the server's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result};

/// A persistent connection.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    pub(crate) fn to(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).context("a connection")?;
        stream.set_nodelay(true).context("TCP_NODELAY")?;
        Ok(Self { stream: BufReader::with_capacity(1 << 20, stream) })
    }

    /// The body of the response to a GET; `headers` are whole lines.
    pub(crate) fn get(&mut self, path: &str, headers: &str) -> Result<Vec<u8>> {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{headers}\r\n"))
    }

    /// The body of the response to a form.
    pub(crate) fn post(&mut self, path: &str, form: &str) -> Result<Vec<u8>> {
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let length = form.len();
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\n{kind}\r\nContent-Length: {length}\r\n\r\n{form}"
        ))
    }

    fn send(&mut self, request: &str) -> Result<Vec<u8>> {
        self.stream.get_mut().write_all(request.as_bytes()).context("a request")?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).context("a response's head")?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            // All servers here send a length.
            if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse().context("a response's length")?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).context("a response's body")?;
        Ok(body)
    }
}
