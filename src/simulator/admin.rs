//! The paths below `/_sim/`, by which other processes drive a simulated cloud. They need no token.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::faults::Fault;
use super::numbers::floor;
use super::request::Query;
use super::response::ApiResponse;
use super::state::State;
use super::world::{Instance, Service, World};

/// All paths, for `--help`.
pub(super) const HELP: &str = "\
Paths to control it while it runs (no token needed):
  GET    /_sim/counts               requests by operation, and the maximum in flight
  DELETE /_sim/counts               reset the counts
  GET    /_sim/requests             the newest requests, oldest first
  GET    /_sim/fault                the active faults
  POST   /_sim/fault?name=FAULT     add a fault, in the form of --fault (percent-encoded)
  DELETE /_sim/fault                remove all faults
  POST   /_sim/revoke               make all tokens invalid
  GET    /_sim/truth?time=SECONDS   everything that exists at that second (default: now), with all measurements;
                                    also &account=USERNAME, &service=NAME";

/// Responds to a request below `/_sim/`.
pub(super) fn respond(state: &State, method: &Method, path: &str, query: Option<&str>) -> ApiResponse {
    let query = Query::parse(query.unwrap_or_default().as_bytes());
    let done = || ApiResponse::empty(StatusCode::NO_CONTENT);
    match (path.trim_end_matches('/'), method.as_str()) {
        ("counts", "GET") => ApiResponse::json(StatusCode::OK, &state.counter.counts()),
        ("counts", "DELETE") => {
            state.counter.reset();
            done()
        }
        ("requests", "GET") => ApiResponse::json(StatusCode::OK, &state.counter.log()),
        ("fault", "GET") => ApiResponse::json(StatusCode::OK, &state.faults.list()),
        ("fault", "POST") => {
            let fault = query.get("name").unwrap_or_default().parse::<Fault>();
            match fault.and_then(|fault| state.set_fault(fault)) {
                Ok(()) => done(),
                Err(error) => ApiResponse::text(StatusCode::BAD_REQUEST, &error.to_string()),
            }
        }
        ("fault", "DELETE") => {
            state.faults.clear();
            done()
        }
        ("revoke", "POST") => {
            state.accounts.sessions.revoke();
            done()
        }
        ("truth", "GET") => truth(state, &query),
        ("counts" | "requests" | "fault" | "revoke" | "truth", _) => ApiResponse::text(
            StatusCode::METHOD_NOT_ALLOWED,
            "This path requires another method; see --help.",
        ),
        _ => ApiResponse::text(StatusCode::NOT_FOUND, "No such path; see --help."),
    }
}

/// What exists in the accounts and services that the query selects.
fn truth(state: &State, query: &Query) -> ApiResponse {
    let time = match query.get("time").map(str::parse::<f64>) {
        None => state.clock.now(),
        Some(Ok(time)) if time.is_finite() => time,
        Some(_) => return ApiResponse::text(StatusCode::BAD_REQUEST, "time is in seconds since the epoch."),
    };
    let selected = |name: &str, value: &str| query.get(name).is_none_or(|wanted| wanted == value);
    let services = |world: &World| -> Value {
        let services = world.services(time).filter(|service| selected("service", &service.name));
        services.map(|service| service_truth(&service, time)).collect()
    };
    let accounts: serde_json::Map<String, Value> = state
        .accounts
        .iter()
        .filter(|account| selected("account", &account.username))
        .map(|account| (account.username.clone(), services(&account.world)))
        .collect();
    ApiResponse::json(StatusCode::OK, &json!({ "time": time, "accounts": accounts }))
}

fn service_truth(service: &Service, time: f64) -> Value {
    json!({
        "name": service.name,
        "application": service.application,
        "uuid": service.uuid,
        "status": format!("{:?}", service.status),
        "target": service.target,
        "started": service.started,
        "instances": service.instances().map(|one| instance_truth(&one, time)).collect::<Value>(),
    })
}

fn instance_truth(instance: &Instance, time: f64) -> Value {
    let point = instance.point(floor(time)).map(|point| {
        json!({
            "time": point.time,
            "cpu_nanoseconds": point.cpu_nanoseconds,
            "cpu_percent": point.cpu_percent,
            "memory_bytes": point.memory_bytes,
            "memory_percent": point.memory_percent,
            "rx_bytes": point.rx_bytes,
            "rx_errors": point.rx_errors,
            "tx_bytes": point.tx_bytes,
            "tx_errors": point.tx_errors,
        })
    });
    json!({
        "name": instance.name,
        "uuid": instance.uuid,
        "started_at": instance.started_at(time),
        "cores_in_use": instance.cores_in_use(time),
        "point": point,
    })
}
