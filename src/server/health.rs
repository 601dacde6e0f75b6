//! The health port: liveness and readiness.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;

use super::lines::{line, with_fallbacks};
use super::liveness::Liveness;
use super::readiness::Readiness;

/// `/livez` and `/readyz`.
pub fn health_router(readiness: Readiness, liveness: Liveness) -> Router {
    let routes =
        Router::new().route("/livez", get(async move || live(&liveness))).route("/readyz", get(ready));
    with_fallbacks(routes, "no such path: only /livez and /readyz exist").with_state(readiness)
}

fn live(liveness: &Liveness) -> Response {
    match liveness.silent_for() {
        None => line(StatusCode::OK, "alive"),
        Some(silence) => {
            let text = format!("stuck: no task has run for {} s", silence.as_secs());
            line(StatusCode::SERVICE_UNAVAILABLE, &text)
        }
    }
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    match &readiness.missing()[..] {
        [] => line(StatusCode::OK, "ready"),
        missing => line(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {}", missing.join(", "))),
    }
}
