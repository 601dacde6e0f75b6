//! The way to drive a simulated cloud that runs in another process: paths below `/_sim/`. No token is asked for.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::alauda::route::Query;
use super::answer::Answer;
use super::faults::Fault;
use super::numbers::floor;
use super::traffic::Shared;
use super::world::{Instance, Service, World};

/// All paths, for `--help`.
pub const HELP: &str = "\
Driving it while it runs (no token needed):
  GET    /_sim/counts               requests by kind, and the most at once
  DELETE /_sim/counts               begin to count again
  GET    /_sim/requests             the newest requests, oldest first
  GET    /_sim/fault                the faults that are set
  POST   /_sim/fault?name=FAULT     one fault more, written as for --fault (percent-encoded)
  DELETE /_sim/fault                no faults
  POST   /_sim/revoke               all tokens are invalid from now on
  GET    /_sim/truth?time=SECONDS   what exists (default: now), with all measurements at that second;
                                    also &account=USERNAME, &service=NAME";

/// Answers a request below `/_sim/`.
pub(super) fn answer(shared: &Shared, method: &Method, path: &str, query: Option<&str>) -> Answer {
    let query = Query::of(query);
    let done = || Answer::empty(StatusCode::NO_CONTENT);
    match (path.trim_end_matches('/'), method.as_str()) {
        ("counts", "GET") => Answer::json(StatusCode::OK, &shared.counter.counts()),
        ("counts", "DELETE") => {
            shared.counter.reset();
            done()
        }
        ("requests", "GET") => Answer::json(StatusCode::OK, &shared.counter.log()),
        ("fault", "GET") => Answer::json(StatusCode::OK, &shared.faults.list()),
        ("fault", "POST") => match query.get("name").unwrap_or_default().parse::<Fault>() {
            Ok(fault) => {
                shared.faults.set(fault);
                done()
            }
            Err(error) => Answer::text(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        ("fault", "DELETE") => {
            shared.faults.clear();
            done()
        }
        ("revoke", "POST") => {
            shared.alauda.sessions.revoke();
            done()
        }
        ("truth", "GET") => truth(shared, &query),
        ("counts" | "requests" | "fault" | "revoke" | "truth", _) => {
            Answer::text(StatusCode::METHOD_NOT_ALLOWED, "This path takes other methods; see --help.")
        }
        _ => Answer::text(StatusCode::NOT_FOUND, "There is no such path; see --help."),
    }
}

fn truth(shared: &Shared, query: &Query) -> Answer {
    let time = match query.get("time").map(str::parse::<f64>) {
        None => shared.clock.now(),
        Some(Ok(time)) if time.is_finite() => time,
        Some(_) => return Answer::text(StatusCode::BAD_REQUEST, "time is in seconds since the epoch."),
    };
    let wanted = |name: &str, value: &str| query.get(name).is_none_or(|wanted| wanted == value);
    let account = |world: &World| -> Value {
        let services = world.services(time).filter(|service| wanted("service", &service.name));
        services.map(|service| service_truth(&service, time)).collect()
    };
    let accounts: serde_json::Map<String, Value> = shared
        .alauda
        .accounts
        .iter()
        .filter(|one| wanted("account", &one.username))
        .map(|one| (one.username.clone(), account(&one.world)))
        .collect();
    Answer::json(StatusCode::OK, &json!({ "time": time, "accounts": accounts }))
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
