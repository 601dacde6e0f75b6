//! The status of a Pod. Pure.

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::network::NODE;
use super::probes::Health;

/// The state of a Pod's container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It cannot be started, for this reason.
    Waiting(String),
    /// It runs.
    Running(Health),
    /// It has exited with this code.
    Ended(i32),
}

/// The Pod's status as a merge patch. `since`: when this state began; times are RFC 3339.
pub(crate) fn status(
    pod: &Pod,
    address: Ipv4Addr,
    state: &State,
    restarts: i32,
    started: &str,
    since: &str,
) -> Value {
    let container = pod.spec.as_ref().and_then(|spec| spec.containers.first());
    let (name, image) =
        container.map(|it| (it.name.clone(), it.image.clone().unwrap_or_default())).unwrap_or_default();
    let health = match state {
        State::Running(health) => *health,
        _ => Health::default(),
    };
    let told = match state {
        State::Waiting(message) => json!({"waiting": {"reason": "CreateContainerError", "message": message}}),
        State::Running(_) => json!({"running": {"startedAt": started}}),
        State::Ended(code) => {
            json!({"terminated": {"exitCode": code, "reason": if *code == 0 { "Completed" } else { "Error" },
                "startedAt": started, "finishedAt": since}})
        }
    };
    let condition = |kind: &str, holds: bool| {
        let status = if holds { "True" } else { "False" };
        json!({"type": kind, "status": status, "lastTransitionTime": since})
    };
    json!({"status": {
        "phase": if matches!(state, State::Waiting(_)) { "Pending" } else { "Running" },
        "hostIP": NODE, "podIP": address, "podIPs": [{"ip": address}], "startTime": started,
        "conditions": [
            condition("PodScheduled", true),
            condition("Initialized", true),
            condition("ContainersReady", health.ready),
            condition("Ready", health.ready),
        ],
        "containerStatuses": [{
            "name": name, "image": image, "imageID": "", "restartCount": restarts,
            "started": health.started, "ready": health.ready, "state": told,
        }],
    }})
}
