//! The plans, and which of them a service has.

use serde_json::{Value, json};

use crate::simulator::numbers::hash_text;
use crate::simulator::world::{SIZES, Service};

/// A plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plan {
    pub(super) id: &'static str,
    /// In vCPUs.
    pub(super) cpu: f64,
    /// In megabytes, whatever those are.
    pub(super) memory: u32,
}

/// The plans that the API lists.
pub(super) const LISTED: [Plan; SIZES.len()] = [
    Plan { id: "nf-compute-10", cpu: 0.1, memory: 256 },
    Plan { id: "nf-compute-20", cpu: 0.2, memory: 512 },
    Plan { id: "nf-compute-50", cpu: 0.5, memory: 1024 },
    Plan { id: "nf-compute-100-2", cpu: 1.0, memory: 2048 },
    Plan { id: "nf-compute-200-4", cpu: 2.0, memory: 4096 },
    Plan { id: "nf-compute-400-8", cpu: 4.0, memory: 8192 },
];

/// A plan of one's own cluster, which the list does not have.
const CUSTOM: &str = "acme-large";

/// The plan of a service: the larger in the world, the larger here. A few have one that is not listed.
pub(super) fn of(service: &Service) -> Plan {
    let nth = SIZES.iter().position(|size| size.name == service.size.name).unwrap_or(0);
    let plan = LISTED[nth];
    if hash_text(&service.uuid) % 13 == 7 { Plan { id: CUSTOM, ..plan } } else { plan }
}

/// One plan as an object.
pub(super) fn object(plan: Plan) -> Value {
    let hourly = plan.cpu * 0.0305;
    json!({
        "id": plan.id,
        "name": plan.id,
        "currency": "usd",
        "amountPerMonth": hourly * 720.0,
        "amountPerHour": hourly,
        "cpuResource": plan.cpu,
        "ramResource": plan.memory,
    })
}
