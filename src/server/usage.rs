//! Figures as fields of a JSON object, in base units; what is not known is left out.

use serde::Serialize;

use super::figures::Figures;

/// What an instance uses, or all instances of a service or an account together: of shares the most, of starts the newest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Usage {
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_usage_cores: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_limit_utilization_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_usage_bytes: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_utilization_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_receive_bytes_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_transmit_bytes_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restarts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restarts_last_hour: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time_seconds: Option<f64>,
}

impl From<&Figures> for Usage {
    fn from(figures: &Figures) -> Self {
        Self {
            cpu_usage_cores: figures.cpu_cores,
            cpu_limit_utilization_ratio: figures.cpu_ratio,
            memory_usage_bytes: figures.memory_bytes,
            memory_utilization_ratio: figures.memory_ratio,
            network_receive_bytes_per_second: figures.receive,
            network_transmit_bytes_per_second: figures.transmit,
            restarts: figures.restarts,
            restarts_last_hour: figures.restarts_last_hour,
            start_time_seconds: figures.started_at,
        }
    }
}
