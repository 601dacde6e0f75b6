//! An OTLP endpoint on the node, which takes all that a release pushes and keeps nothing. Knows nothing of what is in it.

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use tokio::net::TcpListener;

use super::network::NODE;

/// Starts it, for as long as the process lives; returns its base URL.
pub(crate) async fn take() -> anyhow::Result<String> {
    let listener = TcpListener::bind((NODE, 4318)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    // An empty answer says that every point was taken.
    let router = Router::new().route("/v1/metrics", post(async |_: Bytes| ()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(base)
}
