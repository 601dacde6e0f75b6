//! `docs/metrics.md`: all families of an account and of the program itself.

use caas_operator::cloud::model::measurement::Owner;
use caas_operator::exposition::families::{
    Family, Kind, PROVIDER_LABEL, Reads, STATE_LABEL, STATUS_LABEL, families, legacy_families,
};
use caas_operator::exposition::info::INFO_LABELS;
use caas_operator::telemetry::Metrics;

use super::table::{MADE, code, prose, table};

const HEADS: [&str; 4] = ["name", "type", "labels", "description"];

/// The page.
pub(crate) fn page() -> String {
    let info: Vec<String> = INFO_LABELS.iter().map(|label| code(label.name)).collect();
    format!(
        "# Metrics
{MADE}
## An account's metrics

On `/accounts/{{namespace}}/{{name}}/metrics`. Every series has the labels `account_namespace` and `account`. Series of
a service also have `service_name`; series of an instance also have `service_name`, `instance_name` and `instance_id`. If a cloud groups its
services, both also carry `application`, because a service's name is unique only within its group.
A value that the cloud does not report is absent, never 0. A metric without any value is absent.

{}
`caas_service_info` and `caas_instance_info` have the labels {}; a label is empty or absent if the cloud does not report it.
`service_id` is on `caas_service_info` only.
[Prometheus](prometheus.md#labels) shows how to join them.

## Legacy names

On `/accounts/{{namespace}}/{{name}}/metrics/legacy`, where `spec.metrics.names` is `Legacy` or `Both`: the four gauges
of the 2015 exporter, with its labels `service` and `instance` and its units. They have no `application` label: if
several services have the same name, only the first keeps the series of an instance name, and the others are counted as
`duplicate`.

{}
## The program's own metrics

On `/metrics`. A metric with labels has no series before its first event, and an account's series are removed with the
account. On Linux, the `process_…` metrics of the Prometheus client libraries are also exposed.

{}",
        table(HEADS, families().iter().map(|family| row(family, more_labels(family)))),
        info.join(", "),
        table(HEADS, legacy_families().map(|family| row(&family, more_labels(&family)))),
        table(HEADS, own()),
    )
}

fn row(family: &Family, labels: String) -> [String; 4] {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Info => "gauge, always 1",
    };
    [code(family.name), kind.to_owned(), labels, prose(family.help)]
}

/// The labels besides those that all series of an account, a service or an instance have.
fn more_labels(family: &Family) -> String {
    match family.reads {
        Reads::Account(_) => "of the account".to_owned(),
        Reads::Service(_) => "of the service".to_owned(),
        Reads::ServiceStatus => format!("of the service, {}", code(STATUS_LABEL)),
        Reads::ServiceState => format!("of the service, {}", code(STATE_LABEL)),
        Reads::ServiceInfo => "of the service, and below".to_owned(),
        Reads::Instance(_) | Reads::InstanceLimit(_) | Reads::SampleTime => "of the instance".to_owned(),
        Reads::InstanceState => format!("of the instance, {}", code(STATE_LABEL)),
        Reads::InstanceInfo => "of the instance, and below".to_owned(),
        Reads::Measurement(measurement) => {
            let row = measurement.row();
            let owner = match row.owner() {
                Owner::Service => "of the service",
                Owner::Instance => "of the instance",
            };
            row.label.map_or(owner.to_owned(), |label| format!("{owner}, {}", code(label)))
        }
        Reads::AccountInfo => format!("of the account, {}", code(PROVIDER_LABEL)),
        Reads::Legacy => "`service`, `instance`".to_owned(),
    }
}

fn own() -> Vec<[String; 4]> {
    let metrics = Metrics::new();
    let labels = |names: &[String]| names.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ");
    // Which of the process there are depends on the system that this runs on.
    let of_program = metrics.described().iter().filter(|family| !family.name.starts_with("process_"));
    let rows = of_program.map(|family| {
        [code(&family.name), family.kind.to_owned(), labels(&family.labels), prose(&family.help)]
    });
    rows.collect()
}
