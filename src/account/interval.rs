//! How often an account is collected.

use std::time::Duration;

use crate::api::CaasAccountSpec;
use crate::cloud::{Provider, Providers};

/// The shortest and longest interval, as in the CRD's rule.
const BOUNDS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3600));

/// The interval of an account whose provider is unknown: it is not collected, but its ServiceMonitor needs one.
const WITHOUT_PROVIDER: Duration = Duration::from_secs(30);

/// From the start of one collection to the start of the next: as set, else the provider's default.
pub(super) fn interval(providers: Providers, spec: &CaasAccountSpec) -> Duration {
    let default = || providers.get(&spec.provider.name).map_or(WITHOUT_PROVIDER, Provider::default_interval);
    spec.collection.interval.map_or_else(default, Duration::from).clamp(BOUNDS.0, BOUNDS.1)
}
