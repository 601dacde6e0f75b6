//! The health port: liveness and readiness.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;

use super::readiness::Readiness;
use super::routes::{line, with_fallbacks};

/// `/livez` and `/readyz`.
pub fn health_router(readiness: Readiness) -> Router {
    let routes = Router::new()
        .route("/livez", get(async || line(StatusCode::OK, "alive")))
        .route("/readyz", get(ready));
    with_fallbacks(routes, "no such path: only /livez and /readyz exist").with_state(readiness)
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    match &readiness.missing()[..] {
        [] => line(StatusCode::OK, "ready"),
        missing => line(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {}", missing.join(", "))),
    }
}
