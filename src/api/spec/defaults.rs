//! The defaults of the optional parts of a spec. The schema repeats them, so that an API server writes them out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Collection, Glob, MetricNames, Metrics, MonitorMode, ServiceMonitor, Services, Timestamps};
use crate::api::cel;
use crate::schema::Duration;

impl Default for Collection {
    fn default() -> Self {
        Self {
            interval: None,
            stale_after: None,
            request_timeout: Duration::from_secs(10),
            max_concurrent_requests: 32,
            requests_per_second: 50,
        }
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
        Self {
            mode: MonitorMode::Auto,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            scrape_timeout: None,
        }
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
