//! An Alauda that answers logins and is healthy, save where an attack replaces its answers.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_ENCODING;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::task::JoinHandle;

/// A service with one instance and its points.
pub(super) const PAGE: &str = r#"{"next": null, "results": [{"service_name": "web", "current_status": "Running",
    "instances": [{"instance_name": "web.0", "uuid": "w0"}]}]}"#;

/// The points of an instance, measured now.
pub(super) fn points() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    format!(r#"{{"columns": ["time", "memory_usage"], "points": [[{now}, 16]]}}"#)
}

/// What the cloud answers to a request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// What a healthy cloud answers.
    None,
    /// This body, compressed with gzip.
    Gzip(Bytes),
    /// This body.
    Body(String),
    /// What a healthy cloud answers, after so long.
    Late(Duration),
}

type Answers = Arc<dyn Fn(&str, &str) -> Answer + Send + Sync>;

/// A running cloud; it ends when it is dropped.
pub(crate) struct HostileCloud {
    endpoint: String,
    serving: JoinHandle<()>,
}

impl HostileCloud {
    /// A cloud that answers a request for a path and query as the closure says.
    pub(crate) async fn start(answers: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        Self::answering(move |path, _| answers(path)).await
    }

    /// The same by path and query and by the request's body.
    pub(crate) async fn answering(answers: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/v1/", listener.local_addr().unwrap());
        let answers: Answers = Arc::new(answers);
        let router = Router::new().fallback(answer).with_state(answers);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { endpoint, serving }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// The endpoint of clouds whose API has no version in its path.
    pub(crate) fn root(&self) -> String {
        self.endpoint.replace("/v1/", "/")
    }
}

impl Drop for HostileCloud {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(answers): State<Answers>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    let answer = match answers(path, &String::from_utf8_lossy(&body)) {
        Answer::Late(time) => {
            tokio::time::sleep(time).await;
            Answer::None
        }
        answer => answer,
    };
    match answer {
        Answer::Body(body) => body.into_response(),
        Answer::Gzip(body) => ([(CONTENT_ENCODING, "gzip")], Body::from(body)).into_response(),
        _ if path == "/v1/generate-api-token/" => r#"{"token": "0123456789abcdef"}"#.into_response(),
        _ if path.contains("/metrics") => points().into_response(),
        _ => PAGE.into_response(),
    }
}

/// Compresses a body with gzip.
pub(crate) fn gzip(body: &[u8]) -> Bytes {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap().into()
}
