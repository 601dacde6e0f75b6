//! The plans of instances.

use crate::simulator::world::{SIZES, Service};

/// The plan of a service's instances: the larger in the world, the larger here.
pub(super) fn of(service: &Service) -> &'static str {
    const PLANS: [&str; SIZES.len()] = ["free", "starter", "standard", "pro", "pro_plus", "pro_max"];
    let nth = SIZES.iter().position(|size| size.name == service.size.name).unwrap_or(0);
    PLANS[nth]
}
