//! What is counted of pushes by OTLP. None of it exists where nothing is pushed.

use prometheus::{GaugeVec, IntCounterVec, Opts};

use super::registrar::{Registrar, counter, register};

/// The families about pushes.
pub(super) struct OtlpCounts {
    pub(super) requests: IntCounterVec,
    pub(super) points: IntCounterVec,
    /// A family without labels, whose one series comes when pushing begins.
    pub(super) last_success: GaugeVec,
}

impl OtlpCounts {
    pub(super) fn registered(registry: &Registrar) -> Self {
        let last_success = Opts::new(
            "caas_operator_otlp_last_success_timestamp_seconds",
            "End of the last OTLP push in which every request succeeded, in seconds since the epoch; 0 before the first.",
        );
        Self {
            requests: counter(
                registry,
                "caas_operator_otlp_requests_total",
                "Requests to the OTLP endpoint by status code, or the reason if there is no status code (timeout, connect, tls, interrupted).",
                &["code"],
            ),
            points: counter(
                registry,
                "caas_operator_otlp_points_total",
                "Samples sent by OTLP, by result: accepted, rejected by the endpoint, or lost because the request failed.",
                &["result"],
            ),
            last_success: register(registry, GaugeVec::new(last_success, &[])),
        }
    }
}
