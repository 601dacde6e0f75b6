//! Queries for Prometheus about what a page shows, ready to be copied: made of the labels and measurements that there are.

use maud::{Markup, html};

use crate::cloud::model::measurement::{Owner, Row};
use crate::cloud::model::{MEASUREMENTS, MeasurementSet};
use crate::exposition::values::ServiceEntry;

/// Of a service: a query for each measurement that it or an instance has.
pub(super) fn of_service(service: &ServiceEntry) -> Vec<String> {
    let labels = service.labels.as_str();
    let samples = service.instances.iter().filter_map(|instance| instance.sample.as_ref());
    let measured =
        samples.chain(&service.sample).fold(MeasurementSet::NONE, |set, sample| set.union(sample.measured()));
    let rows = MEASUREMENTS.iter().filter(|row| measured.contains(row.measurement));
    let of_row = |row: &Row| match (row.is_counter, row.owner()) {
        (true, _) => format!("sum(rate({}{{{labels}}}[5m]))", row.name),
        (false, Owner::Instance) => format!("max({}{{{labels}}})", row.name),
        (false, Owner::Service) => format!("{}{{{labels}}}", row.name),
    };
    let counts = ["caas_service_desired_instances", "caas_service_running_instances"];
    counts.into_iter().map(|name| format!("{name}{{{labels}}}")).chain(rows.map(of_row)).collect()
}

/// Of an account with these labels.
pub(super) fn of_account(labels: &str) -> Vec<String> {
    [
        "caas_account_up",
        "caas_account_last_success_timestamp_seconds",
        "caas_account_last_collection_duration_seconds",
        "caas_account_series",
        "caas_service_state",
    ]
    .into_iter()
    .map(|name| format!("{name}{{{labels}}}"))
    .collect()
}

/// The queries, each with a button that the script makes work.
pub(super) fn list(queries: &[String]) -> Markup {
    html! {
        details.promql {
            summary { "PromQL" }
            ul {
                @for query in queries {
                    li { code { (query) } " " button type="button" data-copy hidden { "Copy" } }
                }
            }
        }
    }
}
