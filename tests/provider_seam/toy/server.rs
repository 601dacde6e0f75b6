//! The other side of the wire: Harbor's API over real HTTP.

use std::net::Ipv4Addr;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The token of every project.
pub(crate) const TOKEN: &str = "canary-harbor-token";

/// Starts the API; returns its base URL and its task.
pub(crate) async fn start() -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/projects/{project}/services", get(services));
    (url, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}

async fn services(Path(project): Path<String>, headers: HeaderMap) -> Result<axum::Json<Value>, StatusCode> {
    if headers.get("project-token").is_none_or(|token| token != TOKEN) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let ship = |id: &str, fleet: &str, phase: &str| {
        let crew: Vec<Value> = (0..2)
            .map(|number| {
                json!({
                    "id": format!("{id}-{number}"), "cores": 0.25, "bytes": 1024.0 * 1024.0,
                    "most_cores": 0.5, "most_bytes": 4.0 * 1024.0 * 1024.0,
                })
            })
            .collect();
        json!({
            "id": id, "fleet": fleet, "name": "ferry", "phase": phase, "crew": crew,
            "requests": {"2xx": 12.5, "5xx": 0.5}, "at": 1_790_000_000.0,
        })
    };
    let north = format!("{project}/north");
    Ok(axum::Json(json!({"services": [ship("s-1", &north, "sailing"), ship("s-2", "south", "docked")]})))
}
