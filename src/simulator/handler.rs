//! One request from its arrival to its response: counted, delayed, affected by faults. Knows no socket and no provider.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use thiserror::Error;

use super::admin;
use super::faults::{ContentFaults, FaultKind, Revocation, wire};
use super::provider::Target;
use super::request::ApiRequest;
use super::response::ApiResponse;
use super::state::State;

/// No request of these APIs has a longer body.
const LONGEST_BODY: usize = 64 << 10;

/// The connection is to be closed without a response.
#[derive(Debug, Error)]
#[error("closed on purpose")]
pub(super) struct Close;

/// Responds to one request, or has its connection closed.
pub(super) async fn handle(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Close> {
    let (head, body) = request.into_parts();
    if let Some(path) = head.uri.path().strip_prefix("/_sim/") {
        return Ok(admin::respond(&state, &head.method, path, head.uri.query()).into_http());
    }
    let body = Limited::new(body, LONGEST_BODY).collect().await.map(http_body_util::Collected::to_bytes);
    let request = ApiRequest {
        method: &head.method,
        path: head.uri.path(),
        query: head.uri.query(),
        headers: &head.headers,
        body: body.as_deref().unwrap_or_default(),
    };
    let Target { operation, service } = state.cloud.target(&request);
    let line = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let _in_flight = state.counter.begin(operation.as_ref(), format!("{} {line}", head.method));
    let faults = operation
        .as_ref()
        .map_or_else(Vec::new, |operation| state.faults.matching(operation, service.as_deref()));

    delay(&state, &faults).await;
    for fault in &faults {
        match fault {
            FaultKind::Drop => return Err(Close),
            FaultKind::Hang => {
                state.stop.cancelled().await;
                return Err(Close);
            }
            FaultKind::RevokedToken(Revocation::Before) => state.accounts.sessions.revoke(),
            _ => {}
        }
    }
    let now = state.clock.now();
    let replacement = operation.as_ref().and_then(|operation| {
        faults.iter().find_map(|fault| wire::replacement(fault, &*state.cloud, operation, now))
    });
    let response = match replacement {
        Some(response) => response,
        None if body.is_err() => ApiResponse::text(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large."),
        None => state.cloud.respond(&request, now, ContentFaults::of(&faults)),
    };
    if faults.contains(&FaultKind::RevokedToken(Revocation::AfterUse)) {
        state.accounts.sessions.revoke();
    }
    Ok(wire::damage(response, &faults))
}

/// Waits as long as a response takes, unless the cloud stops meanwhile.
async fn delay(state: &State, faults: &[FaultKind]) {
    let added = faults.iter().map(|fault| match fault {
        FaultKind::Latency(latency) => *latency,
        _ => Duration::ZERO,
    });
    let delay = added.fold(state.latency, Duration::saturating_add);
    if delay > Duration::ZERO {
        let _ = state.stop.run_until_cancelled(tokio::time::sleep(delay)).await;
    }
}
