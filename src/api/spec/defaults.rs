//! The defaults of the optional parts of a spec. The schema repeats them, so that an API server writes them out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Collection, Glob, MetricNames, Metrics, ServiceMonitor, Services, Timestamps};
use crate::api::{Duration, cel};

/// The longest that the last values stay where nothing else is set.
const STALE_AFTER_AT_MOST: time::Duration = time::Duration::from_secs(300);

impl Default for Collection {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            stale_after: None,
            request_timeout: Duration::from_secs(10),
            max_concurrent_requests: 32,
            requests_per_second: 50,
        }
    }
}

impl Collection {
    /// How long the last values stay: as set, else 3 intervals and at most 5 minutes, but never less than one
    /// interval, since values would else be gone before they can be fetched again.
    pub fn effective_stale_after(&self) -> time::Duration {
        let interval = time::Duration::from(self.interval);
        let default = || interval.saturating_mul(3).min(STALE_AFTER_AT_MOST).max(interval);
        self.stale_after.map_or_else(default, time::Duration::from)
    }
}

impl Default for Services {
    fn default() -> Self {
        Self { include: vec![Glob("*".to_owned())], exclude: Vec::new() }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            names: MetricNames::Modern,
            timestamps: Timestamps::None,
            max_series: 100_000,
            labels: BTreeMap::new(),
        }
    }
}

impl Default for ServiceMonitor {
    fn default() -> Self {
        Self { enabled: true, labels: BTreeMap::new(), annotations: BTreeMap::new(), scrape_timeout: None }
    }
}

impl AsRef<str> for Glob {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl JsonSchema for Glob {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Glob".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": 253,
            "x-kubernetes-validations": [cel::glob()],
        })
    }
}
