//! The sizes of instances.

use serde_json::{Value, json};

use crate::simulator::world::{SIZES, Service};

/// A size: its slug, vCPUs, memory in MiB, and whether its CPU is shared.
pub(super) type Size = (&'static str, u32, u64, bool);

/// The sizes that the API lists.
pub(super) const LISTED: [Size; 10] = [
    ("apps-s-1vcpu-0.5gb", 1, 512, true),
    ("apps-s-1vcpu-1gb-fixed", 1, 1024, true),
    ("apps-s-1vcpu-1gb", 1, 1024, true),
    ("apps-s-1vcpu-2gb", 1, 2048, true),
    ("apps-s-2vcpu-4gb", 2, 4096, true),
    ("apps-d-1vcpu-0.5gb", 1, 512, false),
    ("apps-d-1vcpu-1gb", 1, 1024, false),
    ("apps-d-1vcpu-2gb", 1, 2048, false),
    ("apps-d-2vcpu-4gb", 2, 4096, false),
    ("apps-d-4vcpu-8gb", 4, 8192, false),
];

/// The size of a service's instances: the larger in the world, the larger here.
pub(super) fn of(service: &Service) -> Size {
    const SLUGS: [usize; SIZES.len()] = [0, 0, 2, 3, 4, 9];
    let nth = SIZES.iter().position(|size| size.name == service.size.name).unwrap_or(0);
    LISTED[SLUGS[nth]]
}

/// One size as an object. Numbers are strings.
pub(super) fn object((slug, cpus, mebibytes, shared): Size) -> Value {
    json!({
        "name": slug,
        "slug": slug,
        "cpu_type": if shared { "SHARED" } else { "DEDICATED" },
        "cpus": cpus.to_string(),
        "memory_bytes": (mebibytes << 20).to_string(),
        "usd_per_month": "5.00",
        "usd_per_second": "0.000001896133",
        "tier_slug": if shared { "basic" } else { "professional" },
        "single_instance_only": slug.ends_with("-fixed"),
        "scalable": !shared,
        "bandwidth_allowance_gib": "100",
    })
}
